//! The result of a fine-tuning.

use botops_features::Encoder;
use serde::{Deserialize, Serialize};

/// The losses of one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// The number of the epoch, from 1.
    pub epoch: usize,
    /// The mean loss of its steps, with dropout, class weights and label smoothing.
    pub train_loss: f64,
    /// The mean negative log likelihood of the held-out rows after the epoch; `None` if no row is held out.
    pub validation_loss: Option<f64>,
    /// The share of the held-out rows whose intent is predicted after the epoch, in [0, 1].
    pub validation_accuracy: Option<f64>,
}

/// Scores of the held-out rows by the final model, which did not learn from them.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOutScores {
    /// Indices of the rows in the input.
    pub rows: Vec<u32>,
    /// Raw scores `[n_rows, n_classes]`, row by row.
    pub scores: Vec<f64>,
}

/// An encoder and a classifier that were trained together.
#[derive(Debug)]
pub struct FineTuned {
    /// The encoder with its new weights; its vectors are not scaled to length 1.
    pub encoder: Encoder,
    /// Weights of the classifier `[n_classes, dim]`, row by row.
    pub weights: Vec<f32>,
    /// Biases of the classifier `[n_classes]`.
    pub bias: Vec<f32>,
    /// The epochs, in order.
    pub history: Vec<EpochRecord>,
    /// The number of the epoch that the weights come from, from 1.
    pub epoch: usize,
    /// Scores that calibration can use.
    pub held_out: HeldOutScores,
    /// The device of the computation: `cpu` or `cuda`.
    pub device: &'static str,
    /// The step of the checkpoint that the run resumed from.
    pub resumed_from: Option<u64>,
    /// Messages for the user: checkpoints that were skipped, batches that were divided.
    pub notes: Vec<String>,
}
