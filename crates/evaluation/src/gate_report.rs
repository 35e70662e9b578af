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

/// The outcomes of all gates of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReport {
    /// `botops.gate/1`.
    pub schema: String,
    /// The digest of the model.
    pub model: Digest,
    /// The kind of evidence: `evaluation` or `golden-self-test`.
    pub evidence: String,
    /// The outcome of each rule.
    pub results: Vec<GateResult>,
    /// Whether every rule held.
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
                    "look at the errors, add examples of the confused intents, and train again",
                )
            })
            .collect()
    }
}
