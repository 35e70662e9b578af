//! Measures predictions and makes the evaluation report.

use crate::{
    confidence,
    entities::evaluate_entities,
    entity_report::EntityReport,
    evaluation_report::{
        ClassMetrics, EvaluationReport, Misclassified, OosReport, ReliabilityBin, SelectiveReport,
        SetReport, UNKNOWN_LANGUAGE,
    },
    metrics::{Metric, estimate, include, proportion},
    outcome::{ModelConfidence, Outcome, Subject, count, intents_of, predict_all},
    uncertainty::{self, Intervals, Sample},
};
use botops_datasets::Dataset;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_labels::OOS;
use botops_models::IntentModel;
use botops_stats::{
    bootstrap::Resampling,
    classification::{ConfusionMatrix, Labeled, Scores},
    intervals::{LEVEL, wilson},
    reliability::{BINS, expected_calibration_error, log_loss, reliability},
};
use botops_text::{Language, base_language};
use std::collections::BTreeMap;

/// The fewest in-scope records that can be evaluated.
pub(crate) const MIN_RECORDS: usize = 10;

/// Evaluates `model` on `data`.
///
/// # Errors
/// `BOT-3001` (exit 4) fewer than 10 in-scope records; `BOT-3002` (exit 3) no record has an intent that the model knows;
/// `BOT-3003` (exit 3) a record has no intent. As [`botops_dialogue::Dialogue::compile`].
pub fn evaluate(
    model: &IntentModel,
    model_digest: Digest,
    data: &Dataset,
) -> Result<EvaluationReport> {
    let spec = &model.lineage().spec;
    let intents: Vec<&str> =
        intents_of(data)?.into_iter().map(|label| spec.intent_of(label)).collect();
    let (subject, outcomes, rules) = predict_all(model, model_digest, data, &intents);
    let mut report = measure_with(&subject, &outcomes, Some(&rules))?;
    report.entities = evaluate_entities(model, data)?;
    report.metrics.extend(report.entities.iter().flat_map(EntityReport::metrics));
    Ok(report)
}

/// Makes the report from predictions. Records with an intent that the model does not know count as wrong.
///
/// # Errors
/// `BOT-3001` (exit 4) fewer than 10 in-scope records; `BOT-3002` (exit 3) no record has an intent that the model knows.
///
/// # Panics
/// When an index is not one of `subject.intents`.
pub fn measure(subject: &Subject, outcomes: &[Outcome<'_>]) -> Result<EvaluationReport> {
    measure_with(subject, outcomes, None)
}

/// Makes the report as [`measure`] does; given the confidence rules of the model, also measures its confidence.
///
/// # Errors
/// As [`measure`].
///
/// # Panics
/// As [`measure`], and when the model makes prediction sets and an outcome has none.
pub(crate) fn measure_with(
    subject: &Subject,
    outcomes: &[Outcome<'_>],
    rules: Option<&ModelConfidence>,
) -> Result<EvaluationReport> {
    let (in_scope, out): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.truth.is_some());
    let samples = samples(&in_scope);
    check(subject, &samples)?;

    let n_classes = subject.intents.len();
    let resampling = Resampling::default();
    let n = samples.len() as u64;
    let matrix = ConfusionMatrix::of(n_classes, samples.iter().map(|sample| sample.labeled));
    let bins = reliability(samples.iter().map(|s| (s.confidence, s.is_right())), BINS);
    let of_truth: Vec<f64> = samples.iter().map(|sample| sample.probability_of_truth).collect();
    let intervals = uncertainty::intervals(n_classes, &samples, &resampling);
    let fallbacks = count(&in_scope, |outcome| outcome.prediction.fallback);

    let accuracy = proportion(matrix.n_correct(), n);
    let mut metrics = BTreeMap::from(
        [
            ("accuracy", accuracy),
            ("micro_f1", accuracy),
            ("macro_f1", estimate(matrix.macro_average().f1, intervals.macro_f1, n)),
            ("weighted_f1", estimate(matrix.weighted_average().f1, intervals.weighted_f1, n)),
            ("ece", estimate(expected_calibration_error(&bins), intervals.ece, n)),
            ("log_loss", estimate(log_loss(&of_truth), intervals.log_loss, n)),
            ("fallback_rate", proportion(fallbacks, n)),
        ]
        .map(|(name, metric)| (name.to_owned(), metric)),
    );
    let oos = (!out.is_empty()).then(|| out_of_scope(&in_scope, &out, rules, &resampling));
    let selective = rules.map(|rules| confidence::selective(&in_scope, &out, rules, &resampling));
    let sets = rules.and_then(|rules| confidence::sets(outcomes, rules, &resampling));
    metrics.extend(confidence_metrics(oos.as_ref(), selective.as_ref(), sets.as_ref()));
    let per_class = subject.intents.iter().enumerate().map(|(class, name)| {
        let support = matrix.support(class);
        let recall_ci95 = wilson(matrix.true_positives(class), support, LEVEL);
        (name.clone(), class_metrics(matrix.scores(class), recall_ci95, support))
    });

    Ok(EvaluationReport {
        schema: "botops.evaluation/1".to_owned(),
        model: subject.model,
        data: subject.data.clone(),
        data_digest: subject.data_digest,
        n,
        metrics,
        per_class: per_class.collect(),
        averages: averages(&matrix, accuracy, &intervals),
        per_language: by_language(&in_scope, |language| match language {
            Some(Language::Declared(declared)) => Some(base_language(declared)),
            Some(Language::Guessed(_)) | None => None,
        }),
        per_guessed_language: by_language(&in_scope, |language| match language {
            Some(Language::Declared(_)) => None,
            Some(Language::Guessed(guess)) => Some(guess.code()),
            None => Some(UNKNOWN_LANGUAGE),
        }),
        confusion: matrix.to_rows(),
        reliability: bins
            .into_iter()
            .map(|bin| ReliabilityBin {
                lower: bin.lower,
                upper: bin.upper,
                n: bin.n,
                confidence: bin.confidence,
                accuracy: bin.accuracy,
            })
            .collect(),
        oos,
        selective,
        sets,
        errors: errors(subject, &in_scope, &out),
        unknown_intents: subject.intents[subject.n_known..].to_vec(),
        intents: subject.intents.clone(),
        entities: None,
        behaviour: None,
    })
}

/// Returns the metrics of out-of-scope detection, answered records and prediction sets that could be measured.
fn confidence_metrics(
    oos: Option<&OosReport>,
    selective: Option<&SelectiveReport>,
    sets: Option<&SetReport>,
) -> impl Iterator<Item = (String, Metric)> {
    let in_use = oos.iter().flat_map(|oos| &oos.scores).find(|score| score.in_use);
    [
        ("oos_auroc", oos.map(|oos| oos.auroc)),
        ("oos_fpr95", in_use.map(|score| score.fpr95)),
        ("oos_declined", oos.map(|oos| oos.fallback_rate)),
        ("oos_answered", oos.map(OosReport::answered_share)),
        ("answered_share", selective.map(|selective| selective.answered)),
        ("answered_accuracy", selective.map(|selective| selective.accuracy)),
        ("aurc", selective.map(|selective| selective.aurc)),
        ("set_coverage", sets.map(|sets| sets.coverage)),
        ("set_size", sets.map(|sets| sets.size)),
    ]
    .into_iter()
    .filter_map(|(name, metric)| Some((name.to_owned(), metric?)))
}

fn averages(
    matrix: &ConfusionMatrix,
    accuracy: Metric,
    intervals: &Intervals,
) -> BTreeMap<String, ClassMetrics> {
    let average = |scores: Scores, recall_ci95| class_metrics(scores, recall_ci95, accuracy.n);
    let macro_average = matrix.macro_average();
    let macro_recall = include(macro_average.recall, intervals.macro_recall);
    BTreeMap::from([
        ("macro".to_owned(), average(macro_average, macro_recall)),
        ("micro".to_owned(), average(matrix.micro_average(), accuracy.ci95)),
        ("weighted".to_owned(), average(matrix.weighted_average(), accuracy.ci95)),
    ])
}

fn samples(in_scope: &[&Outcome<'_>]) -> Vec<Sample> {
    in_scope
        .iter()
        .filter_map(|outcome| {
            Some(Sample {
                labeled: Labeled { truth: outcome.truth?, predicted: outcome.prediction.intent },
                confidence: outcome.prediction.confidence,
                probability_of_truth: outcome.probability_of_truth,
            })
        })
        .collect()
}

/// Refuses data with too few records, or without an intent that the model knows.
fn check(subject: &Subject, samples: &[Sample]) -> Result<()> {
    if samples.len() < MIN_RECORDS {
        let records = match samples.len() {
            0 => "no in-scope record".to_owned(),
            1 => "only 1 in-scope record".to_owned(),
            n => format!("only {n} in-scope records"),
        };
        return Err(Fault::insufficient(
            "BOT-3001",
            format!("{records} to evaluate on: at least {MIN_RECORDS} are needed"),
        )
        .file(&subject.data)
        .hint("evaluate on more labeled utterances that the model was not trained on"));
    }
    if samples.iter().all(|sample| sample.labeled.truth >= subject.n_known) {
        let names = |names: &[String]| {
            let shown: Vec<String> = names.iter().take(3).map(|name| format!("`{name}`")).collect();
            shown.join(", ") + if names.len() > 3 { ", …" } else { "" }
        };
        let (known, unknown) = subject.intents.split_at(subject.n_known);
        return Err(Fault::data(
            "BOT-3002",
            format!(
                "no record has an intent the model knows: the data has {}, the model {}",
                names(unknown),
                names(known)
            ),
        )
        .file(&subject.data)
        .hint("check that the model and the data belong together")
        .hint("name the column that holds the intent with `--intent-column`"));
    }
    Ok(())
}

fn class_metrics(scores: Scores, recall_ci95: [f64; 2], support: u64) -> ClassMetrics {
    let Scores { precision, recall, f1 } = scores;
    ClassMetrics { precision, recall, f1, recall_ci95, support }
}

/// Returns the accuracy of the records that `name` gives a name, by name.
fn by_language<'a>(
    in_scope: &[&Outcome<'a>],
    name: impl Fn(Option<Language<'a>>) -> Option<&'a str>,
) -> BTreeMap<String, Metric> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for outcome in in_scope {
        let Some(language) = name(outcome.language) else { continue };
        let (right, n) = counts.entry(language).or_default();
        *right += u64::from(outcome.truth == Some(outcome.prediction.intent));
        *n += 1;
    }
    counts.into_iter().map(|(name, (right, n))| (name.to_owned(), proportion(right, n))).collect()
}

fn out_of_scope(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    rules: Option<&ModelConfidence>,
    resampling: &Resampling,
) -> OosReport {
    let scores = |outcomes: &[&Outcome<'_>]| -> Vec<f64> {
        outcomes.iter().map(|outcome| outcome.prediction.score).collect()
    };
    let (value, interval) = uncertainty::auroc(&scores(in_scope), &scores(out), resampling);
    let (n_in_scope, n_oos) = (in_scope.len() as u64, out.len() as u64);
    OosReport {
        n_oos,
        n_in_scope,
        auroc: estimate(value, interval, n_in_scope + n_oos),
        fallback_rate: proportion(count(out, |outcome| outcome.prediction.fallback), n_oos),
        scores: rules.map_or_else(Vec::new, |rules| {
            confidence::oos_scores(in_scope, out, rules, resampling)
        }),
    }
}

/// Returns the misclassified records in scope, and the answered ones out of scope.
fn errors(
    subject: &Subject,
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
) -> Vec<Misclassified> {
    let wrong = |outcome: &Outcome<'_>| match outcome.truth {
        Some(truth) => (truth != outcome.prediction.intent).then(|| subject.intents[truth].clone()),
        None => (!outcome.prediction.fallback).then(|| OOS.to_owned()),
    };
    let mut errors: Vec<Misclassified> = in_scope
        .iter()
        .chain(out)
        .filter_map(|outcome| {
            Some(Misclassified {
                truth: wrong(outcome)?,
                record: outcome.record.record,
                line: outcome.record.line,
                text: outcome.record.text.clone(),
                predicted: subject.intents[outcome.prediction.intent].clone(),
                confidence: outcome.prediction.confidence,
            })
        })
        .collect();
    errors.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.record.cmp(&b.record)));
    errors
}
