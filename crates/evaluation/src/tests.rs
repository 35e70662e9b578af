mod behaviour;
mod entities;
mod gates;
mod version_sets;

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
            language: record.lang.as_deref().map(botops_text::Language::Declared),
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
    // Confidence rules, out-of-scope records and annotated spans are missing.
    assert_eq!(report.metrics.len(), METRICS.len() - 14);
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
    assert_eq!(with.per_guessed_language.keys().collect::<Vec<_>>(), [UNKNOWN_LANGUAGE]);
    assert!(with.per_language.is_empty(), "{:?}", with.per_language);
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
    assert!(report.per_guessed_language.is_empty());
}

#[test]
fn guessed_languages_are_marked_and_regions_do_not_count() {
    let mut lines: Vec<Line> = (0..20).map(|i| line(i % 2, i % 2)).collect();
    for (i, line) in lines.iter_mut().enumerate() {
        line.lang = [Some("en-GB"), Some("EN"), Some("tlh-Latn"), None][i % 4];
    }
    let report = measured(&subject(&["a", "b"], 2), &lines).unwrap();
    let n = |name: &str| report.per_language[name].n;
    assert_eq!((n("en"), n("tlh")), (10, 5));
    let names: Vec<String> = report.languages().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["en", "tlh", "unknown"], "these records have no text that tells");
    let guesser = botops_text::LanguageGuesser::any();
    let text = "where is the parcel that I ordered";
    let language = botops_text::Language::of(None, text, guesser);
    assert!(
        matches!(language, Some(botops_text::Language::Guessed(guess)) if guess.code() == "en")
    );
    let declared = botops_text::Language::of(Some("fr"), text, guesser);
    assert_eq!(declared, Some(botops_text::Language::Declared("fr")));
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
        lookups: BTreeMap::new(),
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
