//! Gates, and the proofs that passed gates become.

use super::*;
use botops_spec::{Checked, Spec as _};

fn written(yaml: &str) -> GateSpec {
    serde_yaml::from_str(yaml).unwrap()
}

fn spec(yaml: &str) -> Checked<GateSpec> {
    written(yaml).check().unwrap()
}

fn lines_of(report: &GateReport) -> Vec<String> {
    report
        .results
        .iter()
        .map(|r| {
            format!("{} {}: {}", if r.passed { "passed" } else { "FAILED" }, r.rule, r.observed)
        })
        .collect()
}

#[test]
fn absolute_gates_report_the_measured_number() {
    let spec = spec("metrics: {accuracy: {min: 0.7}, ece: {max: 0.1}, oos_auroc: {min: 0.8}}");
    let found = gate(&spec, &spread_report(), None).unwrap();
    let ece = spread_report().metrics["ece"].ci95;
    assert_eq!(
        lines_of(&found),
        [
            "passed accuracy >= 0.700: 0.700 [0.646, 0.749] on 300 records".to_owned(),
            format!("FAILED ece <= 0.100: 0.185 [{:.3}, {:.3}] on 300 records", ece[0], ece[1]),
            "FAILED oos_auroc >= 0.800: not measured: the data has no out-of-scope record"
                .to_owned(),
        ]
    );
    assert!(!found.passed);
    let findings = found.findings();
    assert_eq!(findings.len(), 2);
    assert!(findings[0].message.starts_with("gate `ece <= 0.100` failed: 0.185 ["));
}

#[test]
fn a_number_near_its_bound_has_enough_decimals_to_differ() {
    let found = gate(&spec("metrics: {accuracy: {min: 0.70004}}"), &spread_report(), None).unwrap();
    assert_eq!(found.results[0].rule, "accuracy >= 0.70004");
    assert!(found.results[0].observed.starts_with("0.70000 ["), "{}", found.results[0].observed);
}

#[test]
fn class_and_language_gates_name_the_worst() {
    let mut lines: Vec<Line> = (0..40).map(|i| line(i % 4, i % 4)).collect();
    for (i, line) in lines.iter_mut().enumerate() {
        line.lang = Some(if i % 8 < 4 { "en" } else { "fr" });
    }
    for wrong in [1, 5, 9, 13, 6] {
        lines[wrong].predicted = 0;
    }
    let report = measured(&subject(&["a", "b", "c", "d", "never"], 5), &lines[..]).unwrap();
    let spec = spec(
        "per_class: {recall: {min: 0.95}, precision: {min: 0.6}}\nper_language: {accuracy: {min: 0.8}}",
    );
    let found = gate(&spec, &report, None).unwrap();
    assert_eq!(
        lines_of(&found),
        [
            "FAILED precision of every intent >= 0.600: not measured: the data has no record of \
             `never`; worst is `a`: 0.667 on 10 records",
            "FAILED recall of every intent >= 0.950: not measured: the data has no record of \
             `never`; worst is `b`: 0.600 on 10 records; 2 intents fail, also `c` 0.900",
            "passed accuracy in every language >= 0.800: worst is `fr`: 0.850 on 20 records",
        ]
    );
}

#[test]
fn a_language_gate_without_languages_is_not_measured() {
    let found =
        gate(&spec("per_language: {accuracy: {min: 0.1}}"), &spread_report(), None).unwrap();
    assert_eq!(found.results[0].observed, "not measured: the data names no languages");
    assert!(!found.passed);
}

const RELATIVE: &str = "relative: {max_drop: {accuracy: 0.01, log_loss: 0.05}, \
                        max_newly_wrong: 10, mcnemar_alpha: 0.05}";

#[test]
fn without_a_champion_relative_rules_do_not_apply() {
    let found = gate(&spec(RELATIVE), &spread_report(), None).unwrap();
    assert_eq!(found.results.len(), 4);
    assert!(found.results.iter().all(|r| r.observed == "not applicable: no champion" && r.passed));
}

#[test]
fn relative_rules_know_the_direction_of_each_metric() {
    let report = spread_report();
    let mut worse = comparison(&report, 15, 5);
    for (name, by) in [("accuracy", 0.02), ("log_loss", -0.06)] {
        worse.champion_metrics.get_mut(name).unwrap().value += by;
    }
    let found = gate(&spec(RELATIVE), &report, Some(&worse)).unwrap();
    assert_eq!(
        lines_of(&found),
        [
            "FAILED accuracy at most 0.010 worse than the champion's: 0.700 against 0.720: 0.020 worse",
            "FAILED log_loss at most 0.050 worse than the champion's: 0.953 against 0.893: 0.060 worse",
            "FAILED newly wrong records <= 10: 15 newly wrong, 5 newly right",
            "FAILED not worse than the champion at mcnemar p < 0.050: accuracy 0.950 against 0.983, \
             p = 0.041",
        ]
    );
    let mut better = comparison(&report, 5, 15);
    for (name, by) in [("accuracy", -0.02), ("log_loss", 0.06)] {
        better.champion_metrics.get_mut(name).unwrap().value += by;
    }
    let found = gate(&spec(RELATIVE), &report, Some(&better)).unwrap();
    assert!(found.passed, "{:?}", lines_of(&found));
    assert!(found.results[1].observed.ends_with("0.060 better"));
}

#[test]
fn a_drop_of_exactly_the_bound_passes() {
    let mut report = spread_report();
    report.metrics.get_mut("accuracy").unwrap().value = 0.87;
    let mut against = comparison(&report, 3, 0);
    against.champion_metrics.get_mut("accuracy").unwrap().value = 0.88; // 0.88 - 0.87 > 0.01
    let found =
        gate(&spec("relative: {max_drop: {accuracy: 0.01}}"), &report, Some(&against)).unwrap();
    assert_eq!(found.results[0].observed, "0.870 against 0.880: 0.010 worse");
    assert!(found.passed);
}

#[test]
fn a_comparison_about_another_model_is_refused() {
    let report = spread_report();
    let mut other = comparison(&report, 0, 0);
    other.challenger = Digest::of(b"other");
    let fault = gate(&spec(RELATIVE), &report, Some(&other)).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-3012", FaultKind::Usage));
    let mut fewer = comparison(&report, 0, 0);
    fewer.n -= 1;
    assert_eq!(gate(&spec(RELATIVE), &report, Some(&fewer)).unwrap_err().code(), "BOT-3012");
}

#[test]
fn gates_that_cannot_be_judged_are_refused_by_key() {
    for (yaml, key, message) in [
        ("{}", None, "no gate is declared"),
        ("relative: {}", None, "no gate is declared"),
        (
            "metrics: {acuracy: {min: 0.8}}",
            Some("metrics.acuracy"),
            "a gate on `acuracy`, which is not measured",
        ),
        (
            "per_class: {accuracy: {min: 0.8}}",
            Some("per_class.accuracy"),
            "a gate on `accuracy`, which is not measured",
        ),
        (
            "metrics: {accuracy: {}}",
            Some("metrics.accuracy"),
            "the gate on `accuracy` cannot hold: it has neither `min` nor `max`",
        ),
        (
            "metrics: {ece: {min: 0.3, max: 0.1}}",
            Some("metrics.ece"),
            "the gate on `ece` cannot hold: its `min` 0.3 is above its `max` 0.1",
        ),
        (
            "metrics: {ece: {max: .nan}}",
            Some("metrics.ece"),
            "the gate on `ece` cannot hold: its bound is not a number",
        ),
        (
            "relative: {max_drop: {accuracy: -0.1}}",
            Some("relative.max_drop.accuracy"),
            "`-0.1` is not a valid largest drop",
        ),
        ("relative: {mcnemar_alpha: 5}", Some("relative.mcnemar_alpha"), "`5` is not in (0, 1)"),
    ] {
        let fault = written(yaml).check().unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-3010", FaultKind::Usage), "{yaml}");
        assert_eq!(fault.message(), message);
        let place = Place { key: key.map(str::to_owned), ..Place::default() };
        assert_eq!(fault.place(), &place);
        assert!(!fault.hints().is_empty());
    }
    let fault = written("metrics: {acuracy: {min: 0.8}}").check().unwrap_err();
    assert_eq!(fault.hints()[0], "did you mean `accuracy`?");
}

fn passing() -> GateReport {
    gate(&spec("metrics: {accuracy: {min: 0.6}}"), &spread_report(), None).unwrap()
}

#[test]
fn only_a_report_whose_every_gate_passed_becomes_a_proof() {
    let report = passing();
    let proof = passed(&report).unwrap();
    assert_eq!(proof.model(), report.model);
    assert_eq!(proof.evidence(), Digest::of(&proof.to_bytes()));

    let failing = gate(&spec("metrics: {accuracy: {min: 0.9}}"), &spread_report(), None).unwrap();
    assert!(passed(&failing).is_none());
    let mut forged = failing;
    forged.passed = true;
    assert!(passed(&forged).is_none());
    let mut empty = passing();
    empty.results.clear();
    assert!(passed(&empty).is_none());
    let mut other = passing();
    other.evidence = "a good feeling".to_owned();
    assert!(passed(&other).is_none());
}

#[test]
fn a_proof_is_rebuilt_from_its_own_bytes() {
    let proof = passed(&passing()).unwrap();
    let again =
        PassedGates::from_evidence(&proof.to_bytes(), proof.evidence(), proof.model()).unwrap();
    assert_eq!(again.evidence(), proof.evidence());
    assert_eq!(again.report().results, proof.report().results);
}

#[test]
fn evidence_of_version_1_is_a_proof() {
    let old = r#"{"evidence":"evaluation","model":"MODEL","passed":true,"results":[{"observed":"0.900","passed":true,
        "rule":"accuracy >= 0.800"}],"schema":"botops.gate/1"}"#;
    let model = Digest::of(b"model");
    let old = old.replace("\n        ", "").replace("MODEL", &model.to_string());
    let proof =
        PassedGates::from_evidence(old.as_bytes(), Digest::of(old.as_bytes()), model).unwrap();
    assert_eq!((proof.report().basis.as_ref(), proof.to_bytes()), (None, old.into_bytes()));
}

#[test]
fn a_report_records_its_data_its_bounds_and_the_numbers() {
    let rules = "metrics: {accuracy: {min: 0.6, max: 1.0}, oos_auroc: {min: 0.5}}
per_class: {recall: {min: 0.1}}
relative: {max_newly_wrong: 3}";
    let report = spread_report();
    let basis = gate(&spec(rules), &report, None).unwrap().basis.unwrap();
    assert_eq!((basis.data_digest, basis.n, basis.champion), (report.data_digest, report.n, None));
    let worst = report.per_class.values().map(|class| class.recall).fold(1.0, f64::min);
    let found: Vec<_> =
        basis.bounds.iter().map(|bound| (bound.key.as_str(), bound.bound, bound.value)).collect();
    let accuracy = Some(report.metrics["accuracy"].value);
    let expected = [
        ("metrics.accuracy.min", 0.6, accuracy),
        ("metrics.accuracy.max", 1.0, accuracy),
        ("metrics.oos_auroc.min", 0.5, None),
        ("per_class.recall.min", 0.1, Some(worst)),
        ("relative.max_newly_wrong", 3.0, None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn altered_or_foreign_evidence_is_refused() {
    let report = passing();
    let proof = passed(&report).unwrap();
    let (bytes, evidence, model) = (proof.to_bytes(), proof.evidence(), proof.model());
    let refused = |bytes: &[u8], evidence: Digest, model: Digest| {
        let fault = PassedGates::from_evidence(bytes, evidence, model).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-3011", FaultKind::Policy));
        fault.message().to_owned()
    };
    let mut altered = bytes.clone();
    *altered.last_mut().unwrap() = b' ';
    assert!(refused(&altered, evidence, model).contains("its digest is"));
    assert!(refused(&bytes, evidence, Digest::of(b"other")).contains("it is about model"));
    let sealed = |bytes: &[u8]| refused(bytes, Digest::of(bytes), model);
    assert!(sealed(b"[]").ends_with("it is not a gate report"));

    let mut forged = passing();
    forged.results[0].passed = false;
    let message = sealed(&botops_digest::canonical_json(&forged));
    assert!(message.contains("`accuracy >= 0.600` did not hold"), "{message}");
    let mut unmarked = passing();
    unmarked.passed = false;
    assert!(
        sealed(&botops_digest::canonical_json(&unmarked)).contains("does not say that it passed")
    );
    let mut newer = passing();
    newer.schema = "botops.gate/9".to_owned();
    assert!(sealed(&botops_digest::canonical_json(&newer)).contains("`botops.gate/9`"));
    let spaced = serde_json::to_vec_pretty(&report).unwrap();
    assert!(sealed(&spaced).ends_with("it is not in canonical form"));
}

#[test]
fn a_self_test_needs_goldens_that_are_answered_as_stored() {
    let judge = |n: usize, failures: &[&str]| {
        let failures = failures.iter().map(|&f| f.to_owned()).collect();
        judge_self_test(&SelfTest { n, n_generated: 6, failures }, Digest::of(b"model"))
    };
    let good = judge(32, &[]);
    assert_eq!(lines_of(&good), ["passed every golden is answered as stored: all 32 as stored"]);
    assert_eq!(passed(&good).unwrap().report().evidence, "golden-self-test");
    assert!(passed(&judge(0, &[])).is_none());
    let bad = judge(32, &["hi: wanted a, got b", "ho: wanted b, got a"]);
    assert!(passed(&bad).is_none());
    assert_eq!(bad.results[0].observed, "2 of 38 fail, such as hi: wanted a, got b");
}
