//! A model against data: metrics with intervals, errors, paired comparison, gates.
//!
//! In come a model and labelled records; out come an [`EvaluationReport`], a [`Comparison`] with the
//! champion, a [`GateReport`], and, when every gate held, the [`PassedGates`] without which nothing
//! moves `champion`. Out-of-scope records count only in the out-of-scope metrics.
//!
//! Each step has a pure half that takes plain numbers ([`measure`], [`pair`], [`judge_self_test`]),
//! and a half that asks the model first ([`evaluate`], [`compare`], [`gate_by_self_test`]).

pub(crate) mod search_report;

mod comparison;
mod confidence;
mod cross_validation;
mod folds;
mod gates;
mod importance;
mod learning_curve;
pub mod measurement;
mod proof;
mod seeds;
mod uncertainty;

pub use comparison::{Pair, compare, pair};
pub use confidence::{SetOutcome, Stated};
pub use cross_validation::{
    Candidate, CrossValidation, FoldScore, SpecComparison, compare_with_first, cross_validate,
    judge_folds,
};
pub use folds::{
    FoldComparison, FoldOutcome, MetricName, compare_folds, pooled, score, test_train_ratio,
};
pub use gates::gate;
pub use importance::{Importance, SettingGroup, SettingKind};
pub use learning_curve::{CurvePoint, LearningCurve, Outlook, SHARES, learning_curve};
pub use measurement::{Outcome, Subject, evaluate, measure, measure_with};
pub use proof::{PassedGates, gate_by_self_test, judge_self_test, passed};
pub use search_report::{
    JudgedTrial, Rival, Rung, SearchReport, SearchSetting, SearchTrial, ranked, summarise,
};
pub use seeds::{SeedSpread, Spread, seed_spread};

use botops_digest::Digest;
use botops_findings::{Finding, Severity};
use botops_models::confidence::{ConformalMethod, OosScore};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether more of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// As of accuracy.
    Higher,
    /// As of an error.
    Lower,
}

/// The names of [`EvaluationReport::metrics`], and which way each is better.
pub const METRICS: [(&str, Better); 14] = [
    ("accuracy", Better::Higher),
    ("macro_f1", Better::Higher),
    ("weighted_f1", Better::Higher),
    ("micro_f1", Better::Higher),
    ("ece", Better::Lower),
    ("log_loss", Better::Lower),
    ("fallback_rate", Better::Lower),
    ("oos_auroc", Better::Higher),
    ("oos_fpr95", Better::Lower),
    ("answered_share", Better::Higher),
    ("answered_accuracy", Better::Higher),
    ("aurc", Better::Lower),
    ("set_coverage", Better::Higher),
    ("set_size", Better::Lower),
];

/// Fewer in-scope records than this are too few to say anything.
pub const MIN_RECORDS: usize = 10;

/// A number with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The estimate.
    pub value: f64,
    /// The 95 % interval: Wilson for proportions, percentile bootstrap (2,000 draws, seed 17) for the
    /// rest, stretched to hold the estimate where the bootstrap is biased (calibration error is).
    pub ci95: [f64; 2],
    /// Samples it rests on.
    pub n: u64,
}

/// Precision, recall and F1 of one class, or an average of classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// TP / (TP + FP); 0 when nothing was predicted.
    pub precision: f64,
    /// TP / (TP + FN); 0 when the class is absent.
    pub recall: f64,
    /// Harmonic mean; 0 when both are.
    pub f1: f64,
    /// Wilson interval of recall.
    pub recall_ci95: [f64; 2],
    /// Records of the class.
    pub support: u64,
}

/// A record the model got wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Misclassified {
    /// Its record, from 1.
    pub record: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Its text, as it is written: programs find it by it. What people read shows it without personal data.
    pub text: String,
    /// Its intent.
    pub truth: String,
    /// What the model said.
    pub predicted: String,
    /// How sure it was.
    pub confidence: f64,
}

/// One bin of a reliability diagram: (lower, upper].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Lower edge, exclusive.
    pub lower: f64,
    /// Upper edge, inclusive.
    pub upper: f64,
    /// Samples in it.
    pub n: u64,
    /// Mean confidence.
    pub confidence: f64,
    /// Share right.
    pub accuracy: f64,
}

/// How well out-of-scope utterances are told apart (in scope is positive; ranked by the score that decides).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OosReport {
    /// Out-of-scope records.
    pub n_oos: u64,
    /// In-scope records.
    pub n_in_scope: u64,
    /// Area under the ROC curve, with a bootstrap interval.
    pub auroc: Metric,
    /// Share of out-of-scope records that fall back.
    pub fallback_rate: Metric,
    /// Each score that the model has; empty in reports of before they were compared.
    #[serde(default)]
    pub scores: Vec<OosScoreReport>,
}

/// How well one score tells what is in scope (positive) from what is not; intervals from a bootstrap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OosScoreReport {
    /// The score.
    pub score: OosScore,
    /// Whether it is the one held against the model's threshold.
    pub in_use: bool,
    /// Area under the ROC curve; 0.5 is chance.
    pub auroc: Metric,
    /// Average precision of finding what is in scope; its share of the records is chance.
    pub aupr: Metric,
    /// Average precision of finding what is out of scope; its share of the records is chance.
    pub aupr_oos: Metric,
    /// Share of out-of-scope records that pass where 95 % of the in-scope ones do; 0 is best, 0.95 chance.
    pub fpr95: Metric,
}

/// What is answered at the model's threshold, and how often that is right.
///
/// It is about all records: an answered out-of-scope one is wrong, whatever the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectiveReport {
    /// The score held against the threshold.
    pub score: OosScore,
    /// A record is answered when its score is this or more.
    pub threshold: f64,
    /// The accuracy that was stated in training, if any.
    pub target_accuracy: Option<f64>,
    /// Share of records answered.
    pub answered: Metric,
    /// Share of the answered that is right.
    pub accuracy: Metric,
    /// Area under the risk-coverage curve: the mean share of wrong answers from the surest record down to all, with
    /// a bootstrap interval.
    pub aurc: Metric,
    /// How the score is spread; `None` in reports of before it was counted, and where there is no finite score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<ScoreHistogram>,
}

/// How the score that decides is spread: bins of one width from `from` to `to`, the last one closed.
///
/// A score outside of the bins counts in the nearest; one that is no number, in none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreHistogram {
    /// Where the first bin begins: 0 for probabilities and cosines, else the least score.
    pub from: f64,
    /// Where the last bin ends: 1 for probabilities and cosines, else the greatest score.
    pub to: f64,
    /// In-scope records that were given the right intent, by bin.
    pub right: Vec<u64>,
    /// In-scope records that were given another.
    pub wrong: Vec<u64>,
    /// Out-of-scope records.
    pub oos: Vec<u64>,
}

/// What the model's sets of intents promise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetsSummary {
    /// The share of in-scope records whose intent the set may miss.
    pub alpha: f64,
    /// How strange an intent is.
    pub method: ConformalMethod,
    /// Whether the promise is made of every intent.
    pub class_conditional: bool,
}

/// Whether sets of intents hold the truth, on in-scope records; an intent the model does not know is in none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetReport {
    /// What they promise.
    pub promised: SetsSummary,
    /// Share of records whose intent is in its set.
    pub coverage: Metric,
    /// Mean number of intents in a set, with a bootstrap interval.
    pub size: Metric,
    /// Share of records whose set is empty.
    pub empty: Metric,
}

/// The language of a record that declares none and does not tell; gates pass it over.
pub const UNKNOWN_LANGUAGE: &str = "unknown";

/// Everything known of a model on a data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// `botops.evaluation/1`.
    pub schema: String,
    /// Digest of the model file.
    pub model: Digest,
    /// The data set as named.
    pub data: String,
    /// Digest of the data file.
    pub data_digest: Digest,
    /// In-scope records evaluated.
    pub n: u64,
    /// Those of [`METRICS`] that could be measured: `oos_auroc` and `oos_fpr95` want out-of-scope records, the last
    /// five what a model says of its confidence ([`Stated`]).
    pub metrics: BTreeMap<String, Metric>,
    /// The intents, in the order of the matrix: those of the model, then any the data has and the model does not.
    pub intents: Vec<String>,
    /// By intent.
    pub per_class: BTreeMap<String, ClassMetrics>,
    /// `macro`, `micro`, `weighted`. Macro is over the intents present in truth or predicted. Intervals
    /// of recall: Wilson, and for `macro` the bootstrap; support is all records.
    pub averages: BTreeMap<String, ClassMetrics>,
    /// Accuracy by language (declared, else detected, else [`UNKNOWN_LANGUAGE`]).
    pub per_language: BTreeMap<String, Metric>,
    /// `confusion[truth][predicted]`, counts.
    pub confusion: Vec<Vec<u64>>,
    /// 15 equal-width bins, right-closed.
    pub reliability: Vec<ReliabilityBin>,
    /// Out-of-scope, when the data has such records.
    pub oos: Option<OosReport>,
    /// What is answered, where the model said when it declines.
    #[serde(default)]
    pub selective: Option<SelectiveReport>,
    /// Its sets of intents, where it makes any.
    #[serde(default)]
    pub sets: Option<SetReport>,
    /// The records it got wrong, the surest first.
    pub errors: Vec<Misclassified>,
    /// Intents in the data that the model does not know.
    pub unknown_intents: Vec<String>,
}

/// A record on which champion and challenger differ in being right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Its record, from 1.
    pub record: u64,
    /// Its text, as it is written: programs find it by it. What people read shows it without personal data.
    pub text: String,
    /// Its intent.
    pub truth: String,
    /// What the champion said.
    pub champion: String,
    /// What the challenger said.
    pub challenger: String,
}

/// Champion and challenger on the same records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Comparison {
    /// `botops.comparison/1`.
    pub schema: String,
    /// Digest of the champion's file.
    pub champion: Digest,
    /// Digest of the challenger's file.
    pub challenger: Digest,
    /// In-scope records compared.
    pub n: u64,
    /// Champion's accuracy.
    pub champion_accuracy: f64,
    /// Challenger's accuracy.
    pub challenger_accuracy: f64,
    /// Champion's metrics on these records, by the names of [`EvaluationReport::metrics`].
    pub champion_metrics: BTreeMap<String, Metric>,
    /// Right before, wrong now.
    pub newly_wrong: Vec<Flip>,
    /// Wrong before, right now.
    pub newly_right: Vec<Flip>,
    /// Exact two-sided McNemar p-value.
    pub mcnemar_p: f64,
}

/// Rules on promotion, as written in YAML: `accuracy: {min: 0.8}`, and so on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// Bounds on metrics, by name.
    pub metrics: BTreeMap<String, Bound>,
    /// Bounds on `recall`, `precision` or `f1` of every intent; one without records fails them.
    pub per_class: BTreeMap<String, Bound>,
    /// Bounds on `accuracy` in every language.
    pub per_language: BTreeMap<String, Bound>,
    /// Against the champion: most that a metric may be lower (`max_drop`), most newly wrong records, least McNemar p when worse.
    pub relative: Option<RelativeGate>,
}

/// A bound on a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bound {
    /// Not below this.
    pub min: Option<f64>,
    /// Not above this.
    pub max: Option<f64>,
}

/// Rules against the champion.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelativeGate {
    /// Metric to the most it may be worse than the champion's.
    pub max_drop: BTreeMap<String, f64>,
    /// Most records that were right and now are wrong.
    pub max_newly_wrong: Option<u64>,
    /// Fails when the challenger is worse and the exact McNemar p-value is below this.
    pub mcnemar_alpha: Option<f64>,
}

/// One gate's outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The rule, such as `accuracy >= 0.800`.
    pub rule: String,
    /// What was measured.
    pub observed: String,
    /// Whether it held.
    pub passed: bool,
}

/// All gates' outcomes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReport {
    /// `botops.gate/1`.
    pub schema: String,
    /// The model judged.
    pub model: Digest,
    /// What it was judged on: `evaluation` or `golden-self-test`.
    pub evidence: String,
    /// Each rule.
    pub results: Vec<GateResult>,
    /// Whether all held.
    pub passed: bool,
}

impl GateReport {
    /// Returns a finding for each gate that failed.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let failed = self.results.iter().filter(|result| !result.passed);
        failed
            .map(|GateResult { rule, observed, .. }| {
                Finding::new(
                    "BOT-3020",
                    Severity::Error,
                    format!("gate `{rule}` failed: {observed}"),
                    "look at the errors behind the number, add examples of what is confused, \
                     and train again",
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;

/// Returns the reference values that the tests are pinned to.
#[cfg(test)]
fn reference() -> serde_json::Value {
    let text = include_str!("../../../tests/fixtures/reference_values.json");
    serde_json::from_str(text).expect("the fixture is valid JSON")
}
