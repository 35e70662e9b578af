//! The answer of `botops runs reproduce`.

use botops_digest::Digest;
use botops_experiments::Retraced;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Answer {
    pub(super) run: String,
    /// Whether the two model files are identical.
    pub(super) identical: bool,
    /// The first step that differs.
    pub(super) diverges_at: Option<String>,
    /// The digest of the recorded model file.
    pub(super) recorded: Digest,
    /// The digest of the new model file.
    pub(super) again: Digest,
    pub(super) steps: Vec<Retraced>,
    /// The comparison of the predictions, if the models differ.
    pub(super) predictions: Option<Predictions>,
    /// The metrics that differ, if the models differ.
    pub(super) metrics: Option<Vec<Remeasured>>,
    /// The differences between the conditions of the run and those of now.
    pub(super) circumstances: Vec<Circumstance>,
    /// The file to which the model was written.
    pub(super) model: Option<String>,
}

/// The comparison of the predictions of two models.
#[derive(Serialize)]
pub(super) struct Predictions {
    /// `test` or `train`.
    pub(super) on: &'static str,
    pub(super) n: u64,
    /// The number of texts with the same intent.
    pub(super) same_intent: u64,
    /// The largest difference in confidence.
    pub(super) max_confidence_difference: f64,
}

/// A metric that differs.
#[derive(Serialize)]
pub(super) struct Remeasured {
    pub(super) name: String,
    pub(super) recorded: Option<f64>,
    pub(super) again: Option<f64>,
}

/// A condition that differs.
#[derive(Serialize)]
pub(super) struct Circumstance {
    pub(super) name: &'static str,
    pub(super) recorded: String,
    pub(super) now: String,
}
