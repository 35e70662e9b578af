//! An explained prediction, as answered.

use botops_models::Explanation;
use serde::Serialize;

/// The explanation of one prediction.
#[derive(Debug, Serialize)]
pub(super) struct Explained {
    pub(super) winner: String,
    pub(super) runner_up: String,
    #[serde(flatten)]
    pub(super) explanation: Explanation,
    /// The nearest records of the training data; absent if that data is not available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nearest: Option<Vec<Near>>,
}

/// A record of the training data.
#[derive(Debug, Serialize)]
pub(super) struct Near {
    pub(super) file: String,
    pub(super) record: u64,
    pub(super) line: u64,
    pub(super) cosine: f64,
    pub(super) intent: Option<String>,
    pub(super) text: String,
}
