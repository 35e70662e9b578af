//! Utterances to classify, and their predictions.

use super::{arguments::Args, explained::Explained};
use crate::cli::arguments::model_arg::Found;
use botops_dialogue::Entity;
use serde::Serialize;

/// An utterance and its prediction.
#[derive(Debug, Serialize)]
pub(super) struct Classified {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<u64>,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truth: Option<String>,
    pub(super) intent: String,
    pub(super) confidence: f64,
    /// The score compared with the threshold: the confidence, unless the model uses another score.
    pub(super) score: f64,
    pub(super) fallback: bool,
    /// The intents that hold the truth with the probability stated in training, if the model has prediction sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prediction_set: Option<Vec<String>>,
    pub(super) scores: Vec<Score>,
    /// The entities, by position; `None` if the model finds none, or they are not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entities: Option<Vec<Entity>>,
    /// The probability of each intent, in the order of the labels; empty if it is not wanted.
    #[serde(skip)]
    pub(super) proba: Vec<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) explanation: Option<Explained>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Score {
    pub(super) intent: String,
    pub(super) probability: f64,
}

/// An utterance to classify.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) record: Option<u64>,
    pub(super) text: String,
    pub(super) truth: Option<String>,
}

/// The part of each prediction that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// The number of likeliest intents.
    top: usize,
    /// Whether the probability of every intent is wanted.
    proba: bool,
}

impl Wanted {
    /// The number of intents without `--top`.
    const TOP: usize = 3;

    /// Returns what the flags ask of the model.
    pub(super) fn of(args: &Args, found: &Found) -> Self {
        match args.probabilities {
            true => Self { top: found.model.labels().len(), proba: true },
            false => Self { top: args.top.unwrap_or(Self::TOP), proba: false },
        }
    }
}

/// Classifies in parallel.
pub(super) fn classify(found: &Found, requests: Vec<Request>, wanted: Wanted) -> Vec<Classified> {
    let labels = found.model.labels();
    let texts: Vec<&str> = requests.iter().map(|request| request.text.as_str()).collect();
    let (predictions, proba) = found.model.predict_many(&texts);
    let judged = requests.into_iter().zip(predictions).zip(proba);
    judged
        .map(|((request, prediction), proba)| Classified {
            record: request.record,
            text: request.text,
            truth: request.truth,
            intent: labels.name(prediction.intent).to_owned(),
            confidence: prediction.confidence,
            score: prediction.score,
            fallback: prediction.fallback,
            prediction_set: found
                .model
                .prediction_set(&proba)
                .map(|set| set.into_iter().map(|i| labels.name(i).to_owned()).collect()),
            scores: prediction
                .likeliest(&proba, wanted.top)
                .into_iter()
                .map(|i| Score { intent: labels.name(i).to_owned(), probability: proba[i] })
                .collect(),
            proba: if wanted.proba { proba } else { Vec::new() },
            entities: None,
            explanation: None,
        })
        .collect()
}
