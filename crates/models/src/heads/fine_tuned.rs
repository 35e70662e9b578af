//! Fits an encoder and a classifier together, and returns them as a head.

use super::{
    fit_request::FitRequest,
    fitted::{Fitted, HeldOut},
    linear::LinearHead,
};
use crate::fine_tuning::{FineTuned, FineTuningInput, fine_tune};
use botops_digest::Digest;
use botops_findings::Result;
use std::sync::Arc;

/// Fine-tunes the encoder of `request.x` on its rows.
///
/// The validation rows of the fine-tuning are held out. Each combination of rows, settings and seed has its own
/// checkpoint folder, named by their digest, so each fold and each seed resumes from its own checkpoints.
///
/// # Errors
/// Those of [`fine_tune`].
///
/// # Panics
/// If the table has no encoder: a bug of the caller.
pub(crate) fn fit(request: FitRequest<'_>) -> Result<Fitted> {
    let FitRequest { x, rows, y, n_classes, spec, resources, progress } = request;
    let encoder = x.table.encoder().expect("a table for fine-tuning holds an encoder");
    let intents: Vec<u32> = request.training_set().classes().collect();
    let fine_tuning = spec.head.fine_tuning.clone().unwrap_or_default();
    let folder = resources
        .checkpoints
        .map(|folder| folder.join(Digest::of_json(&(rows, y, &fine_tuning, spec.seed)).short()));
    let input = FineTuningInput {
        encoder,
        texts: &request.texts(),
        y: &intents,
        n_classes,
        spec: &fine_tuning,
        seed: spec.seed,
        checkpoints: folder.as_deref(),
    };
    let FineTuned { encoder, weights, bias, held_out, resumed_from, notes, .. } =
        fine_tune(&input, progress)?;
    if let Some(step) = resumed_from {
        progress.note(&format!("fine-tuning resumed from the checkpoint of step {step}"));
    }
    for note in &notes {
        progress.note(note);
    }
    let dim = encoder.dim();
    let head = LinearHead::new(
        dim,
        n_classes,
        |feature, class| weights[class * dim + feature],
        |class| bias[class],
    );
    let held_out = HeldOut {
        rows: held_out.rows.iter().map(|&i| rows[i as usize]).collect(),
        scores: held_out.scores,
    };
    Ok(Fitted { head: Box::new(head), encoder: Some(Arc::new(encoder)), held_out: Some(held_out) })
}
