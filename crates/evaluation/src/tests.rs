use super::*;
use botops_datasets::{Dataset, Record};
use botops_digest::Digest;
use botops_findings::{FaultKind, Place};
use botops_models::{Prediction, SelfTest};
use std::collections::BTreeMap;

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

fn record(number: u64, intent: Option<&str>, lang: Option<&str>) -> Record {
    Record {
        text: format!("utterance {number}"),
        intent: intent.map(str::to_owned),
        lang: lang.map(str::to_owned),
        entities: Vec::new(),
        record: number,
        line: number + 1,
        file: None,
    }
}

/// A synthetic record: truth (`None` for out of scope), predicted, confidence, p(truth), score.
#[derive(Clone, Copy)]
struct Line {
    truth: Option<usize>,
    predicted: usize,
    confidence: f64,
    of_truth: f64,
    score: f64,
    fallback: bool,
    lang: Option<&'static str>,
}

fn line(truth: usize, predicted: usize) -> Line {
    Line {
        truth: Some(truth),
        predicted,
        confidence: 0.9,
        of_truth: if truth == predicted { 0.9 } else { 0.05 },
        score: 1.0,
        fallback: false,
        lang: None,
    }
}

fn subject(intents: &[&str], n_known: usize) -> Subject {
    Subject {
        model: Digest::of(b"model"),
        intents: intents.iter().map(|&name| name.to_owned()).collect(),
        n_known,
        data: "test.csv".to_owned(),
        data_digest: Digest::of(b"data"),
    }
}

fn measured(subject: &Subject, lines: &[Line]) -> botops_findings::Result<EvaluationReport> {
    let records: Vec<Record> = (1..).zip(lines).map(|(n, l)| record(n, None, l.lang)).collect();
    let outcomes: Vec<Outcome<'_>> = records
        .iter()
        .zip(lines)
        .map(|(record, line)| Outcome {
            record,
            truth: line.truth,
            prediction: Prediction {
                intent: line.predicted,
                confidence: line.confidence,
                logit: line.score,
                score: line.score,
                fallback: line.fallback,
            },
            probability_of_truth: line.of_truth,
            language: record.lang.as_deref(),
        })
        .collect();
    measure(subject, &outcomes)
}

/// The intents bye, faq, greet, order, as in the reference values.
fn reference_lines() -> (Subject, Vec<Line>) {
    let fixture = &reference()["classification"];
    let labels: Vec<String> = serde_json::from_value(fixture["labels"].clone()).unwrap();
    let index = |name: &serde_json::Value| labels.iter().position(|l| name == l).unwrap();
    let truth = fixture["y_true"].as_array().unwrap().iter().map(index);
    let predicted = fixture["y_pred"].as_array().unwrap().iter().map(index);
    let lines = truth.zip(predicted).map(|(truth, predicted)| line(truth, predicted)).collect();
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    (subject(&names, names.len()), lines)
}

#[test]
fn the_report_matches_scikit_learn() {
    // sklearn 1.9: classification_report(y_true, y_pred, zero_division=0), confusion_matrix
    let (subject, lines) = reference_lines();
    let report = measured(&subject, &lines).unwrap();
    let fixture = &reference()["classification"];
    for (intent, metrics) in &report.per_class {
        let expected = &fixture["report"][intent];
        close(metrics.precision, expected["precision"].as_f64().unwrap());
        close(metrics.recall, expected["recall"].as_f64().unwrap());
        close(metrics.f1, expected["f1-score"].as_f64().unwrap());
    }
    for (ours, theirs) in [("macro", "macro avg"), ("weighted", "weighted avg")] {
        let (average, expected) = (&report.averages[ours], &fixture["report"][theirs]);
        close(average.precision, expected["precision"].as_f64().unwrap());
        close(average.recall, expected["recall"].as_f64().unwrap());
        close(average.f1, expected["f1-score"].as_f64().unwrap());
        close(report.metrics[&format!("{ours}_f1")].value, average.f1);
    }
    close(report.metrics["accuracy"].value, 0.7);
    close(report.metrics["micro_f1"].value, 0.7);
    assert_eq!(serde_json::to_value(&report.confusion).unwrap(), fixture["confusion"]);
    assert_eq!(report.metrics["accuracy"].n, 10);
    assert!(!report.metrics.contains_key("oos_auroc"));
    let names: Vec<&str> = METRICS.iter().map(|(name, _)| *name).collect();
    assert!(report.metrics.keys().all(|name| names.contains(&name.as_str())));
    // Confidence rules and out-of-scope records are missing.
    assert_eq!(report.metrics.len(), METRICS.len() - 7);
}

/// 300 records of 4 intents with 30 % errors, equal to the Python lines in the test below.
fn spread_lines() -> Vec<Line> {
    (0..300_usize)
        .map(|i| {
            let truth = (i * 7 + i / 11) % 4;
            let wrong = (i * 13) % 10 < 3;
            let predicted = if wrong { (truth + 1 + usize::from(i % 3 == 0)) % 4 } else { truth };
            let confidence = 0.30 + 0.69 * ((i * 37) % 101) as f64 / 101.0;
            let of_truth = if wrong { (1.0 - confidence) / 2.0 } else { confidence };
            Line { confidence, of_truth, ..line(truth, predicted) }
        })
        .collect()
}

#[test]
fn values_and_intervals_match_an_independent_bootstrap() {
    // numpy 2.4 and sklearn 1.9, seed 0, 6,000 draws of r.integers(0, 300, 300), np.quantile; with
    //   truth = (i*7 + i//11) % 4; wrong = (i*13) % 10 < 3; conf = .3 + .69*((i*37) % 101)/101
    //   pred = where(wrong, (truth + 1 + (i % 3 == 0)) % 4, truth); p = where(wrong, (1-conf)/2, conf)
    // The ends of two bootstraps differ by chance, here by about 0.003.
    let report = measured(&subject(&["a", "b", "c", "d"], 4), &spread_lines()).unwrap();
    let macro_recall = &report.averages["macro"];
    let recall = Metric { value: macro_recall.recall, ci95: macro_recall.recall_ci95, n: report.n };
    for (metric, value, ends, tolerance) in [
        (report.metrics["macro_f1"], 0.699_232_634_383_939_8, [0.6471, 0.7492], 0.005),
        (recall, 0.700_502_152_080_344_3, [0.6499, 0.7521], 0.005),
        (report.metrics["weighted_f1"], 0.700_059_220_699_111, [0.6496, 0.7504], 0.005),
        (report.metrics["ece"], 0.184_562_376_237_623_75, [0.1512, 0.2458], 0.006),
        (report.metrics["log_loss"], 0.953_101_101_017_999_9, [0.8579, 1.0501], 0.01),
    ] {
        close(metric.value, value);
        for (found, expected) in metric.ci95.into_iter().zip(ends) {
            assert!((found - expected).abs() < tolerance, "{:?} is not near {ends:?}", metric.ci95);
        }
    }
    // statsmodels 0.15: proportion_confint(210, 300, method="wilson")
    let accuracy = report.metrics["accuracy"];
    close(accuracy.value, 0.7);
    assert_eq!(accuracy.ci95, botops_stats::intervals::wilson(210, 300, 0.95));
}

#[test]
fn the_report_is_the_same_on_any_number_of_threads() {
    let mut lines = spread_lines();
    let first = lines[0];
    lines.extend((0..40).map(|i| Line { truth: None, score: f64::from(i) / 30.0, ..first }));
    let subject = subject(&["a", "b", "c", "d"], 4);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        botops_digest::canonical_json(&pool.install(|| measured(&subject, &lines).unwrap()))
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn every_interval_includes_its_estimate() {
    let (subject, lines) = reference_lines();
    let mut certain: Vec<Line> = (0..10).map(|i| line(i % 4, i % 4)).collect();
    for line in &mut certain {
        (line.confidence, line.of_truth) = (1.0, 1.0);
    }
    for lines in [lines, certain] {
        let report = measured(&subject, &lines).unwrap();
        for (name, Metric { value, ci95: [lower, upper], .. }) in &report.metrics {
            assert!(lower <= value && value <= upper, "{name}: {value} in [{lower}, {upper}]");
        }
    }
}

#[test]
fn out_of_scope_records_count_only_in_the_out_of_scope_metrics() {
    let (subject, lines) = reference_lines();
    let without = measured(&subject, &lines).unwrap();
    // sklearn 1.9: roc_auc_score is 0.8 for these scores; doubling the in-scope ones does not change it.
    let fixture = &reference()["oos_auroc"];
    let scores: Vec<f64> = serde_json::from_value(fixture["score"].clone()).unwrap();
    let inside: Vec<u8> = serde_json::from_value(fixture["in_scope"].clone()).unwrap();
    let side = |value: u8| {
        scores.iter().zip(&inside).filter(move |(_, i)| **i == value).map(|(score, _)| *score)
    };
    let mut with: Vec<Line> = lines
        .iter()
        .zip(side(1).chain(side(1)))
        .map(|(line, score)| Line { score, ..*line })
        .collect();
    with.extend(side(0).enumerate().map(|(i, score)| Line {
        truth: None,
        score,
        fallback: i > 0,
        lang: Some("fr"),
        ..line(0, 1)
    }));
    let with = measured(&subject, &with).unwrap();
    let oos = with.oos.as_ref().unwrap();
    close(oos.auroc.value, fixture["auroc"].as_f64().unwrap());
    close(with.metrics["oos_auroc"].value, oos.auroc.value);
    assert_eq!((oos.n_in_scope, oos.n_oos, oos.auroc.n), (10, 3, 13));
    close(oos.fallback_rate.value, 2.0 / 3.0);
    close(with.metrics["fallback_rate"].value, 0.0);
    assert_eq!(with.n, 10);
    assert_eq!(with.confusion, without.confusion);
    assert_eq!(with.per_language.keys().collect::<Vec<_>>(), [UNKNOWN_LANGUAGE]);
    for name in without.metrics.keys() {
        assert_eq!(with.metrics[name], without.metrics[name], "{name}");
    }
}

#[test]
fn an_intent_the_model_does_not_know_counts_as_wrong_and_is_named() {
    let subject = subject(&["a", "b", "z"], 2);
    let mut lines: Vec<Line> = (0..8).map(|i| line(i % 2, i % 2)).collect();
    lines.extend([Line { of_truth: 0.0, ..line(2, 0) }, Line { of_truth: 0.0, ..line(2, 1) }]);
    let report = measured(&subject, &lines).unwrap();
    close(report.metrics["accuracy"].value, 0.8);
    close(report.per_class["z"].recall, 0.0);
    assert_eq!(report.per_class["z"].support, 2);
    assert_eq!(report.unknown_intents, ["z"]);
    // 8 records at -ln 0.9 and 2 at the clip, -ln 2^-52.
    let expected = (8.0 * -(0.9_f64.ln()) + 2.0 * 52.0 * 2.0_f64.ln()) / 10.0;
    close(report.metrics["log_loss"].value, expected);
}

#[test]
fn the_most_confident_errors_come_first_and_name_their_record_and_line() {
    let mut lines: Vec<Line> = (0..12).map(|i| line(i % 2, i % 2)).collect();
    for (at, confidence) in [(3, 0.6), (7, 0.95), (9, 0.6)] {
        lines[at] = Line { confidence, ..line(at % 2, (at + 1) % 2) };
    }
    let report = measured(&subject(&["a", "b"], 2), &lines).unwrap();
    let order: Vec<(u64, u64)> = report.errors.iter().map(|e| (e.record, e.line)).collect();
    assert_eq!(order, [(8, 9), (4, 5), (10, 11)]);
    assert_eq!((report.errors[0].truth.as_str(), report.errors[0].predicted.as_str()), ("b", "a"));
}

#[test]
fn accuracy_is_measured_by_language() {
    let mut lines: Vec<Line> = (0..20).map(|i| line(i % 2, i % 2)).collect();
    for (i, line) in lines.iter_mut().enumerate() {
        line.lang = if i < 12 { Some("en") } else { Some("fr") };
    }
    lines[13].predicted = 0;
    let report = measured(&subject(&["a", "b"], 2), &lines).unwrap();
    close(report.per_language["en"].value, 1.0);
    close(report.per_language["fr"].value, 7.0 / 8.0);
    assert_eq!(report.per_language["fr"].n, 8);
}

#[test]
fn nine_in_scope_records_are_too_few_even_with_out_of_scope_ones() {
    let mut lines: Vec<Line> = (0..9).map(|i| line(i % 2, 0)).collect();
    lines.extend([Line { truth: None, ..line(0, 0) }; 50]);
    let fault = measured(&subject(&["a", "b"], 2), &lines).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-3001", FaultKind::Insufficient));
    assert_eq!(fault.message(), "only 9 in-scope records to evaluate on: at least 10 are needed");
    assert_eq!(fault.place().file.as_deref(), Some("test.csv"));
}

#[test]
fn data_of_another_bot_is_refused() {
    let lines: Vec<Line> = (0..10).map(|_| line(2, 0)).collect();
    let fault = measured(&subject(&["a", "b", "z"], 2), &lines).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-3002", FaultKind::Gate));
    assert_eq!(
        fault.message(),
        "no record has an intent the model knows: the data has `z`, the model `a`, `b`"
    );
}

#[test]
fn a_record_without_an_intent_is_refused_by_its_place() {
    let data = |intents: &[Option<&str>]| Dataset {
        name: "test.csv".to_owned(),
        digest: Digest::of(b""),
        columns: BTreeMap::new(),
        records: (1..).zip(intents).map(|(n, intent)| record(n, *intent, None)).collect(),
    };
    let some = data(&[Some("a"), Some("oos"), Some(""), None]);
    let fault = intents_of(&some).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-3003", FaultKind::Gate));
    assert_eq!(
        fault.message(),
        "record 3 has no intent to compare with (and 1 more record has none)"
    );
    assert_eq!((fault.place().record, fault.place().line), (Some(3), Some(4)));
    let none = data(&[None, None]);
    let fault = intents_of(&none).unwrap_err();
    assert_eq!(fault.message(), "no record has an intent to compare with");
    assert!(fault.hints()[0].contains("--intent-column"));
    let labeled = data(&[Some("a"), Some("oos")]);
    assert_eq!(intents_of(&labeled).unwrap(), ["a", "oos"]);
}

/// A comparison over all records of `report`, with this many flips.
fn comparison(report: &EvaluationReport, newly_wrong: usize, newly_right: usize) -> Comparison {
    let n = usize::try_from(report.n).unwrap();
    let records: Vec<Record> = (1..).take(n).map(|i| record(i, Some("a"), None)).collect();
    let pairs: Vec<Pair<'_>> = records
        .iter()
        .enumerate()
        .map(|(i, record)| {
            let (champion, challenger) = match i {
                i if i < newly_wrong => ("a", "b"),
                i if i < newly_wrong + newly_right => ("b", "a"),
                _ => ("a", "a"),
            };
            Pair { record, truth: "a", champion, challenger }
        })
        .collect();
    pair((Digest::of(b"champion"), report.metrics.clone()), report.model, &pairs)
}

fn spread_report() -> EvaluationReport {
    measured(&subject(&["a", "b", "c", "d"], 4), &spread_lines()).unwrap()
}

#[test]
fn flips_are_listed_and_tested_exactly() {
    let report = spread_report();
    let found = comparison(&report, 5, 15);
    // statsmodels 0.15: mcnemar([[0, 5], [15, 0]], exact=True)
    close(found.mcnemar_p, reference()["mcnemar"]["exact"].as_f64().unwrap());
    assert_eq!((found.newly_wrong.len(), found.newly_right.len()), (5, 15));
    close(found.champion_accuracy, 285.0 / 300.0);
    close(found.challenger_accuracy, 295.0 / 300.0);
    let flip = &found.newly_right[0];
    assert_eq!((flip.record, flip.champion.as_str(), flip.challenger.as_str()), (6, "b", "a"));
}

fn spec(yaml: &str) -> GateSpec {
    serde_yaml::from_str(yaml).unwrap()
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
        let fault = gate(&spec(yaml), &spread_report(), None).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-3010", FaultKind::Usage), "{yaml}");
        assert_eq!(fault.message(), message);
        let place = Place { key: key.map(str::to_owned), ..Place::default() };
        assert_eq!(fault.place(), &place);
        assert!(!fault.hints().is_empty());
    }
    let fault = spec("metrics: {acuracy: {min: 0.8}}").check().unwrap_err();
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
    newer.schema = "botops.gate/2".to_owned();
    assert!(sealed(&botops_digest::canonical_json(&newer)).contains("`botops.gate/2`"));
    let spaced = serde_json::to_vec_pretty(&report).unwrap();
    assert!(sealed(&spaced).ends_with("it is not in canonical form"));
}

#[test]
fn a_self_test_needs_goldens_that_are_answered_as_stored() {
    let judge = |n: usize, failures: &[&str]| {
        let failures = failures.iter().map(|&f| f.to_owned()).collect();
        judge_self_test(&SelfTest { n, failures }, Digest::of(b"model"))
    };
    let good = judge(32, &[]);
    assert_eq!(lines_of(&good), ["passed every golden is answered as stored: all 32 as stored"]);
    assert_eq!(passed(&good).unwrap().report().evidence, "golden-self-test");
    assert!(passed(&judge(0, &[])).is_none());
    let bad = judge(32, &["hi: wanted a, got b", "ho: wanted b, got a"]);
    assert!(passed(&bad).is_none());
    assert_eq!(bad.results[0].observed, "2 of 32 differ, such as hi: wanted a, got b");
}
