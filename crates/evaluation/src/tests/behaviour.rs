//! Behavioural tests, and the rules on them.

use super::*;
use botops_datasets::Dataset;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput};
use botops_spec::Spec as _;

/// Trains a small model of two intents.
fn model() -> botops_models::IntentModel {
    let order = [
        "where is my parcel",
        "track my order please",
        "my parcel is late",
        "order not delivered",
        "when does my parcel arrive",
    ];
    let refund = [
        "refund my money",
        "i want a refund",
        "give the money back",
        "money back for the broken cup",
        "refund the payment",
    ];
    let samples: Vec<Sample<'_>> = order
        .iter()
        .map(|text| Sample { text, intent: "order_status" })
        .chain(refund.iter().map(|text| Sample { text, intent: "refund" }))
        .collect();
    let spec = ModelSpec::default().check().unwrap();
    botops_models::train(TrainingInput::new(&samples, &spec), &Silent).unwrap()
}

fn spec(yaml: &str) -> botops_spec::Checked<BehaviourSpec> {
    botops_spec::parse::<BehaviourSpec>(yaml, "behaviour.yaml").unwrap().check().unwrap()
}

const TESTS: &str = "
version: 1
minimum:
  - capability: a parcel
    intent: order_status
    lang: en
    must_pass: [where is my parcel]
    utterances: [when does my parcel arrive?, refund my money]
  - capability: unknown words
    intent: oos
    utterances: [ж щ ъ]
  - capability: misspelled intent
    intent: order_satus
    utterances: [track my order]
direction:
  - capability: money
    intent: refund
    expect: rises
    pairs:
      - {from: it is late, to: it is late and i want my money back}
      - {from: refund the money, to: track the parcel}
";

#[test]
fn rates_by_capability_and_every_failure() {
    let report = test_behaviour(&model(), &spec(TESTS), "behaviour.yaml");
    let minimum: Vec<(&str, f64, u64)> = report
        .capabilities
        .iter()
        .filter(|it| it.kind == BehaviourKind::Minimum)
        .map(|it| (it.capability.as_str(), it.passed.value, it.passed.n))
        .collect();
    assert_eq!(minimum[0], ("a parcel", 2.0 / 3.0, 3));
    assert_eq!(minimum[1], ("unknown words", 1.0, 1));
    assert_eq!(minimum[2], ("misspelled intent", 0.0, 1));
    let rate = report.minimum.unwrap();
    assert_eq!((rate.value, rate.n), (0.6, 5));
    assert_eq!(rate.ci95, botops_stats::intervals::wilson(3, 5, 0.95));
    let direction = report.direction.unwrap();
    assert_eq!((direction.value, direction.n), (0.5, 2));
    assert_eq!((report.must_pass, report.must_pass_failed), (1, 0));
    assert_eq!(report.unknown_intents, ["order_satus"]);
    assert_eq!(behaviour_warnings(&report)[0].code, "BOT-7081");
    let failed: Vec<(&str, &str, &str)> = report
        .failures
        .iter()
        .filter(|it| it.kind != BehaviourKind::Invariance)
        .map(|it| (it.text.as_str(), it.expected.as_str(), it.capability.as_str()))
        .collect();
    assert_eq!(
        failed,
        [
            ("refund my money", "order_status", "a parcel"),
            ("track my order", "order_satus", "misspelled intent"),
            ("refund the money", "p(refund) rises", "money"),
        ]
    );
    let invariance = report.invariance.unwrap();
    let n: u64 = report
        .capabilities
        .iter()
        .filter(|it| it.kind == BehaviourKind::Invariance)
        .map(|it| it.passed.n)
        .sum();
    assert_eq!(invariance.n, n);
    assert_eq!(report.without_variants, ["accents", "order numbers"]);
    // Same bytes whatever the number of threads.
    let bytes = serde_json::to_vec(&report).unwrap();
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one.install(|| test_behaviour(&model(), &spec(TESTS), "behaviour.yaml"));
    assert_eq!(bytes, serde_json::to_vec(&again).unwrap());
}

#[test]
fn mistakes_in_the_tests_name_their_key() {
    let key = |yaml: &str| {
        let spec: BehaviourSpec = botops_spec::parse(yaml, "b.yaml").unwrap();
        let fault = spec.check_ranges().unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7080", FaultKind::Usage), "{fault}");
        fault.place().key.clone().unwrap()
    };
    assert_eq!(key("version: 1"), "minimum");
    let group =
        |rest: &str| format!("{{version: 1, minimum: [{{capability: c, intent: i, {rest}}}]}}");
    assert_eq!(key(&group("utterances: []")), "minimum");
    assert_eq!(key(&group("utterances: [' ']")), "minimum[0]");
    assert_eq!(key(&group("utterances: [a, b], must_pass: [a]")), "minimum[0]");
    let with = |rest: &str| {
        format!("{{version: 1, minimum: [{{capability: c, intent: i, utterances: [a]}}], {rest}}}")
    };
    assert_eq!(key(&with("invariance: {per_utterance: 0}")), "invariance.per_utterance");
    assert_eq!(key(&with("invariance: {phrases: {de: [hallo]}}")), "invariance.phrases.de");
    let direction =
        |rest: &str| with(&format!("direction: [{{capability: d, expect: falls, {rest}}}]"));
    assert_eq!(key(&direction("intent: oos, pairs: [{from: a, to: b}]")), "direction[0].intent");
    assert_eq!(key(&direction("intent: i, pairs: [{from: a, to: a}]")), "direction[0].pairs");
    assert_eq!(key(&direction("intent: i, by: 1, pairs: [{from: a, to: b}]")), "direction[0].by");
}

fn gates(yaml: &str) -> botops_spec::Checked<GateSpec> {
    botops_spec::parse::<GateSpec>(yaml, "gates.yaml").unwrap().check().unwrap()
}

/// Returns an evaluation of the model on twenty records, without behavioural tests.
fn evaluated() -> (EvaluationReport, Dataset) {
    let rows: String = (0..20).map(|i| format!("where is my parcel {i},order_status\n")).collect();
    let csv = format!("text,intent\n{rows}");
    let data = botops_datasets::read_bytes(
        csv.as_bytes(),
        "t.csv",
        &botops_datasets::ReadOptions::default(),
    )
    .unwrap();
    (evaluate(&model(), Digest::of(b"model"), &data).unwrap(), data)
}

#[test]
fn rules_on_behaviour_are_judged_and_stored_with_the_digest_of_the_tests() {
    let (mut report, _) = evaluated();
    let rules = gates("{behaviour: {must_pass: true, minimum: {min: 0.5}, direction: {min: 0.9}}}");
    // Rules without tests fail: nothing was measured.
    let unmeasured = gate(&rules, &report, None).unwrap();
    assert!(!unmeasured.passed && unmeasured.results.iter().all(|result| !result.passed));
    assert!(unmeasured.basis.unwrap().bounds.iter().all(|bound| bound.value.is_none()));

    let tests = test_behaviour(&model(), &spec(TESTS), "behaviour.yaml");
    report.behaviour = Some(tests.clone());
    let judged = gate(&rules, &report, None).unwrap();
    let passed: Vec<bool> = judged.results.iter().map(|result| result.passed).collect();
    assert_eq!(passed, [true, true, false]);
    let basis = judged.basis.unwrap();
    assert_eq!(basis.behaviour, Some(tests.digest));
    let keys: Vec<(&str, f64, Option<f64>)> =
        basis.bounds.iter().map(|it| (it.key.as_str(), it.bound, it.value)).collect();
    assert_eq!(
        keys,
        [
            ("behaviour.must_pass", 0.0, Some(0.0)),
            ("behaviour.minimum.min", 0.5, Some(0.6)),
            ("behaviour.direction.min", 0.9, Some(0.5)),
        ]
    );
    // A must-pass utterance that fails fails the gate, and is named.
    let wrong = TESTS.replace("must_pass: [where is my parcel]", "must_pass: [give me a refund]");
    report.behaviour = Some(test_behaviour(&model(), &spec(&wrong), "behaviour.yaml"));
    let judged = gate(&rules, &report, None).unwrap();
    assert!(!judged.passed);
    assert!(judged.results[0].observed.contains("`give me a refund` is refund"), "{judged:?}");
    // Without rules on behaviour, the report keeps its bytes.
    let plain = gate(&gates("{metrics: {accuracy: {min: 0.1}}}"), &report, None).unwrap();
    assert!(!serde_json::to_string(&plain).unwrap().contains("behaviour"));
}

#[test]
fn negative_flips_have_a_budget_and_an_interval() {
    let (report, data) = evaluated();
    let flip = |record| Flip {
        record,
        text: "t".into(),
        truth: "a".into(),
        champion: "a".into(),
        challenger: "b".into(),
    };
    let mut comparison =
        compare((&model(), Digest::of(b"old")), (&model(), Digest::of(b"model")), &data).unwrap();
    let rules = gates("{flips: {max_negative: 0.05}}");
    let judged = |comparison: Option<&Comparison>| {
        let found = gate(&rules, &report, comparison).unwrap();
        let value = found.basis.as_ref().unwrap().bounds[0].value;
        (found.passed, value, found.results[0].observed.clone())
    };
    assert_eq!(judged(None), (true, None, "not applicable: no champion".to_owned()));
    comparison.newly_wrong = vec![flip(1)];
    let (passed, value, observed) = judged(Some(&comparison));
    assert_eq!((passed, value), (true, Some(0.05)));
    assert!(observed.contains("on 20 records") && observed.contains('['), "{observed}");
    comparison.newly_wrong = vec![flip(1), flip(2)];
    assert!(!judged(Some(&comparison)).0);
    let bad: GateSpec = botops_spec::parse("{flips: {max_negative: 2}}", "g").unwrap();
    assert_eq!(bad.check_ranges().unwrap_err().place().key.as_deref(), Some("flips.max_negative"));
    let none: GateSpec = botops_spec::parse("{behaviour: {}, flips: {}}", "g").unwrap();
    assert_eq!(none.check_ranges().unwrap_err().code(), "BOT-3010");
}
