//! The outcome of gates: each rule, the number it was compared with, and whether it held.

use botops_digest::Digest;
use botops_findings::{Finding, Severity};
use serde::{Deserialize, Serialize};

/// The outcome of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// The rule, such as `accuracy >= 0.800`.
    pub rule: String,
    /// The measured number, in words.
    pub observed: String,
    /// Whether the rule held.
    pub passed: bool,
}

/// One end of a bound, with the number that it was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundResult {
    /// The dotted key of the bound in the rules, such as `metrics.accuracy.min` or `relative.max_newly_wrong`.
    pub key: String,
    /// The bound, as in the rules.
    pub bound: f64,
    /// The measured number: of `per_class` and `per_language` the worst, of `max_drop` the drop, of `mcnemar_alpha` the
    /// p-value, which is 1 unless the model is worse than the champion. `None` if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// The data, the rules and the numbers behind a report, for a policy that demands its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateBasis {
    /// The name of the data set, as given.
    pub data: String,
    /// The digest of the data file.
    pub data_digest: Digest,
    /// The number of in-scope records.
    pub n: u64,
    /// The digest of the champion's model file that the model was compared with, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<Digest>,
    /// Every bound of the rules.
    pub bounds: Vec<BoundResult>,
    /// The digest of the behavioural tests, if rules are about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Digest>,
}

/// The outcomes of all gates of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReport {
    /// `botops.gate/2`; reports of version 1 have no basis.
    pub schema: String,
    /// The digest of the model.
    pub model: Digest,
    /// The kind of evidence: `evaluation` or `golden-self-test`.
    pub evidence: String,
    /// The outcome of each rule.
    pub results: Vec<GateResult>,
    /// Whether every rule held.
    pub passed: bool,
    /// The data, the rules and the numbers; `None` in reports of version 1 and of a golden self-test, which has no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<GateBasis>,
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
                    "look at the errors, add examples of the confused intents, and train again",
                )
            })
            .collect()
    }
}
