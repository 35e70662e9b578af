//! The origin of a model.

use crate::ModelSpec;
use botops_digest::Digest;
use serde::{Deserialize, Serialize};

/// The origin of a model. It is part of the model file, so it records neither time nor host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Digest of the training data.
    pub data: Option<Digest>,
    /// Number of training utterances with an intent.
    pub n_samples: u64,
    /// The spec of the training.
    pub spec: ModelSpec,
    /// Version of botops.
    pub botops: String,
}
