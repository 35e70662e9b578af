//! The outcome of behavioural tests: rates by capability, and every failure.

use crate::metrics::Metric;
use botops_digest::Digest;
use serde::{Deserialize, Serialize};

/// A kind of behavioural test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BehaviourKind {
    /// Minimum functionality: an utterance has its intent.
    Minimum,
    /// Invariance: a variant gets the answer of its utterance.
    Invariance,
    /// Direction: a change moves the probability of an intent.
    Direction,
}

/// The tests of one capability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapabilityResult {
    /// The kind of the tests.
    pub kind: BehaviourKind,
    /// The capability; of invariance the kind of variant.
    pub capability: String,
    /// The share of the tests that passed, with its Wilson interval.
    pub passed: Metric,
    /// The number of tests that must pass.
    #[serde(default)]
    pub must_pass: u64,
    /// The number of those that failed.
    #[serde(default)]
    pub must_pass_failed: u64,
}

/// A test that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BehaviourFailure {
    /// The kind of the test.
    pub kind: BehaviourKind,
    /// The capability; of invariance the kind of variant.
    pub capability: String,
    /// The utterance as written. Pages and tables show it without personal data.
    pub text: String,
    /// The variant, or the utterance after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
    /// The expectation of the test: an intent, `oos`, or `p(complaint) rises`.
    pub expected: String,
    /// The answer of the model, in the same words.
    pub found: String,
    /// The confidence of the prediction; of a direction the probability after the change.
    pub confidence: f64,
    /// Whether the test must pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_pass: bool,
}

/// The outcome of behavioural tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BehaviourReport {
    /// The name of the file, as given.
    pub file: String,
    /// The digest of the tests in canonical JSON, which does not change with comments and spaces.
    pub digest: Digest,
    /// The share of minimum functionality that passed; `None` without such a test. So are the others.
    pub minimum: Option<Metric>,
    /// The share of variants that got the answer of their utterance.
    pub invariance: Option<Metric>,
    /// The share of changes that moved the probability as expected.
    pub direction: Option<Metric>,
    /// The number of utterances that must pass.
    pub must_pass: u64,
    /// The number of those that failed.
    pub must_pass_failed: u64,
    /// The capabilities: minimum functionality in the order of the file, then invariance, then direction.
    pub capabilities: Vec<CapabilityResult>,
    /// The tests that failed: those that must pass first, then in the order of `capabilities`.
    pub failures: Vec<BehaviourFailure>,
    /// Intents of the tests that the model does not know; their tests fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_intents: Vec<String>,
    /// Kinds of variants that no utterance has, such as accents in English.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_variants: Vec<String>,
}

impl BehaviourKind {
    /// Returns the name of the kind, in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimum => "minimum",
            Self::Invariance => "invariance",
            Self::Direction => "direction",
        }
    }
}

impl BehaviourReport {
    /// Returns the share of a kind of test that passed.
    #[must_use]
    pub fn rate(&self, kind: BehaviourKind) -> Option<Metric> {
        match kind {
            BehaviourKind::Minimum => self.minimum,
            BehaviourKind::Invariance => self.invariance,
            BehaviourKind::Direction => self.direction,
        }
    }
}
