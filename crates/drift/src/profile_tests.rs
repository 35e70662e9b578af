use super::*;
use botops_spec::{Checked, Spec as _};
use botops_stats::random::Random;
use proptest::prelude::*;

const INTENTS: [&str; 5] = ["account_help", "complaint", "order_status", "refund", "fallback"];
const TEXTS: [&str; 5] = [
    "where is my parcel",
    "hello",
    "i want to send this back please and get a refund",
    "",
    "why was i charged twice this month, and who can help me with it? I have waited for a week now",
];

fn spec(columns: Option<&[&str]>) -> Checked<DriftSpec> {
    let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    DriftSpec { columns, ..DriftSpec::default() }.check().unwrap()
}

/// Returns kinds of entities that rows can borrow.
fn kinds() -> Vec<Vec<String>> {
    [&[][..], &["email"], &["email", "order_number"]]
        .map(|kinds| kinds.iter().map(|kind| (*kind).to_owned()).collect())
        .into()
}

/// Returns rows of a prediction log; `tilt` makes later intents likelier and scores smaller.
fn rows<'a>(n: usize, tilt: usize, seed: u64, kinds: &'a [Vec<String>]) -> Vec<Row<'a>> {
    let mut random = Random::new(seed);
    (0..n)
        .map(|_| {
            let intent = (random.below(5) + random.below(tilt + 1)).min(4);
            let confidence = 1.0 - random.unit().powi(3) / (1.0 + tilt as f64);
            Row {
                text: TEXTS[random.below(5)],
                lang: [Some("en"), Some("fr"), None][random.below(3)],
                intent: (random.below(20) > 0).then_some(INTENTS[intent]),
                confidence: (random.below(20) > 0).then_some(confidence),
                unseen_word_rate: Some(random.below(6) as f64 / 7.0),
                guessed: [Some("en"), None][random.below(2)],
                oos_score: Some(4.0 * random.unit() - 2.0 - 0.1 * tilt as f64),
                fallback: Some(intent == 4),
                entities: Some(&kinds[random.below(3)]),
                latency_ms: Some(0.3 + random.unit().powi(4) * 20.0),
                n_chars: None,
            }
        })
        .collect()
}

/// Returns the columns of roles, with missing cells.
fn columns(n: usize, seed: u64) -> Vec<Column> {
    let mut random = Random::new(seed);
    let mut columns = vec![
        Column::new("utterance", Role::Text),
        Column::new("label", Role::Intent),
        Column::new("lang", Role::Language),
    ];
    for _ in 0..n {
        for (column, cells) in
            columns.iter_mut().zip([["a", "b", ""], ["x", "", "y"], ["", "", "en"]])
        {
            column.add(cells[random.below(3)]);
        }
    }
    columns
}

fn profile(rows: &[Row<'_>], columns: &[Column]) -> Profile {
    let mut profile = Profile::new();
    rows.iter().for_each(|row| profile.add(row));
    profile.add_columns(columns);
    profile
}

fn json(profile: &Profile) -> String {
    serde_json::to_string(profile).unwrap()
}

/// Returns the rows with each number as a profile returns it.
fn rounded<'a>(rows: &[Row<'a>]) -> Vec<Row<'a>> {
    let round = |quantity: Quantity, value: Option<f64>| {
        value.map(|value| {
            let mut one = Profile::new();
            one.add_number(quantity, value);
            one.values(quantity)[0].0
        })
    };
    let number = |row: &Row<'a>| Row {
        confidence: round(Quantity::Confidence, row.confidence),
        unseen_word_rate: round(Quantity::UnseenWordRate, row.unseen_word_rate),
        oos_score: round(Quantity::OosScore, row.oos_score),
        latency_ms: round(Quantity::LatencyMs, row.latency_ms),
        n_chars: round(Quantity::LengthChars, Some(row.text.chars().count() as f64))
            .map(|n| n as u32),
        ..row.clone()
    };
    rows.iter().map(number).collect()
}

#[test]
fn categories_are_equal_to_those_of_rows_and_numbers_within_their_error() {
    let kinds = kinds();
    for (tilt, n) in [(0, 400), (1, 700), (3, 150), (0, 40)] {
        let sides = [rows(900, 0, 1, &kinds), rows(n, tilt, 2, &kinds)];
        let columns = [columns(900, 3), columns(n, 4)];
        let [reference, current] = [0, 1].map(|i| profile(&sides[i], &columns[i]));
        let got = compare_profiles(("a", &reference), ("b", &current), &spec(None)).unwrap();
        let compared = |sides: [&[Row<'_>]; 2]| {
            let side = |i: usize, name| DriftSide { name, rows: sides[i], columns: &columns[i] };
            compare(&side(0, "a"), &side(1, "b"), &spec(None)).unwrap()
        };
        let exact = compared([&sides[0], &sides[1]]);
        let off = compared([&rounded(&sides[0]), &rounded(&sides[1])]);
        let names = |report: &DriftReport| {
            report.checks.iter().map(|check| check.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&got), names(&exact));
        assert!(got.checks.len() >= 13, "{:?}", names(&got));
        assert_eq!((got.verdict, &got.not_judged), (off.verdict, &off.not_judged));
        for ((got, exact), off) in got.checks.iter().zip(&exact.checks).zip(&off.checks) {
            if got.kind == "categorical" {
                // The correction is over all checks, of which some are of numbers.
                assert_eq!(got, &DriftCheck { p_adjusted: got.p_adjusted, ..exact.clone() });
                continue;
            }
            // The check is that of the values of the profile.
            assert_eq!(
                (&got.top, got.statistic, got.p_value),
                (&off.top, off.statistic, off.p_value)
            );
            assert_eq!(
                (got.psi, got.js_distance, got.verdict),
                (off.psi, off.js_distance, off.verdict)
            );
            let means = [got, off].map(|check| check.means.unwrap());
            assert!((0..2).all(|i| (means[0][i] - means[1][i]).abs() < 1e-9), "{means:?}");
            // And its distance is that of the rows, but for what lies within one bucket.
            let quantity = Quantity::ALL.into_iter().find(|quantity| {
                serde_json::to_value(quantity).unwrap() == serde_json::json!(got.name)
            });
            let widest = [&reference, &current].map(|side| {
                let values = side.values(quantity.unwrap());
                let n: u64 = values.iter().map(|(_, n)| n).sum();
                values.iter().map(|(_, k)| *k as f64 / n as f64).fold(0.0, f64::max)
            });
            let gap = exact.statistic - got.statistic;
            assert!((-1e-12..=widest[0].max(widest[1]) + 1e-12).contains(&gap), "{gap} {got:?}");
        }
    }
}

#[test]
fn values_are_within_the_error_of_their_quantity() {
    let mut random = Random::new(9);
    for quantity in Quantity::ALL {
        for i in 0..2_000 {
            let unit = random.unit();
            let value = match quantity {
                Quantity::Confidence | Quantity::UnseenWordRate => {
                    [0.0, 1.0, unit, 1.0 - unit.powi(12), unit.powi(12)][i % 5]
                }
                Quantity::LengthWords | Quantity::LengthChars => (i % 400) as f64,
                Quantity::OosScore | Quantity::LatencyMs => 40.0 * unit - 20.0,
            };
            let mut profile = Profile::new();
            profile.add_number(quantity, value);
            let got = profile.values(quantity)[0].0;
            let error = match quantity {
                Quantity::Confidence | Quantity::UnseenWordRate => {
                    0.010_1 * value * (1.0 - value) + 1.01e-6
                }
                Quantity::LengthWords | Quantity::LengthChars if value < 50.0 => 0.0,
                Quantity::LengthWords | Quantity::LengthChars => 0.01 * value + 0.5,
                Quantity::OosScore | Quantity::LatencyMs => 0.010_000_1 * value.abs(),
            };
            assert!((got - value).abs() <= error, "{quantity:?}: {value} became {got}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn the_bytes_do_not_depend_on_the_order_of_merging(
        n in 0_usize..160,
        seed in any::<u64>(),
        cuts in prop::collection::vec(0_usize..160, 0..6),
        order in any::<u64>(),
    ) {
        let kinds = kinds();
        let rows = rows(n, 1, seed, &kinds);
        let whole = profile(&rows, &[]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(n)).collect();
        cuts.extend([0, n]);
        cuts.sort_unstable();
        let mut parts: Vec<Profile> =
            cuts.windows(2).map(|cut| profile(&rows[cut[0]..cut[1]], &[])).collect();
        Random::new(order).shuffle(&mut parts);
        let mut at_once = Profile::new();
        parts.iter().for_each(|part| at_once.merge(part));
        prop_assert_eq!(json(&at_once), json(&whole));
        // In pairs, as a tree of jobs merges.
        while parts.len() > 1 {
            let other = parts.pop().unwrap();
            let at = Random::new(order).below(parts.len());
            parts[at].merge(&other);
        }
        let in_pairs = parts.pop().unwrap_or_default();
        prop_assert_eq!(json(&in_pairs), json(&whole));
        let read: Profile = serde_json::from_str(&json(&whole)).unwrap();
        prop_assert!(read.is_consistent());
        prop_assert_eq!(json(&read), json(&whole));
    }
}

#[test]
fn too_many_names_are_forgotten_in_every_order_alike() {
    let names: Vec<String> = (0..=MOST_NAMES).map(|i| format!("name {i}")).collect();
    let part = |names: &[String]| {
        let mut profile = Profile::new();
        names.iter().for_each(|name| profile.add_name(Category::Intent, name));
        profile
    };
    let whole = part(&names);
    assert_eq!(whole.names(Category::Intent).unwrap().counts(), None);
    let (mut forward, mut backward) = (Profile::new(), Profile::new());
    names.chunks(999).for_each(|names| forward.merge(&part(names)));
    names.chunks(3_001).rev().for_each(|names| backward.merge(&part(names)));
    assert_eq!([json(&forward), json(&backward)], [json(&whole), json(&whole)]);
    assert_eq!(
        part(&names[1..]).names(Category::Intent).unwrap().counts().unwrap().len(),
        MOST_NAMES
    );
    let kinds = kinds();
    let report = compare_profiles(
        ("a", &profile(&rows(200, 0, 1, &kinds), &[])),
        ("b", &whole),
        &spec(None),
    );
    let left_out = report.unwrap().not_judged;
    let intent = left_out.iter().find(|item| item.name == "intent").unwrap();
    assert_eq!(intent.reason, "more than 10000 different values in the current data");
}

#[test]
fn chosen_checks_and_columns() {
    let kinds = kinds();
    let side = |n, seed| profile(&rows(n, 0, seed, &kinds), &columns(n, seed));
    let (a, b) = (side(300, 1), side(200, 2));
    let chosen = |names: &[&str]| {
        let report = compare_profiles(("a", &a), ("b", &b), &spec(Some(names)));
        report.map(|report| report.checks.into_iter().map(|check| check.name).collect::<Vec<_>>())
    };
    assert_eq!(
        chosen(&["latency_ms", "intent"]).unwrap(),
        ["intent", "intent_declared", "latency_ms"]
    );
    assert_eq!(chosen(&["label"]).unwrap(), ["intent_declared", "intent_missing"]);
    let fault = chosen(&["latency"]).unwrap_err();
    assert_eq!(fault.code(), "BOT-2101");
    assert!(fault.to_string().contains("`utterance`"), "{fault}");
    let nothing = Profile::new();
    let report = compare_profiles(("a", &nothing), ("b", &b), &spec(None)).unwrap();
    assert_eq!(report.verdict, DriftVerdict::Insufficient);
    assert!(report.not_judged.iter().any(|item| item.reason == "no value in the reference"));
}

#[test]
fn a_text_that_was_not_kept_has_characters_and_no_words() {
    let row = Row { n_chars: Some(60), ..Row::default() };
    let profile = profile(&[row], &[]);
    assert_eq!((profile.n_rows(), profile.n_values(Quantity::LengthWords)), (1, 0));
    assert_eq!(profile.n_values(Quantity::LengthChars), 1);
    let redacted = Row { text: "call [phone]", n_chars: Some(20), ..Row::default() };
    let redacted = self::profile(&[redacted], &[]);
    assert_eq!(redacted.values(Quantity::LengthChars), [(20.0, 1)]);
    assert_eq!(redacted.values(Quantity::LengthWords), [(2.0, 1)]);
}

#[test]
fn impossible_counts_are_found() {
    let kinds = kinds();
    let good = json(&profile(&rows(5, 0, 1, &kinds), &columns(5, 1)));
    for (from, to) in [("\"n_rows\":5", "\"n_rows\":1"), ("\"n\":5", "\"n\":6")] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert!(!serde_json::from_str::<Profile>(&bad).unwrap().is_consistent(), "{from}");
    }
}
