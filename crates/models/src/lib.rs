//! Classifiers, and [`IntentModel`]: the deployable whole, in one file.
//!
//! In come utterances with their intents and a [`ModelSpec`]; out comes a model that turns any text
//! into an intent, a calibrated confidence, and the decision to fall back ([`train`],
//! [`IntentModel::predict`]), and that is one checked file ([`IntentModel::to_bytes`]).

pub(crate) mod heads;
pub mod training;
pub(crate) mod unused_keys;

pub mod confidence;
mod explain;
mod file;
mod fine_tuning;
mod intent_model;
mod neighborhood;
mod spec;

pub use crate::file::parts::part_digests;
pub use crate::training::cross_validation::{CrossValidator, HeldOut, temperatures};
pub use crate::training::train::{CrossValidation, cross_validate, train};
pub use confidence::{Confidence, ConformalSpec, FallbackSpec};
pub use explain::{Contribution, Explanation, Nearby};
pub use fine_tuning::{EpochRecord, FineTuned, FineTuningSpec, fine_tune};
pub use intent_model::{IntentModel, Scratch, SelfTest};
pub use neighborhood::{Neighbor, NeighborScratch, Neighborhood, SampleNeighbors};
pub use spec::{ClassWeight, HeadKind, HeadSpec, ModelSpec};

use botops_digest::Digest;
use botops_features::{EmbeddingCache, Encoder, embed_cached};
use botops_findings::Result;
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// One utterance to learn from; `intent` [`botops_labels::OOS`] rows train no class.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its intent.
    pub intent: &'a str,
}

/// What training may use besides the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resources<'a> {
    /// The encoder that `features.encoder` names; none: features of kind `tfidf` alone can be made.
    pub encoder: Option<&'a Arc<Encoder>>,
    /// Where embeddings are kept; none: every text is embedded anew.
    pub embeddings: Option<&'a EmbeddingCache>,
    /// Where the checkpoints of a fine-tuning lie; none: none are written.
    pub checkpoints: Option<&'a Path>,
}

impl Resources<'_> {
    /// Returns the embeddings of `texts`, `[n_samples, dim]`, the same text embedded once, and not at all when its
    /// embedding is kept.
    fn embed(
        &self,
        encoder: &Encoder,
        texts: &[&str],
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<f32>> {
        embed_cached(encoder, texts, self.embeddings, advance)
    }
}

/// How far training is.
pub trait Progress: Sync {
    /// Says that a phase of `total` steps begins.
    fn begin(&self, phase: &'static str, total: u64);
    /// Says that `done` more steps are done.
    fn advance(&self, done: u64);
    /// Says that the phase is over.
    fn finish(&self);
    /// Says what whoever waits should know, such as that an interrupted training goes on.
    fn note(&self, _message: &str) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &'static str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

/// What is recorded of where a model came from; part of the file, so nothing of the moment (no time, no host).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Digest of the data it was trained on.
    pub data: Option<Digest>,
    /// Number of utterances it was trained on.
    pub n_samples: u64,
    /// The spec it was trained from.
    pub spec: ModelSpec,
    /// Version of botops.
    pub botops: String,
}

/// A classified utterance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// Index of the winning intent; ties go to the lowest index (names are sorted).
    pub intent: usize,
    /// Its calibrated probability, in [0, 1].
    pub confidence: f64,
    /// The largest raw score (margin or log-odds) of an intent.
    pub logit: f64,
    /// The score that is held against the model's threshold: [`IntentModel::fallback`] says which.
    pub score: f64,
    /// Whether the model declines: the score is below the threshold, or nothing was understood.
    pub fallback: bool,
}

impl Prediction {
    /// Returns the `top` likeliest intents by index: its own first, the others by `proba` `[n_classes]`, ties by index.
    ///
    /// Where nothing was understood all are equally likely, and its own may be any of them.
    #[must_use]
    pub fn likeliest(&self, proba: &[f64], top: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..proba.len()).collect();
        order.sort_by(|&a, &b| {
            let own = |i: usize| i == self.intent;
            own(b).cmp(&own(a)).then(proba[b].total_cmp(&proba[a])).then(a.cmp(&b))
        });
        order.truncate(top);
        order
    }
}

#[cfg(test)]
mod tests;
