//! The outcome of gates: each rule, the number it was compared with, and whether it held.

use crate::version_set::VersionSet;
use botops_digest::Digest;
use botops_findings::{Finding, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema of the report of a version without knowledge.
pub(crate) const SCHEMA: &str = "botops.gate/2";

/// The schema of the report of a version with knowledge: a program that knows no knowledge refuses it.
pub(crate) const SCHEMA_OF_SETS: &str = "botops.gate/3";

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

/// The questions that a knowledge base was judged on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionBasis {
    /// The name of the question file, as given.
    pub data: String,
    /// The digest of the question file.
    pub data_digest: Digest,
    /// The number of questions.
    pub n: u64,
    /// The digest of the champion's knowledge file that it was compared with, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<Digest>,
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
    /// The questions behind the rules on knowledge, by the name of the knowledge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub questions: BTreeMap<String, QuestionBasis>,
}

/// The outcomes of all gates of a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReport {
    /// `botops.gate/2`, or `botops.gate/3` if the version has knowledge; reports of version 1 have no basis.
    pub schema: String,
    /// The digest of the model.
    pub model: Digest,
    /// The digests of the knowledge files of the version, by name; empty for a version without knowledge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub knowledge: BTreeMap<String, Digest>,
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
    /// Returns the set of files that the report is about.
    #[must_use]
    pub fn set(&self) -> VersionSet {
        VersionSet { model: self.model, knowledge: self.knowledge.clone() }
    }

    /// Makes this the report of a version that has `knowledge` beside the model. An evaluation needs rules that judged each
    /// knowledge base, else it is no proof.
    #[must_use]
    pub fn with_knowledge(mut self, knowledge: BTreeMap<String, Digest>) -> Self {
        if !knowledge.is_empty() {
            SCHEMA_OF_SETS.clone_into(&mut self.schema);
        }
        self.knowledge = knowledge;
        self
    }

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
