//! The report of an evaluation: every number measured on a data set.

use crate::{
    behaviour_report::BehaviourReport,
    entity_report::EntityReport,
    metrics::{Metric, proportion},
};
use botops_digest::Digest;
use botops_labels::OOS;
use botops_models::confidence::{ConformalMethod, OosScore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Precision, recall and F1 of one class, or an average of classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// TP / (TP + FP); 0 when the class was never predicted.
    pub precision: f64,
    /// TP / (TP + FN); 0 when the class is absent.
    pub recall: f64,
    /// The harmonic mean of precision and recall; 0 when both are 0.
    pub f1: f64,
    /// The 95 % Wilson interval of recall.
    pub recall_ci95: [f64; 2],
    /// The number of records of the class.
    pub support: u64,
}

/// A record that the model misclassified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Misclassified {
    /// The number of the record, from 1.
    pub record: u64,
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its text, unchanged, so that programs can find it. Pages and tables show it without personal data.
    pub text: String,
    /// Its intent.
    pub truth: String,
    /// The intent that the model predicted.
    pub predicted: String,
    /// The confidence of the prediction.
    pub confidence: f64,
}

/// One bin of a reliability diagram: (lower, upper].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge, exclusive.
    pub lower: f64,
    /// Upper edge, inclusive.
    pub upper: f64,
    /// The number of samples in the bin.
    pub n: u64,
    /// The mean confidence of the samples.
    pub confidence: f64,
    /// The share of samples that are right.
    pub accuracy: f64,
}

/// Detection of out-of-scope utterances. In scope is the positive class; records are ranked by the deciding score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OosReport {
    /// The number of out-of-scope records.
    pub n_oos: u64,
    /// The number of in-scope records.
    pub n_in_scope: u64,
    /// Area under the ROC curve, with a bootstrap interval.
    pub auroc: Metric,
    /// The share of out-of-scope records that fall back.
    pub fallback_rate: Metric,
    /// Every score that the model has; empty in reports of versions that did not compare scores.
    #[serde(default)]
    pub scores: Vec<OosScoreReport>,
}

/// The separation of in-scope (positive) and out-of-scope records by one score; intervals from a bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OosScoreReport {
    /// The score.
    pub score: OosScore,
    /// Whether the model compares this score with its threshold.
    pub in_use: bool,
    /// The area under the ROC curve; 0.5 is chance.
    pub auroc: Metric,
    /// The average precision for in-scope records; their share of all records is chance.
    pub aupr: Metric,
    /// The average precision for out-of-scope records; their share of all records is chance.
    pub aupr_oos: Metric,
    /// The share of out-of-scope records accepted at the threshold that accepts 95 % of in-scope ones; 0 is best, 0.95 is
    /// chance.
    pub fpr95: Metric,
}

/// The records answered at the model's threshold, and the accuracy of the answers.
///
/// All records count: an answer to an out-of-scope record is always wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectiveReport {
    /// The score that is compared with the threshold.
    pub score: OosScore,
    /// The lowest score at which a record is answered.
    pub threshold: f64,
    /// The target accuracy of training, if one was set.
    pub target_accuracy: Option<f64>,
    /// The share of records that are answered.
    pub answered: Metric,
    /// The share of answered records that are right.
    pub accuracy: Metric,
    /// The area under the risk-coverage curve, with a bootstrap interval: the mean share of wrong answers as coverage
    /// grows from the most confident record to all.
    pub aurc: Metric,
    /// The distribution of the score; `None` without a finite score, and in reports of versions that did not count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoreHistogram>,
}

/// The distribution of the deciding score: equal-width bins from `from` to `to`, the last one closed.
///
/// A score outside the bins counts in the nearest one; NaN counts in none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// The lower edge of the first bin: 0 for probabilities and cosines, otherwise the lowest score.
    pub from: f64,
    /// The upper edge of the last bin: 1 for probabilities and cosines, otherwise the highest score.
    pub to: f64,
    /// In-scope records with the right prediction, by bin.
    pub right: Vec<u64>,
    /// In-scope records with a wrong prediction, by bin.
    pub wrong: Vec<u64>,
    /// Out-of-scope records, by bin.
    pub oos: Vec<u64>,
}

/// The guarantee of a model's prediction sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetsSummary {
    /// The largest share of in-scope records whose intent may be missing from the set.
    pub alpha: f64,
    /// The conformal score of an intent.
    pub method: ConformalMethod,
    /// Whether the guarantee holds for every intent by itself.
    pub class_conditional: bool,
}

/// The prediction sets of in-scope records. A set never contains an intent that the model does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetReport {
    /// The guarantee.
    pub promised: SetsSummary,
    /// The share of records whose intent is in the set.
    pub coverage: Metric,
    /// The mean number of intents in a set, with a bootstrap interval.
    pub size: Metric,
    /// The share of records with an empty set.
    pub empty: Metric,
}

/// The language of a record that declares none and whose text does not tell.
pub const UNKNOWN_LANGUAGE: &str = "unknown";

/// The measurements of a model on a data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// `botops.evaluation/1`.
    pub schema: String,
    /// The digest of the model file.
    pub model: Digest,
    /// The name of the data set, as given.
    pub data: String,
    /// The digest of the data file.
    pub data_digest: Digest,
    /// The number of in-scope records.
    pub n: u64,
    /// The metrics of [`crate::METRICS`] that could be measured: those that start with `oos_` need out-of-scope
    /// records, those with `entity_` annotated spans, and `answered_share` to `set_size` the confidence rules of the model.
    pub metrics: BTreeMap<String, Metric>,
    /// The intents in the order of the matrix: those of the model, then those that only the data has.
    pub intents: Vec<String>,
    /// Metrics by intent.
    pub per_class: BTreeMap<String, ClassMetrics>,
    /// `macro`, `micro`, `weighted`. The macro average is over the intents present in truth or predicted. Intervals of
    /// recall are Wilson, and bootstrap for `macro`; support is the number of all records.
    pub averages: BTreeMap<String, ClassMetrics>,
    /// Accuracy by declared language, without its region. Reports of earlier versions also have guessed languages here.
    pub per_language: BTreeMap<String, Metric>,
    /// Accuracy by guessed language, of the records that declare none; [`UNKNOWN_LANGUAGE`] if the text does not tell.
    /// No gate reads it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_guessed_language: BTreeMap<String, Metric>,
    /// Counts: `confusion[truth][predicted]`.
    pub confusion: Vec<Vec<u64>>,
    /// The reliability diagram: 15 equal-width bins, closed on the right.
    pub reliability: Vec<ReliabilityBin>,
    /// Out-of-scope detection, if the data has out-of-scope records.
    pub oos: Option<OosReport>,
    /// Answered records, if the confidence rules of the model are known.
    #[serde(default)]
    pub selective: Option<SelectiveReport>,
    /// Prediction sets, if the model makes them.
    #[serde(default)]
    pub sets: Option<SetReport>,
    /// The misclassified records, and the out-of-scope records that were answered (their truth is `oos`), the most
    /// confident first.
    pub errors: Vec<Misclassified>,
    /// Intents of the data that the model does not know.
    pub unknown_intents: Vec<String>,
    /// The entities, if the data annotates spans and the model looks for entities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<EntityReport>,
    /// The behavioural tests, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<BehaviourReport>,
}

impl Misclassified {
    /// Returns whether the record is out of scope, and wrong because it was answered.
    #[must_use]
    pub fn is_out_of_scope(&self) -> bool {
        self.truth == OOS
    }
}

impl OosReport {
    /// Returns the share of out-of-scope records that are answered.
    #[must_use]
    pub fn answered_share(&self) -> Metric {
        let n_declined = (self.fallback_rate.value * self.n_oos as f64).round() as u64;
        proportion(self.n_oos - n_declined.min(self.n_oos), self.n_oos)
    }
}

impl EvaluationReport {
    /// Returns the number of misclassified in-scope records.
    #[must_use]
    pub fn n_misclassified(&self) -> u64 {
        self.errors.iter().filter(|error| !error.is_out_of_scope()).count() as u64
    }

    /// Returns accuracy by language for tables: the declared languages, then the guessed ones, named as guessed.
    #[must_use]
    pub fn languages(&self) -> Vec<(String, &Metric)> {
        let guessed = |(name, metric): (&String, _)| match name == UNKNOWN_LANGUAGE {
            true => (name.clone(), metric),
            false => (format!("{name} (guessed)"), metric),
        };
        let declared = self.per_language.iter().map(|(name, metric)| (name.clone(), metric));
        declared.chain(self.per_guessed_language.iter().map(guessed)).collect()
    }
}
