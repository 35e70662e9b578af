//! The fixed inputs of a run, and the forward pass without dropout.

use super::{
    FineTuningSpec,
    batches::{self, Split},
    classifier::Classifier,
};
use botops_features::encoder::network::Packed;
use botops_findings::{Fault, Result};
use candle_core::Tensor;

/// The network to train, its data and its settings.
pub(super) struct Task<'a> {
    pub(super) classifier: Classifier,
    pub(super) tokens: Vec<Vec<u32>>,
    pub(super) y: &'a [u32],
    pub(super) n_classes: usize,
    pub(super) split: Split,
    pub(super) spec: &'a FineTuningSpec,
    pub(super) seed: u64,
}

impl Task<'_> {
    /// Returns the scores of the held-out rows, [n_rows, n_classes].
    pub(super) fn held_out_scores(&self, max_tokens: usize) -> Result<Vec<f64>> {
        if self.split.held_out.is_empty() {
            return Ok(Vec::new());
        }
        let pooled = self.pooled(&self.split.held_out, max_tokens)?;
        let scores =
            self.classifier.head(&pooled).and_then(|scores| scores.flatten_all()?.to_vec1::<f32>());
        Ok(scores.map_err(device_fault)?.into_iter().map(f64::from).collect())
    }

    /// Returns the pooled vectors [n_rows, hidden_size] of `rows`, at least one, without dropout.
    pub(super) fn pooled(&self, rows: &[u32], max_tokens: usize) -> Result<Tensor> {
        let tokens = |row: u32| self.tokens[row as usize].as_slice();
        let lengths: Vec<usize> = rows.iter().map(|&row| tokens(row).len()).collect();
        // Without a backward pass nothing is kept, so the parts that fit in training fit here.
        let parts = batches::parts(&lengths, max_tokens).into_iter().map(|part| {
            let batch = Packed::new(rows[part].iter().map(|&row| (0, tokens(row))));
            self.classifier.pooled(&batch)
        });
        let parts = parts.collect::<candle_core::Result<Vec<_>>>();
        parts.and_then(|parts| Tensor::cat(&parts, 0)).map_err(device_fault)
    }
}

/// Returns the fault of a failed computation.
pub(super) fn device_fault(error: candle_core::Error) -> Fault {
    Fault::internal("BOT-7035", format!("the device failed: {error}"))
        .hint("if memory ran out, lower `fine_tuning.max_batch_tokens`")
        .caused_by(error)
}
