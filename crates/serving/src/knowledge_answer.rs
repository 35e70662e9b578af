//! The answer of knowledge to one message, and the facts of it for the prediction log.

use botops_knowledge::Source;
use serde::{Deserialize, Serialize};

/// Who answered from the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AnsweredBy {
    /// The documents: `response` is a quote.
    Knowledge,
    /// A language model, whose sentences the documents support. `[1]` in `response` is the first of `sources`.
    Generated,
}

/// The answer of knowledge to a message.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) language: Option<String>,
    pub(super) question: String,
    pub(super) sources: Vec<Source>,
    pub(super) by: AnsweredBy,
}

/// The facts for the prediction log.
#[derive(Debug, Clone, Default)]
pub(super) struct KnowledgeRecord {
    pub(super) answered_from: Option<String>,
    pub(super) chunks: Vec<String>,
    pub(super) confidence: Option<f64>,
    pub(super) tokens: Option<u64>,
    pub(super) cost: Option<f64>,
}
