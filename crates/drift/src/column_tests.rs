use super::*;
use botops_findings::Result;
use botops_spec::Spec as _;
use botops_stats::random::Random;

fn column(name: &str, role: Role, cells: impl IntoIterator<Item = String>) -> Column {
    let mut column = Column::new(name, role);
    cells.into_iter().for_each(|cell| column.add(&cell));
    column
}

fn other(name: &str, cells: impl IntoIterator<Item = String>) -> Column {
    column(name, Role::Other, cells)
}

fn compared(reference: &[Column], current: &[Column], spec: DriftSpec) -> Result<DriftReport> {
    let side = |name, columns| DriftSide { name, rows: &[], columns };
    compare(&side("a.csv", reference), &side("b.csv", current), &spec.check().unwrap())
}

fn report(reference: &[Column], current: &[Column]) -> DriftReport {
    compared(reference, current, DriftSpec::default()).unwrap()
}

fn verdicts(report: &DriftReport) -> Vec<(&str, DriftVerdict)> {
    report.checks.iter().map(|check| (check.name.as_str(), check.verdict)).collect()
}

fn left_out(report: &DriftReport) -> Vec<(&str, NotJudgedWhy)> {
    report.not_judged.iter().map(|item| (item.name.as_str(), item.why)).collect()
}

/// Returns `n` numbers around `mean`.
fn numbers(n: usize, mean: f64, random: &mut Random) -> Vec<String> {
    (0..n).map(|_| format!("{:.4}", mean + random.unit())).collect()
}

use DriftVerdict::{Drift, Insufficient, NoDrift};

#[test]
fn common_columns_are_compared_by_their_type() {
    let mut random = Random::new(1);
    let mut side = |mean: f64, channels: [&str; 3]| {
        [
            other("confidence", numbers(400, mean, &mut random)),
            other("latency_ms", (0..400).map(|_| (100 + random.below(50)).to_string())),
            other("channel", (0..400).map(|_| channels[random.below(3)].to_owned())),
            other("is_test", (0..400).map(|_| random.below(2).to_string())),
            other(
                "created_at",
                (0..400).map(|i| format!("2026-11-30 {:02}:{:02}", i / 60, i % 60)),
            ),
            other("order_id", (0..400).map(|i| format!("o-{i}"))),
            other("row", (0..400).map(|i| (i + 1).to_string())),
            other("note", (0..400).map(|i| format!("a note, the {i}th"))),
        ]
    };
    let (reference, current) =
        (side(0.0, ["web", "app", "phone"]), side(0.5, ["web", "web", "app"]));
    let report = report(&reference, &current);
    assert_eq!(
        verdicts(&report),
        [("confidence", Drift), ("latency_ms", NoDrift), ("channel", Drift), ("is_test", NoDrift)]
    );
    let kinds: Vec<&str> = report.checks.iter().map(|check| check.kind.as_str()).collect();
    assert_eq!(kinds, ["numeric", "numeric", "categorical", "categorical"]);
    let confidence = &report.checks[0];
    assert_eq!(confidence.column.as_deref(), Some("confidence"));
    // A uniform distribution on [0, 1) has a standard deviation of 1 / sqrt(12), so 0.5 is 1.73 of them.
    assert!((confidence.wasserstein_sd.unwrap() - 1.73).abs() < 0.1, "{confidence:?}");
    assert_eq!(report.checks[2].wasserstein_sd, None);
    assert_eq!(
        left_out(&report)[..4],
        [
            ("created_at", NotJudgedWhy::Times),
            ("order_id", NotJudgedWhy::Ids),
            ("row", NotJudgedWhy::Ids),
            ("note", NotJudgedWhy::Texts)
        ]
    );
}

#[test]
fn a_column_of_one_side_is_reported() {
    let mut random = Random::new(2);
    let mut shared = || other("score", numbers(200, 0.0, &mut random));
    let reference = [shared(), other("old", vec!["a".to_owned(); 200])];
    let current = [other("new", vec!["1".to_owned(); 200]), shared()];
    let report = report(&reference, &current);
    assert_eq!(verdicts(&report), [("score", NoDrift)]);
    assert_eq!(
        left_out(&report)[..2],
        [("old", NotJudgedWhy::OnlyReference), ("new", NotJudgedWhy::OnlyCurrent)]
    );
    let listed = report.uncompared_columns().unwrap();
    assert!(listed.starts_with("old (only in the reference), new (only in the current data)"));
}

#[test]
fn missing_values_are_a_check_of_their_own() {
    let filled =
        |n: usize| (0..400).map(move |i| if i < n { format!("c{}", i % 4) } else { String::new() });
    let of_role = |role, n| [column("label", role, filled(n))];
    for role in [Role::Intent, Role::Language, Role::Text, Role::Other] {
        let report = report(&of_role(role, 400), &of_role(role, 20));
        let (name, wanted) = match role {
            Role::Intent => {
                ("intent_missing", vec![("intent", Insufficient), ("intent_missing", Drift)])
            }
            Role::Language => ("language_missing", vec![("language_missing", Drift)]),
            Role::Text => ("text_missing", vec![("text_missing", Drift)]),
            _ => ("label_missing", vec![("label", Insufficient), ("label_missing", Drift)]),
        };
        assert_eq!(verdicts(&report), wanted, "{role:?}");
        let missing = report.checks.iter().find(|check| check.name == name).unwrap();
        assert_eq!((missing.n_reference, missing.n_current), (400, 400));
        assert_eq!(missing.top[0], ("missing".to_owned(), 0.0, 0.95));
    }
    // As many missing values on both sides are no drift. Without any, there is no check.
    let report = report(&of_role(Role::Intent, 300), &of_role(Role::Intent, 300));
    assert_eq!(verdicts(&report), [("intent", NoDrift), ("intent_missing", NoDrift)]);
    let full =
        compared(&of_role(Role::Intent, 400), &of_role(Role::Intent, 400), DriftSpec::default());
    assert_eq!(verdicts(&full.unwrap()), [("intent", NoDrift)]);
}

#[test]
fn the_verdict_lists_the_checks_that_were_not_judged() {
    let mut random = Random::new(3);
    let mut cells = numbers(1_000, 0.0, &mut random);
    let rest = vec![String::new(); 3_000];
    // Missing on both sides alike: the check of missing values finds nothing, and the values are too few.
    cells.truncate(60);
    cells.extend(rest);
    let side = |random: &mut Random| {
        [other("score", cells.clone()), other("size", numbers(3_060, 0.0, random))]
    };
    let report = report(&side(&mut random), &side(&mut random));
    assert_eq!(report.verdict, NoDrift);
    assert_eq!(
        report.unjudged_checks().unwrap(),
        "score (60 values in the reference, fewer than 100)"
    );
}

#[test]
fn a_column_that_is_no_longer_of_numbers_drifts() {
    let mut random = Random::new(4);
    let reference = [other("confidence", numbers(300, 0.0, &mut random))];
    let current = [other("confidence", vec!["error".to_owned(); 300])];
    let report = report(&reference, &current);
    assert_eq!(verdicts(&report), [("confidence_missing", Drift)]);
    assert_eq!(left_out(&report)[0], ("confidence", NotJudgedWhy::NoValue));
}

#[test]
fn chosen_columns_are_compared_alone_and_whatever_they_seem_to_hold() {
    let mut random = Random::new(5);
    let mut side = || {
        [
            column("text", Role::Text, vec!["hello".to_owned(); 200]),
            other("score", numbers(200, 0.0, &mut random)),
            other("row", (0..200).map(|i| i.to_string())),
            other("channel", vec!["web".to_owned(); 200]),
        ]
    };
    let (reference, current) = (side(), side());
    let with = |names: &[&str]| {
        let columns = Some(names.iter().map(|&name| name.to_owned()).collect());
        compared(&reference, &current, DriftSpec { columns, ..DriftSpec::default() })
    };
    assert_eq!(verdicts(&with(&["channel"]).unwrap()), [("channel", NoDrift)]);
    assert_eq!(verdicts(&with(&["row", "score"]).unwrap()), [("score", NoDrift), ("row", NoDrift)]);
    let fault = with(&["score", "chanel"]).unwrap_err();
    assert_eq!(fault.code(), "BOT-2101");
    assert!(fault.message().contains("`chanel`") && fault.message().contains("`channel`"));
}

#[test]
fn the_values_of_a_column_are_shown_without_personal_data() {
    let cells = |name: &'static str| (0..200).map(move |i| ["a", name][i % 2].to_owned());
    let (reference, current) =
        ([other("agent", cells("b"))], [other("agent", cells("jean.dupont@example.org"))]);
    let report = report(&reference, &current);
    assert_eq!(verdicts(&report), [("agent", Drift)]);
    assert!(
        report.checks[0].top.iter().any(|top| top.0 == "[email]"),
        "{:?}",
        report.checks[0].top
    );
}

#[test]
fn an_older_report_is_read() {
    let mut report = serde_json::to_value(report(&[], &[])).unwrap();
    for key in ["not_judged", "n_shared"] {
        report.as_object_mut().unwrap().remove(key).unwrap();
    }
    let report: DriftReport = serde_json::from_value(report).unwrap();
    assert!(report.not_judged.is_empty() && report.n_shared == 0);
}
