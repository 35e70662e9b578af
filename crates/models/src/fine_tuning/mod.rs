//! Fine-tuning: a transformer encoder and a linear classifier on top learn together.
//!
//! In come an [`Encoder`], utterances with the numbers of their intents, and a [`FineTuningSpec`]; out comes
//! [`FineTuned`]: the encoder with its new weights, the classifier, and the scores of the rows that were held out.
//!
//! **Same data, spec and seed, same bytes**, on any number of threads, whether or not the run was interrupted:
//! rows of products are shared out among threads, sums never; every draw (first weights, shuffles, dropout) is
//! keyed by seed, step and place. It holds on one kind of machine: matrix products round as the processor's widest
//! instructions do, so that another one may differ in the last digits.
//!
//! **Memory.** For its backward pass, a token keeps 4 n_layers (8 hidden_size + 2 intermediate_size) bytes, for
//! MiniLM-L6 about 150 kB; texts are not padded, and the attention keeps no square matrices. `max_batch_tokens`
//! bounds it: a batch of more tokens is computed in parts whose gradients are added up, the same up to rounding.
//! Besides, a trained weight takes 16 bytes (itself, its gradient, its two moments), and twice 4 more with
//! `patience`. A single text is never split: `max_tokens` of the encoder bounds it. On the processor, memory that
//! is not there ends the process (the operating system overcommits, and an allocation that fails cannot be
//! caught); checkpoints are what is left then. A GPU's does not: the parts are halved, and [`FineTuned::notes`]
//! says so.
//!
//! **Interruption.** With a folder of checkpoints and `checkpoint_steps`, the same call goes on from the newest;
//! see `checkpoint.rs`.

mod batches;
mod checkpoint;
mod classifier;
mod loss;
mod optimiser;
mod probe;
mod schedule;
mod spec;
#[cfg(test)]
mod tests;
mod training;

pub use spec::FineTuningSpec;

use super::Progress;
use batches::Split;
use botops_digest::{Digest, Hasher};
use botops_features::{
    Encoder,
    encoder::network::{self, Frozen},
};
use botops_findings::{Fault, Result};
use checkpoint::Checkpoints;
use classifier::Classifier;
use serde::{Deserialize, Serialize};
use std::path::Path;
use training::{Training, device_fault};

/// What one epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// The mean loss of its steps, with dropout, weights and smoothing.
    pub train_loss: f64,
    /// The mean negative log-likelihood of the held-out rows after it; none where none is held out.
    pub validation_loss: Option<f64>,
    /// The share of the held-out rows whose intent was found, in [0, 1].
    pub validation_accuracy: Option<f64>,
}

/// What a model that never saw them says of the held-out rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Which rows of the data.
    pub rows: Vec<u32>,
    /// [n_rows, n_classes], row by row.
    pub scores: Vec<f64>,
}

/// An encoder and a classifier that learnt together.
#[derive(Debug)]
pub struct FineTuned {
    /// The encoder with its new weights; its vectors are not scaled to length 1.
    pub encoder: Encoder,
    /// [n_classes, dim], row by row.
    pub weights: Vec<f32>,
    /// `[n_classes]`.
    pub bias: Vec<f32>,
    /// The epochs, in order.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights these are, counted from 1.
    pub epoch: usize,
    /// What the temperature may be fitted on.
    pub held_out: HeldOut,
    /// What it was computed on: `cpu`, `cuda`.
    pub device: &'static str,
    /// The step of the checkpoint that it went on from.
    pub resumed_from: Option<u64>,
    /// What the user should be told: a checkpoint that was passed over, parts that were halved.
    pub notes: Vec<String>,
}

/// All that decides the result of a run, of which a digest is in its checkpoints.
#[derive(Serialize)]
struct Run<'a> {
    encoder: Digest,
    data: Digest,
    n_classes: usize,
    spec: &'a FineTuningSpec,
    seed: u64,
    device: &'static str,
    botops: &'static str,
}

/// Fine-tunes a copy of `encoder` on `texts`, whose intents are `y`, each below `n_classes`.
///
/// With a folder of `checkpoints` it goes on from the newest one there, and writes one every
/// `spec.checkpoint_steps` steps. `progress` counts steps.
///
/// # Errors
/// - `BOT-7010` (exit 2): a number of the spec is out of range
/// - `BOT-7030` (exit 4): no row is left to learn from, or none of an intent
/// - `BOT-7031` (exit 2): a checkpoint is of another configuration or other data
/// - `BOT-7032` (exit 2): the loss is no number any more
/// - `BOT-7033` (exit 3): checkpoints are there, and none is whole
/// - `BOT-7034` (exit 1): the folder of checkpoints cannot be read or written
/// - `BOT-7035` (exit 1): the device failed
///
/// # Panics
/// When `texts` and `y` differ in length, or an intent is `n_classes` or above.
#[expect(clippy::too_many_arguments, reason = "the data are three, and there is one caller")]
pub fn fine_tune(
    encoder: &Encoder,
    texts: &[&str],
    y: &[u32],
    n_classes: usize,
    spec: &FineTuningSpec,
    seed: u64,
    checkpoints: Option<&Path>,
    progress: &dyn Progress,
) -> Result<FineTuned> {
    spec.check()?;
    assert_eq!(texts.len(), y.len(), "an intent for each text");
    assert!(y.iter().all(|&intent| (intent as usize) < n_classes), "intents are below `n_classes`");
    let mut counts = vec![0_u32; n_classes];
    y.iter().for_each(|&intent| counts[intent as usize] += 1);
    if n_classes == 0 || counts.contains(&0) {
        return Err(Fault::insufficient("BOT-7030", "an intent has no record to learn from")
            .hint("leave out the intents without records"));
    }
    let split = Split::new(texts, y, n_classes, spec.validation_share, seed);
    let device = network::device();
    let frozen = if spec.freeze_embeddings { Frozen::Embeddings } else { Frozen::Nothing };
    let classifier =
        Classifier::new(encoder, n_classes, frozen, seed, &device).map_err(device_fault)?;
    let trained = classifier.trained(spec);
    let layout = trained.iter().map(|t| (t.name.clone(), t.var.elem_count())).collect();
    let run = Digest::of_json(&Run {
        encoder: encoder.digest(),
        data: digest_of(texts, y),
        n_classes,
        // How often it is saved changes no result.
        spec: &FineTuningSpec { checkpoint_steps: 0, ..spec.clone() },
        seed,
        device: network::device_name(&device),
        botops: env!("CARGO_PKG_VERSION"),
    });
    let checkpoints = checkpoints.map(|folder| Checkpoints::new(folder, run, layout));
    let tokens = encoder.tokenise(texts);
    let training = Training { classifier, tokens, y, n_classes, split, spec, seed };
    // On a thread of the pool from the start: its hundreds of products then need no handing over.
    let outcome = {
        let mut outcome = None;
        rayon::scope(|_| outcome = Some(training.run(trained, checkpoints.as_ref(), progress)));
        outcome.expect("the scope ran")?
    };
    let (tensors, weights, bias) = training.classifier.weights().map_err(device_fault)?;
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
        held_out: HeldOut { rows: training.split.held_out, scores: outcome.scores },
        device: network::device_name(&device),
        resumed_from: outcome.resumed_from,
        notes: outcome.notes,
    })
}

fn digest_of(texts: &[&str], y: &[u32]) -> Digest {
    let mut hasher = Hasher::default();
    for (text, intent) in texts.iter().zip(y) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
        hasher.update(&intent.to_le_bytes());
    }
    hasher.finish()
}
