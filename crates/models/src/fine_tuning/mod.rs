//! Fine-tuning: trains a transformer encoder and a linear classifier on top of it together.
//!
//! The input is an [`Encoder`], utterances with the indices of their intents, and a [`FineTuningSpec`]
//! ([`FineTuningInput`]). The output is [`FineTuned`]: the encoder with its new weights, the classifier, and the scores of
//! the held-out rows.
//!
//! **The same data, spec and seed give the same bytes**, on any number of threads, whether or not the run was
//! interrupted. Threads share the rows of matrix products, but never a sum; every draw (initial weights, shuffles,
//! dropout) is keyed by seed, step and position. This holds on one kind of machine: matrix products use the widest
//! instructions of the processor, so another machine can differ in the last digits.
//!
//! **Memory.** For the backward pass, a token keeps 4 n_layers (8 hidden_size + 2 intermediate_size) bytes, about 150 kB
//! for MiniLM-L6; texts are not padded, and attention keeps no square matrices. `max_batch_tokens` limits this: a batch
//! with more tokens is computed in parts whose gradients are added, with the same result up to rounding. In addition, a
//! trained weight takes 16 bytes (the weight, its gradient, its two moments), and 8 more with `patience`. A single text
//! is never divided; `max_tokens` of the encoder limits it. On the processor, running out of memory ends the process
//! (the operating system overcommits, and a failed allocation cannot be caught), and the last checkpoint remains. On a
//! GPU, the parts are halved, and [`FineTuned::notes`] reports it.
//!
//! **Interruption.** With a checkpoint folder and `checkpoint_steps`, the same call resumes from the newest checkpoint;
//! see `checkpoint.rs`.

mod batches;
mod checkpoint;
mod classifier;
mod loss;
mod optimiser;
mod outcome;
mod probe;
mod schedule;
mod spec;
mod task;
#[cfg(test)]
mod tests;
mod training;

pub use outcome::{EpochRecord, FineTuned, HeldOutScores};
pub use spec::FineTuningSpec;

use super::Progress;
use batches::Split;
use botops_digest::{Digest, Hasher};
use botops_features::{
    Encoder,
    encoder::network::{self, Frozen},
};
use botops_findings::{Fault, Result};
use botops_spec::Spec as _;
use checkpoint::Checkpoints;
use classifier::Classifier;
use serde::Serialize;
use std::path::Path;
use task::{Task, device_fault};

/// The input of a fine-tuning.
#[derive(Debug, Clone, Copy)]
pub struct FineTuningInput<'a> {
    /// The encoder to start from; it is copied.
    pub encoder: &'a Encoder,
    /// The utterances.
    pub texts: &'a [&'a str],
    /// The intent of each utterance, below `n_classes`.
    pub y: &'a [u32],
    /// Number of intents.
    pub n_classes: usize,
    /// The settings.
    pub spec: &'a FineTuningSpec,
    /// The seed of all draws.
    pub seed: u64,
    /// The checkpoint folder; `None`: no checkpoint is read or written.
    pub checkpoints: Option<&'a Path>,
}

/// Everything that determines the result of a run; its checkpoints store the digest.
#[derive(Serialize)]
struct RunKey<'a> {
    encoder: Digest,
    data: Digest,
    n_classes: usize,
    spec: &'a FineTuningSpec,
    seed: u64,
    device: &'static str,
    botops: &'static str,
}

/// Fine-tunes a copy of the encoder of `input`.
///
/// With a checkpoint folder, it resumes from the newest checkpoint there, and writes one every `spec.checkpoint_steps`
/// steps. `progress` counts steps.
///
/// # Errors
/// - `BOT-7010` (exit 2): a number of the spec is out of range
/// - `BOT-7030` (exit 4): an intent has no row to learn from
/// - `BOT-7031` (exit 2): a checkpoint belongs to another configuration or other data
/// - `BOT-7032` (exit 2): the loss is not finite
/// - `BOT-7033` (exit 3): there are checkpoints, but none is intact
/// - `BOT-7034` (exit 1): the checkpoint folder cannot be read or written
/// - `BOT-7035` (exit 1): the device failed
///
/// # Panics
/// If `texts` and `y` differ in length, or an intent is `n_classes` or above.
pub fn fine_tune(input: &FineTuningInput<'_>, progress: &dyn Progress) -> Result<FineTuned> {
    let FineTuningInput { encoder, texts, y, n_classes, spec, seed, checkpoints } = *input;
    spec.check_ranges()?;
    assert_eq!(texts.len(), y.len(), "every text has an intent");
    assert!(y.iter().all(|&intent| (intent as usize) < n_classes), "intents are below `n_classes`");
    let mut counts = vec![0_u32; n_classes];
    y.iter().for_each(|&intent| counts[intent as usize] += 1);
    if n_classes == 0 || counts.contains(&0) {
        return Err(Fault::insufficient("BOT-7030", "an intent has no record to learn from")
            .hint("remove intents without records"));
    }
    let split = Split::new(texts, y, n_classes, spec.validation_share, seed);
    let device = network::device();
    let frozen = if spec.freeze_embeddings { Frozen::Embeddings } else { Frozen::Nothing };
    let classifier =
        Classifier::new(encoder, n_classes, frozen, seed, &device).map_err(device_fault)?;
    let trained = classifier.trained(spec);
    let layout = trained.iter().map(|t| (t.name.clone(), t.var.elem_count())).collect();
    let run = Digest::of_json(&RunKey {
        encoder: encoder.digest(),
        data: digest_of(texts, y),
        n_classes,
        // The interval of checkpoints does not affect the result.
        spec: &FineTuningSpec { checkpoint_steps: 0, ..spec.clone() },
        seed,
        device: network::device_name(&device),
        botops: env!("CARGO_PKG_VERSION"),
    });
    let checkpoints = checkpoints.map(|folder| Checkpoints::new(folder, run, layout));
    let tokens = encoder.tokenise(texts);
    let task = Task { classifier, tokens, y, n_classes, split, spec, seed };
    // Running on a thread of the pool avoids hundreds of hand-overs of products to the pool.
    let outcome = {
        let mut outcome = None;
        let run = || training::run(&task, trained, checkpoints.as_ref(), progress);
        rayon::scope(|_| outcome = Some(run()));
        outcome.expect("the scope ran")?
    };
    let (tensors, weights, bias) = task.classifier.weights().map_err(device_fault)?;
    let (config, pooling) = (encoder.config().clone(), encoder.pooling());
    let tokenizer = encoder.tokenizer_json();
    Ok(FineTuned {
        encoder: Encoder::from_tensors(
            config,
            tokenizer,
            tensors,
            pooling,
            encoder.max_tokens(),
            false,
        )?,
        weights,
        bias,
        history: outcome.history,
        epoch: outcome.epoch,
        held_out: HeldOutScores { rows: task.split.held_out, scores: outcome.scores },
        device: network::device_name(&device),
        resumed_from: outcome.resumed_from,
        notes: outcome.notes,
    })
}

/// Returns the digest of the texts and their intents.
fn digest_of(texts: &[&str], y: &[u32]) -> Digest {
    let mut hasher = Hasher::default();
    for (text, intent) in texts.iter().zip(y) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        hasher.update(&intent.to_le_bytes());
    }
    hasher.finish()
}
