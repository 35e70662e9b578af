//! From predictions to a report.

use super::{
    ClassMetrics, EvaluationReport, MIN_RECORDS, Metric, Misclassified, OosReport, ReliabilityBin,
    UNKNOWN_LANGUAGE,
    confidence::{self, SetOutcome, Stated},
    uncertainty::{self, Judged},
};
use botops_datasets::{Dataset, Record};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_models::{IntentModel, Prediction};
use botops_stats::{
    bootstrap::Resampling,
    classification::{ConfusionMatrix, Labeled, Scores},
    intervals::{LEVEL, wilson},
    reliability::{BINS, expected_calibration_error, log_loss, reliability},
};
use botops_text as text;
use std::collections::{BTreeMap, BTreeSet};

/// Texts classified at once: enough to keep every thread busy, little enough that the probabilities
/// of a large file need no memory to speak of.
const TEXTS_AT_ONCE: usize = 8_192;

/// What is evaluated, on what.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Digest of the model file.
    pub model: Digest,
    /// The intents: those of the model first, then those only the data has.
    pub intents: Vec<String>,
    /// How many of `intents` the model knows.
    pub n_known: usize,
    /// The data set as named.
    pub data: String,
    /// Digest of the data file.
    pub data_digest: Digest,
}

/// What a model said of one record.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// The record.
    pub record: &'a Record,
    /// Index of its intent; `None`: out of scope.
    pub truth: Option<usize>,
    /// What the model said.
    pub prediction: Prediction,
    /// The probability it gave to `truth`, in [0, 1]; 0 for an intent it does not know, or out of scope.
    pub probability_of_truth: f64,
    /// Its language, declared or detected.
    pub language: Option<&'a str>,
}

/// Evaluates `model` on `data`.
///
/// # Errors
/// `BOT-3001` (exit 4) when fewer than 10 in-scope records remain; `BOT-3002` (exit 3) when no record
/// has an intent the model knows; `BOT-3003` (exit 3) when a record has no intent.
pub fn evaluate(
    model: &IntentModel,
    model_digest: Digest,
    data: &Dataset,
) -> Result<EvaluationReport> {
    let intents = intents_of(data)?;
    let (subject, outcomes, stated) = ask(model, model_digest, data, &intents);
    measure_with(&subject, &outcomes, Some(&stated))
}

/// Returns the intent of every record.
pub fn intents_of(data: &Dataset) -> Result<Vec<&str>> {
    let intent = |record: &Record| -> bool {
        record.intent.as_deref().is_some_and(|intent| !intent.is_empty())
    };
    let missing = data.records.iter().filter(|record| !intent(record)).count();
    if missing > 0 && missing == data.records.len() {
        return Err(Fault::data("BOT-3003", "no record has an intent to compare with")
            .file(&data.name)
            .hint("name the column that holds the intent with `--intent-column`")
            .hint("to classify without knowing the truth, use `botops predict`"));
    }
    data.records
        .iter()
        .map(|record| match record.intent.as_deref() {
            Some(intent) if !intent.is_empty() => Ok(intent),
            _ => {
                let others = match missing - 1 {
                    0 => String::new(),
                    n => format!(" (nor have {n} more)"),
                };
                Err(Fault::data(
                    "BOT-3003",
                    format!("record {} has no intent to compare with{others}", record.record),
                )
                .at(data.place(record))
                .hint(format!("give it an intent, or `{OOS}` if it is out of scope, or remove it")))
            }
        })
        .collect()
}

/// Asks the model about every record.
pub(super) fn ask<'a>(
    model: &IntentModel,
    digest: Digest,
    data: &'a Dataset,
    truths: &[&str],
) -> (Subject, Vec<Outcome<'a>>, Stated) {
    let mut stated = Stated::of(model);
    let subject = subject(model.labels(), digest, data, truths);
    let indices: BTreeMap<&str, usize> =
        subject.intents.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut outcomes = Vec::with_capacity(data.records.len());
    let mut truths = truths.iter();
    for records in data.records.chunks(TEXTS_AT_ONCE) {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let (predictions, proba) = model.predict_many(&texts);
        for ((record, prediction), proba) in records.iter().zip(predictions).zip(&proba) {
            let truth = truths.next().and_then(|name| indices.get(name).copied());
            let probability_of_truth =
                truth.and_then(|truth| proba.get(truth)).copied().unwrap_or(0.0);
            stated.outcomes.extend(model.prediction_set(proba).map(|set| SetOutcome {
                size: set.len(),
                holds: truth.is_some_and(|truth| set.contains(&truth)),
            }));
            let language = record.lang.as_deref().or_else(|| text::detect_language(&record.text));
            outcomes.push(Outcome { record, truth, prediction, probability_of_truth, language });
        }
    }
    (subject, outcomes, stated)
}

fn subject(labels: &Labels, model: Digest, data: &Dataset, truths: &[&str]) -> Subject {
    let unknown: BTreeSet<&str> = truths
        .iter()
        .copied()
        .filter(|name| *name != OOS && labels.index_of(name).is_none())
        .collect();
    Subject {
        model,
        intents: labels.iter().chain(unknown).map(str::to_owned).collect(),
        n_known: labels.len(),
        data: data.name.clone(),
        data_digest: data.digest,
    }
}

/// Makes the report from what a model said. Records it does not know the intent of count as wrong.
///
/// # Errors
/// `BOT-3001` (exit 4) for fewer than 10 in-scope records; `BOT-3002` (exit 3) when none has an intent
/// the model knows.
///
/// # Panics
/// When an index is not one of `subject.intents`.
pub fn measure(subject: &Subject, outcomes: &[Outcome<'_>]) -> Result<EvaluationReport> {
    measure_with(subject, outcomes, None)
}

/// As [`measure`]; with what the model said of its confidence, that is measured, too.
///
/// # Errors
/// As [`measure`].
///
/// # Panics
/// As [`measure`], and when the model makes sets and there is not one for each outcome.
pub fn measure_with(
    subject: &Subject,
    outcomes: &[Outcome<'_>],
    stated: Option<&Stated>,
) -> Result<EvaluationReport> {
    let (in_scope, out): (Vec<_>, Vec<_>) =
        outcomes.iter().partition(|outcome| outcome.truth.is_some());
    let judged = judged(&in_scope);
    check(subject, &judged)?;

    let n_classes = subject.intents.len();
    let resampling = Resampling::default();
    let n = judged.len() as u64;
    let matrix = ConfusionMatrix::of(n_classes, judged.iter().map(|record| record.labeled));
    let bins = reliability(
        judged.iter().map(|record| (record.confidence, is_right(record.labeled))),
        BINS,
    );
    let of_truth: Vec<f64> = judged.iter().map(|record| record.probability_of_truth).collect();
    let spread = uncertainty::intervals(n_classes, &judged, &resampling);
    let fallbacks = count(&in_scope, |outcome| outcome.prediction.fallback);

    let accuracy = proportion(matrix.n_correct(), n);
    let mut metrics = BTreeMap::from(
        [
            ("accuracy", accuracy),
            ("micro_f1", accuracy),
            ("macro_f1", estimate(matrix.macro_average().f1, spread.macro_f1, n)),
            ("weighted_f1", estimate(matrix.weighted_average().f1, spread.weighted_f1, n)),
            ("ece", estimate(expected_calibration_error(&bins), spread.ece, n)),
            ("log_loss", estimate(log_loss(&of_truth), spread.log_loss, n)),
            ("fallback_rate", proportion(fallbacks, n)),
        ]
        .map(|(name, metric)| (name.to_owned(), metric)),
    );
    let oos = (!out.is_empty()).then(|| out_of_scope(&in_scope, &out, stated, &resampling));
    let selective =
        stated.map(|stated| confidence::selective(&in_scope, &out, stated, &resampling));
    let sets = stated.and_then(|stated| confidence::sets(outcomes, stated, &resampling));
    let in_use = oos.iter().flat_map(|oos| &oos.scores).find(|score| score.in_use);
    let found = [
        ("oos_auroc", oos.as_ref().map(|oos| oos.auroc)),
        ("oos_fpr95", in_use.map(|score| score.fpr95)),
        ("answered_share", selective.as_ref().map(|selective| selective.answered)),
        ("answered_accuracy", selective.as_ref().map(|selective| selective.accuracy)),
        ("aurc", selective.as_ref().map(|selective| selective.aurc)),
        ("set_coverage", sets.as_ref().map(|sets| sets.coverage)),
        ("set_size", sets.as_ref().map(|sets| sets.size)),
    ];
    metrics.extend(found.into_iter().filter_map(|(name, metric)| Some((name.to_owned(), metric?))));

    let average = |scores: Scores, recall_ci95| class_metrics(scores, recall_ci95, n);
    let macro_average = matrix.macro_average();
    let averages = BTreeMap::from([
        (
            "macro".to_owned(),
            average(macro_average, hold(macro_average.recall, spread.macro_recall)),
        ),
        ("micro".to_owned(), average(matrix.micro_average(), accuracy.ci95)),
        ("weighted".to_owned(), average(matrix.weighted_average(), accuracy.ci95)),
    ]);
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
        averages,
        per_language: per_language(&in_scope),
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
        errors: errors(subject, &in_scope),
        unknown_intents: subject.intents[subject.n_known..].to_vec(),
        intents: subject.intents.clone(),
    })
}

fn judged(in_scope: &[&Outcome<'_>]) -> Vec<Judged> {
    in_scope
        .iter()
        .filter_map(|outcome| {
            Some(Judged {
                labeled: Labeled { truth: outcome.truth?, predicted: outcome.prediction.intent },
                confidence: outcome.prediction.confidence,
                probability_of_truth: outcome.probability_of_truth,
            })
        })
        .collect()
}

fn check(subject: &Subject, judged: &[Judged]) -> Result<()> {
    if judged.len() < MIN_RECORDS {
        let records = match judged.len() {
            0 => "no in-scope record".to_owned(),
            1 => "only 1 in-scope record".to_owned(),
            n => format!("only {n} in-scope records"),
        };
        return Err(Fault::insufficient(
            "BOT-3001",
            format!("{records} to evaluate on: at least {MIN_RECORDS} are needed"),
        )
        .file(&subject.data)
        .hint("evaluate on more labelled utterances that the model was not trained on"));
    }
    if judged.iter().all(|record| record.labeled.truth >= subject.n_known) {
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

fn is_right(labeled: Labeled) -> bool {
    labeled.truth == labeled.predicted
}

fn count(outcomes: &[&Outcome<'_>], matches: impl Fn(&Outcome<'_>) -> bool) -> u64 {
    outcomes.iter().filter(|outcome| matches(outcome)).count() as u64
}

pub(super) fn proportion(part: u64, n: u64) -> Metric {
    let value = if n == 0 { 0.0 } else { part as f64 / n as f64 };
    Metric { value, ci95: wilson(part, n, LEVEL), n }
}

pub(super) fn estimate(value: f64, interval: [f64; 2], n: u64) -> Metric {
    Metric { value, ci95: hold(value, interval), n }
}

/// Stretches `interval` to hold `value`. Resampling makes calibration error larger on average than it
/// is in the sample, so that its percentiles may all lie above it.
fn hold(value: f64, [lower, upper]: [f64; 2]) -> [f64; 2] {
    [lower.min(value), upper.max(value)]
}

fn class_metrics(scores: Scores, recall_ci95: [f64; 2], support: u64) -> ClassMetrics {
    let Scores { precision, recall, f1 } = scores;
    ClassMetrics { precision, recall, f1, recall_ci95, support }
}

fn per_language(in_scope: &[&Outcome<'_>]) -> BTreeMap<String, Metric> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for outcome in in_scope {
        let language = outcome.language.filter(|l| !l.is_empty()).unwrap_or(UNKNOWN_LANGUAGE);
        let (right, n) = counts.entry(language).or_default();
        *right += u64::from(outcome.truth == Some(outcome.prediction.intent));
        *n += 1;
    }
    counts.into_iter().map(|(name, (right, n))| (name.to_owned(), proportion(right, n))).collect()
}

fn out_of_scope(
    in_scope: &[&Outcome<'_>],
    out: &[&Outcome<'_>],
    stated: Option<&Stated>,
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
        scores: stated.map_or_else(Vec::new, |stated| {
            confidence::oos_scores(in_scope, out, stated, resampling)
        }),
    }
}

fn errors(subject: &Subject, in_scope: &[&Outcome<'_>]) -> Vec<Misclassified> {
    let mut errors: Vec<Misclassified> = in_scope
        .iter()
        .filter_map(|outcome| {
            let truth = outcome.truth.filter(|&truth| truth != outcome.prediction.intent)?;
            Some(Misclassified {
                record: outcome.record.record,
                line: outcome.record.line,
                text: outcome.record.text.clone(),
                truth: subject.intents[truth].clone(),
                predicted: subject.intents[outcome.prediction.intent].clone(),
                confidence: outcome.prediction.confidence,
            })
        })
        .collect();
    errors.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then(a.record.cmp(&b.record)));
    errors
}
