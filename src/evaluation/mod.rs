//! A model against data: metrics with intervals, errors, paired comparison, gates.

use crate::{datasets::Dataset, digest::Digest, findings::Result, models::IntentModel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A number with its uncertainty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The estimate.
    pub value: f64,
    /// The 95 % interval: Wilson for proportions, percentile bootstrap (2,000 draws, seed 17) for the rest.
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
    /// Its text.
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

/// How well out-of-scope utterances are told apart (in scope is positive; ranked by the largest raw score).
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
}

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
    /// `accuracy`, `macro_f1`, `weighted_f1`, `micro_f1`, `ece`, `log_loss`, `fallback_rate`, and with out-of-scope records `oos_auroc`.
    pub metrics: BTreeMap<String, Metric>,
    /// The intents, in the order of the matrix: those of the model, then any the data has and the model does not.
    pub intents: Vec<String>,
    /// By intent.
    pub per_class: BTreeMap<String, ClassMetrics>,
    /// `macro`, `micro`, `weighted`. Macro is over the intents present in truth or predicted.
    pub averages: BTreeMap<String, ClassMetrics>,
    /// Accuracy by language (declared, else detected).
    pub per_language: BTreeMap<String, Metric>,
    /// `confusion[truth][predicted]`, counts.
    pub confusion: Vec<Vec<u64>>,
    /// 15 equal-width bins, right-closed.
    pub reliability: Vec<ReliabilityBin>,
    /// Out-of-scope, when the data has such records.
    pub oos: Option<OosReport>,
    /// The records it got wrong, the surest first.
    pub errors: Vec<Misclassified>,
    /// Intents in the data that the model does not know.
    pub unknown_intents: Vec<String>,
}

/// Evaluates `model` on `data`.
///
/// # Errors
/// `BOT-3001` (exit 4) when fewer than 10 in-scope records remain; `BOT-3002` (exit 3) when no record has an intent the model knows.
pub fn evaluate(
    model: &IntentModel,
    model_digest: Digest,
    data: &Dataset,
) -> Result<EvaluationReport> {
    let _ = (model, model_digest, data);
    todo!()
}

/// A record on which champion and challenger differ in being right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Its record, from 1.
    pub record: u64,
    /// Its text.
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

/// Compares two models on the same records.
///
/// # Errors
/// As [`evaluate`].
pub fn compare(
    champion: (&IntentModel, Digest),
    challenger: (&IntentModel, Digest),
    data: &Dataset,
) -> Result<Comparison> {
    let _ = (champion, challenger, data);
    todo!()
}

/// Rules on promotion, as written in YAML: `accuracy: {min: 0.8}`, and so on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateSpec {
    /// Bounds on metrics, by name.
    pub metrics: BTreeMap<String, Bound>,
    /// Least recall and F1 of every class.
    pub per_class: BTreeMap<String, Bound>,
    /// Least accuracy in every language.
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

/// Proof that a model passed its gates; only this module makes one, and nothing moves `champion` without it.
#[derive(Debug, Clone)]
pub struct PassedGates {
    report: GateReport,
    evidence: Digest,
}

impl PassedGates {
    /// Returns the model file's digest.
    #[must_use]
    pub fn model(&self) -> Digest {
        self.report.model
    }
    /// Returns the gates that passed.
    #[must_use]
    pub fn report(&self) -> &GateReport {
        &self.report
    }
    /// Returns the digest of the report in canonical JSON: the evidence to store.
    #[must_use]
    pub fn evidence(&self) -> Digest {
        self.evidence
    }
    /// Rebuilds the proof from stored evidence: `bytes` must be a gate report with digest `evidence`, about `model`, all passed.
    ///
    /// # Errors
    /// `BOT-3011` (exit 6) when any of that does not hold.
    pub fn from_evidence(bytes: &[u8], evidence: Digest, model: Digest) -> Result<Self> {
        let _ = (bytes, evidence, model);
        todo!()
    }
}

/// Judges a fresh report. A metric named by a gate that was not measured fails it.
///
/// # Errors
/// `BOT-3010` (exit 2) for a gate on an unknown metric, or an empty spec.
pub fn gate(
    spec: &GateSpec,
    report: &EvaluationReport,
    comparison: Option<&Comparison>,
) -> Result<GateReport> {
    let _ = (spec, report, comparison);
    todo!()
}

/// Turns a passed report into the proof, or `None`.
#[must_use]
pub fn passed(report: &GateReport) -> Option<PassedGates> {
    let _ = report;
    todo!()
}

/// Judges a model by its own goldens: the gate of a first version, which has nothing to be compared with.
#[must_use]
pub fn gate_by_self_test(model: &IntentModel, digest: Digest) -> GateReport {
    let _ = (model, digest);
    todo!()
}
