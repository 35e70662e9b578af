//! An encoder and its head that learned together, as a head like any other.

use super::linear::LinearHead;
use crate::{
    ModelSpec, Progress, Resources,
    fine_tuning::{FineTuned, fine_tune},
    training::{
        feature_table::Rows,
        train::{Fitted, HeldOut},
    },
};
use botops_digest::Digest;
use botops_findings::Result;
use std::sync::Arc;

/// Fine-tunes the encoder of `x` on `rows`, whose intents are `y[row]`.
///
/// The rows that fine-tuning keeps aside are held out. Checkpoints of other rows, settings or seeds lie in other
/// folders, named by a digest of all that, so that each fold and each seed goes on from its own.
///
/// # Errors
/// Those of [`fine_tune`].
///
/// # Panics
/// When the table has no encoder: a bug of the caller.
pub(crate) fn fit(
    x: &Rows<'_>,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Fitted> {
    let encoder = x.table.encoder().expect("fine-tuning is of an encoder, which the table holds");
    let texts: Vec<&str> = rows.iter().map(|&row| x.table.data.texts[row as usize]).collect();
    let intents: Vec<u32> = rows.iter().map(|&row| y[row as usize]).collect();
    let how = spec.head.fine_tuning.clone().unwrap_or_default();
    let folder = resources
        .checkpoints
        .map(|folder| folder.join(Digest::of_json(&(rows, y, &how, spec.seed)).short()));
    let FineTuned { encoder, weights, bias, held_out, resumed_from, notes, .. } = fine_tune(
        encoder,
        &texts,
        &intents,
        n_classes,
        &how,
        spec.seed,
        folder.as_deref(),
        progress,
    )?;
    if let Some(step) = resumed_from {
        progress.note(&format!("the fine-tuning went on from the checkpoint of step {step}"));
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
