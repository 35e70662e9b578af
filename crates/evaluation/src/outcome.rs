//! Predictions of a model on labeled records.

use crate::evaluation_report::SetsSummary;
use botops_datasets::{Dataset, Record};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_labels::{Labels, OOS};
use botops_models::{
    IntentModel, Prediction,
    confidence::{Evidence, FallbackRule, OosScore},
};
use botops_text::{Language, LanguageGuesser};
use std::collections::{BTreeMap, BTreeSet};

/// Texts classified at once: enough to keep every thread busy, few enough that the probabilities of a large file need
/// little memory.
const TEXTS_AT_ONCE: usize = 8_192;

/// The model and the data set of an evaluation.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The digest of the model file.
    pub model: Digest,
    /// The intents: those of the model first, then those that only the data has.
    pub intents: Vec<String>,
    /// The number of `intents` that the model knows.
    pub n_known: usize,
    /// The name of the data set, as given.
    pub data: String,
    /// The digest of the data file.
    pub data_digest: Digest,
}

/// The prediction of a model for one record.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// The record.
    pub record: &'a Record,
    /// The index of its intent; `None` when it is out of scope.
    pub truth: Option<usize>,
    /// The prediction.
    pub prediction: Prediction,
    /// The predicted probability of `truth`, in [0, 1]; 0 for an intent that the model does not know, or out of scope.
    pub probability_of_truth: f64,
    /// The language of the record, declared or guessed.
    pub language: Option<Language<'a>>,
}

/// The confidence rules of a model, and its prediction sets for the outcomes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelConfidence {
    /// The rule by which the model declines to answer.
    pub(crate) rule: FallbackRule,
    /// The divisor of its raw scores.
    pub(crate) temperature: f64,
    /// The guarantee of its prediction sets; `None` when it makes none.
    pub(crate) sets: Option<SetsSummary>,
    /// The set of each outcome, in their order; empty when the model makes none.
    pub(crate) set_outcomes: Vec<SetOutcome>,
}

/// The prediction set of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetOutcome {
    /// The number of intents in the set.
    pub(crate) size: usize,
    /// Whether the set holds the true intent.
    pub(crate) holds: bool,
}

impl ModelConfidence {
    /// Returns the rules of `model`, without set outcomes.
    pub(crate) fn of(model: &IntentModel) -> Self {
        Self {
            rule: model.fallback(),
            temperature: model.temperature(),
            sets: model.confidence().sets().map(|sets| SetsSummary {
                alpha: sets.alpha,
                method: sets.method,
                class_conditional: sets.is_class_conditional(),
            }),
            set_outcomes: Vec::new(),
        }
    }
}

/// Returns the value of `score` for a prediction; `None` when the model lacks the inputs of this score.
pub(crate) fn score_value(
    outcome: &Outcome<'_>,
    score: OosScore,
    rules: &ModelConfidence,
) -> Option<f64> {
    let prediction = &outcome.prediction;
    if score == rules.rule.score {
        return Some(prediction.score);
    }
    let (confidence, logit) = (prediction.confidence, prediction.logit);
    Evidence { confidence, logit, oos_logit: None, cosine: None }.score(score, rules.temperature)
}

/// Returns the intent of every record.
///
/// # Errors
/// `BOT-3003` (exit 3) when a record has no intent.
pub fn intents_of(data: &Dataset) -> Result<Vec<&str>> {
    let has_intent = |record: &Record| -> bool {
        record.intent.as_deref().is_some_and(|intent| !intent.is_empty())
    };
    let missing = data.records.iter().filter(|record| !has_intent(record)).count();
    if missing > 0 && missing == data.records.len() {
        return Err(Fault::data("BOT-3003", "no record has an intent to compare with")
            .file(&data.name)
            .hint("name the column that holds the intent with `--intent-column`")
            .hint("to classify records without intents, use `botops predict`"));
    }
    data.records
        .iter()
        .map(|record| match record.intent.as_deref() {
            Some(intent) if !intent.is_empty() => Ok(intent),
            _ => {
                let others = match missing - 1 {
                    0 => String::new(),
                    1 => " (and 1 more record has none)".to_owned(),
                    n => format!(" (and {n} more records have none)"),
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

/// Returns the predictions of `model` for every record of `data`.
pub(crate) fn predict_all<'a>(
    model: &IntentModel,
    digest: Digest,
    data: &'a Dataset,
    truths: &[&str],
) -> (Subject, Vec<Outcome<'a>>, ModelConfidence) {
    let mut rules = ModelConfidence::of(model);
    let subject = subject(model.labels(), digest, data, truths);
    let indices: BTreeMap<&str, usize> =
        subject.intents.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let mut outcomes = Vec::with_capacity(data.records.len());
    let mut truths = truths.iter();
    let guesser = guesser(data);
    for records in data.records.chunks(TEXTS_AT_ONCE) {
        let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let (predictions, proba) = model.predict_many(&texts);
        for ((record, prediction), proba) in records.iter().zip(predictions).zip(&proba) {
            let truth = truths.next().and_then(|name| indices.get(name).copied());
            let probability_of_truth =
                truth.and_then(|truth| proba.get(truth)).copied().unwrap_or(0.0);
            rules.set_outcomes.extend(model.prediction_set(proba).map(|set| SetOutcome {
                size: set.len(),
                holds: truth.is_some_and(|truth| set.contains(&truth)),
            }));
            let language = Language::of(record.lang.as_deref(), &record.text, &guesser);
            outcomes.push(Outcome { record, truth, prediction, probability_of_truth, language });
        }
    }
    (subject, outcomes, rules)
}

/// Returns the guesser of the languages of records that declare none: one of those that other records declare, if any.
pub(crate) fn guesser(data: &Dataset) -> LanguageGuesser {
    LanguageGuesser::for_declared(data.records.iter().filter_map(|record| record.lang.as_deref()))
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

/// Returns the number of outcomes that satisfy `predicate`.
pub(crate) fn count(outcomes: &[&Outcome<'_>], predicate: impl Fn(&Outcome<'_>) -> bool) -> u64 {
    outcomes.iter().filter(|outcome| predicate(outcome)).count() as u64
}
