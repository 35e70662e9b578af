use super::*;
use botops_spec::Spec as _;
use botops_stats::random::Random;

fn side<'a>(name: &'a str, rows: &'a [Row<'a>]) -> DriftSide<'a> {
    DriftSide { name, rows, columns: &[] }
}

fn report(reference: &[Row<'_>], current: &[Row<'_>]) -> DriftReport {
    let spec = DriftSpec::default().check().unwrap();
    compare(&side("train", reference), &side("traffic", current), &spec).unwrap()
}

fn check<'a>(report: &'a DriftReport, name: &str) -> &'a DriftCheck {
    report.checks.iter().find(|check| check.name == name).unwrap()
}

const INTENTS: [&str; 7] = [
    "account_help",
    "billing_question",
    "complaint",
    "order_status",
    "product_information",
    "return_request",
    "technical_support",
];

/// Returns rows with all quantities; `tilt` favors the later intents and changes nothing else.
fn rows(n: usize, tilt: f64, random: &mut Random) -> Vec<Row<'static>> {
    let texts = [
        "where is my parcel",
        "hello",
        "i want to send this back please and get a refund",
        "the app crashes",
        "why was i charged twice this month",
    ];
    let total: f64 = (0..7).map(|i| 1.0 + tilt * f64::from(i)).sum();
    (0..n)
        .map(|_| {
            let mut point = random.unit() * total;
            let intent = (0..7_u32).find(|&i| {
                point -= 1.0 + tilt * f64::from(i);
                point < 0.0
            });
            Row {
                text: texts[random.below(5)],
                lang: Some(["en", "fr"][random.below(2)]),
                intent: Some(INTENTS[intent.unwrap_or(6) as usize]),
                confidence: Some(random.unit()),
                unseen_word_rate: Some((random.below(10) as f64 - 7.0).max(0.0) / 10.0),
                ..Row::default()
            }
        })
        .collect()
}

#[test]
fn a_changed_mix_of_intents_is_drift_and_the_rest_is_not() {
    let mut random = Random::new(1);
    let report = report(&rows(2_000, 0.0, &mut random), &rows(1_000, 1.0, &mut random));
    assert_eq!(report.verdict, DriftVerdict::Drift);
    let drifted: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.verdict == DriftVerdict::Drift)
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(drifted, ["intent"]);
    let intent = check(&report, "intent");
    assert!(intent.psi > 10.0 * intent.psi_noise95, "{intent:?}");
    // Both ends of the tilt changed most: the first lost share, the last gained it.
    let most: Vec<&str> = intent.top[..2].iter().map(|top| top.0.as_str()).collect();
    assert!(most.contains(&"account_help") && most.contains(&"technical_support"), "{most:?}");
    let names: Vec<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        ["intent", "confidence", "length_words", "length_chars", "language", "unseen_word_rate"]
    );
}

#[test]
fn a_tiny_shift_in_a_large_sample_is_significant_but_not_drift() {
    let mut random = Random::new(2);
    let report = report(&rows(60_000, 0.0, &mut random), &rows(60_000, 0.04, &mut random));
    let intent = check(&report, "intent");
    assert!(intent.p_adjusted < 0.001, "{intent:?}");
    assert!(intent.psi > intent.psi_noise95 && intent.psi < 0.1, "{intent:?}");
    assert_eq!(report.verdict, DriftVerdict::NoDrift);
}

#[test]
fn the_same_distribution_raises_an_alarm_in_at_most_5_of_100() {
    // With effect thresholds of zero, significance alone decides: 400 repeats at 0.05 have a standard
    // error of 0.011; 0.085 is 3 standard errors away.
    let spec = DriftSpec { min_psi: 0.0, min_ks: 0.0, ..DriftSpec::default() };
    let spec = spec.check().unwrap();
    let mut random = Random::new(3);
    let alarms = (0..400)
        .filter(|_| {
            let (r, c) = (rows(300, 0.3, &mut random), rows(150, 0.3, &mut random));
            let report = compare(&side("r", &r), &side("c", &c), &spec).unwrap();
            report.verdict == DriftVerdict::Drift
        })
        .count();
    assert!(alarms <= 34, "{alarms} of 400");
    // Some alarms are expected, or the test has no power.
    assert!(alarms >= 4, "{alarms} of 400");
}

#[test]
fn an_effect_of_practical_size_is_found() {
    let mut random = Random::new(4);
    let found = (0..50)
        .filter(|_| {
            let (r, c) = (rows(500, 0.0, &mut random), rows(500, 0.6, &mut random));
            report(&r, &c).verdict == DriftVerdict::Drift
        })
        .count();
    assert!(found >= 48, "{found} of 50");
}

#[test]
fn more_unseen_words_than_in_the_reference_are_drift() {
    let mut random = Random::new(5);
    let mut reference = rows(400, 0.0, &mut random);
    let mut current = rows(400, 0.0, &mut random);
    for (i, row) in reference.iter_mut().enumerate() {
        row.unseen_word_rate = Some(if i % 50 == 0 { 0.5 } else { 0.0 });
    }
    for (i, row) in current.iter_mut().enumerate() {
        row.unseen_word_rate = Some(if i % 4 == 0 { 0.25 } else { 0.0 });
    }
    let report = report(&reference, &current);
    let rate = check(&report, "unseen_word_rate");
    assert_eq!(rate.verdict, DriftVerdict::Drift);
    assert_eq!(rate.means, Some([0.01, 0.0625]));
    assert_eq!(rate.top[0], ("<= 0".to_owned(), 0.98, 0.75));
}

#[test]
fn too_few_rows_are_reported_but_not_judged() {
    let mut random = Random::new(6);
    let (r, c) = (rows(1_000, 0.0, &mut random), rows(3, 0.0, &mut random));
    let report = report(&r, &c);
    assert_eq!(report.verdict, DriftVerdict::Insufficient);
    assert!(
        report.checks.iter().all(|check| {
            check.verdict == DriftVerdict::Insufficient && check.p_adjusted == 1.0
        })
    );
    assert_eq!(report.checks.len(), 6);
}

#[test]
fn an_empty_comparison_is_insufficient() {
    let report = report(&[], &[]);
    assert_eq!(report.verdict, DriftVerdict::Insufficient);
    assert!(report.checks.is_empty() && report.new_words.is_empty());
}

#[test]
fn a_quantity_that_few_rows_have_neither_decides_nor_weakens_the_others() {
    let mut random = Random::new(7);
    let reference = rows(1_000, 0.0, &mut random);
    let mut current = rows(1_000, 1.0, &mut random);
    for row in &mut current[20..] {
        row.lang = None;
    }
    for row in &mut current {
        row.confidence = None;
    }
    let report = report(&reference, &current);
    assert_eq!(check(&report, "language").verdict, DriftVerdict::Insufficient);
    assert_eq!(check(&report, "language").n_current, 20);
    assert_eq!(check(&report, "intent").verdict, DriftVerdict::Drift);
    // A quantity that one side lacks has no check. Four checks are judged, so the smallest p is multiplied by four.
    assert!(report.checks.iter().all(|check| check.name != "confidence"));
    let intent = check(&report, "intent");
    assert!((intent.p_adjusted / intent.p_value - 4.0).abs() < 1e-9);
}

#[test]
fn new_words_come_by_count_then_by_name_without_bare_numbers() {
    let row = |text| Row { text, ..Row::default() };
    let report = report(
        &[row("where is my order 1234")],
        &[row("zap is my order 9876"), row("app app zap"), row("bad")],
    );
    let new: Vec<(&str, u64)> = report.new_words.iter().map(|(w, n)| (w.as_str(), *n)).collect();
    assert_eq!(new, [("app", 2), ("zap", 2), ("bad", 1)]);
}

#[test]
fn a_setting_out_of_range_is_reported_with_its_key() {
    let default = DriftSpec::default();
    for (spec, key) in [
        (DriftSpec { alpha: 0.0, ..default.clone() }, "alpha"),
        (DriftSpec { alpha: f64::NAN, ..default.clone() }, "alpha"),
        (DriftSpec { min_psi: -0.1, ..default.clone() }, "min_psi"),
        (DriftSpec { min_ks: 1.5, ..default.clone() }, "min_ks"),
        (DriftSpec { min_rows: 0, ..default.clone() }, "min_rows"),
        (DriftSpec { columns: Some(Vec::new()), ..default }, "columns"),
    ] {
        let fault = spec.check().unwrap_err();
        assert_eq!(fault.code(), "BOT-4001");
        assert_eq!(fault.kind(), botops_findings::FaultKind::Usage);
        assert_eq!(fault.place().key.as_deref(), Some(key));
    }
}

#[test]
fn the_report_survives_json() {
    let mut random = Random::new(9);
    let report = report(&rows(200, 0.0, &mut random), &rows(200, 1.0, &mut random));
    let text = serde_json::to_string(&report).unwrap();
    let back: DriftReport = serde_json::from_str(&text).unwrap();
    assert_eq!(back.verdict, report.verdict);
    assert_eq!(back.checks.len(), report.checks.len());
    assert_eq!(back.new_words, report.new_words);
}

#[test]
fn a_guessed_language_is_never_compared_and_a_region_does_not_count() {
    let texts = ["ich möchte meinen Vertrag kündigen", "wo ist mein Paket geblieben"].repeat(200);
    let side =
        |lang: Option<&'static str>| crate::rows(texts.iter().map(move |text| (*text, lang)), None);
    let undeclared = report(&side(Some("de")), &side(None));
    assert!(
        undeclared.checks.iter().all(|check| check.name != "language"),
        "one side declares none"
    );
    assert_eq!(undeclared.verdict, DriftVerdict::NoDrift);
    for region in ["de-AT", "DE", "de_CH"] {
        let same = report(&side(Some("de")), &side(Some(region)));
        assert_eq!(check(&same, "language").psi, 0.0, "{region}");
        assert_eq!(same.verdict, DriftVerdict::NoDrift, "{region}");
    }
    let other = report(&side(Some("de")), &side(Some("nl")));
    assert_eq!(check(&other, "language").verdict, DriftVerdict::Drift);
}
