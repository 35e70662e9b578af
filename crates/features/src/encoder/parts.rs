//! The parts of an encoder in a model file: metadata, tokenizer, weights.

use super::{Encoder, EncoderConfig, EncoderTensor, Pooling, weights};
use botops_digest::canonical_json;
use botops_findings::{Fault, Result};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

const SCHEMA: &str = "botops.encoder/1";

/// The parts of an encoder in a model file; each is checked when read.
#[derive(Clone)]
pub struct EncoderParts<'a> {
    /// JSON of schema, config, pooling, `max_tokens`, and whether embeddings have length 1.
    pub metadata: Cow<'a, [u8]>,
    /// The JSON of the tokenizer.
    pub tokenizer: Cow<'a, [u8]>,
    /// A safetensors file of `f32`, with the names of [`Encoder::tensors`].
    pub weights: Cow<'a, [u8]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    schema: String,
    config: EncoderConfig,
    pooling: Pooling,
    max_tokens: usize,
    normalise: bool,
}

impl Encoder {
    /// Returns the parts; [`Encoder::from_parts`] makes the same encoder of them, bit for bit.
    #[must_use]
    pub fn parts(&self) -> EncoderParts<'_> {
        let metadata = Metadata {
            schema: SCHEMA.to_owned(),
            config: self.config().clone(),
            pooling: self.pooling(),
            max_tokens: self.max_tokens(),
            normalise: self.normalise(),
        };
        let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors()
            .into_iter()
            .map(|EncoderTensor { name, shape, values }| {
                (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
            })
            .collect();
        let views = bytes.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
                .expect("tensor shapes are checked at construction");
            (name.as_str(), view)
        });
        let weights = safetensors::serialize(views, None).expect("tensor names are distinct");
        EncoderParts {
            metadata: canonical_json(&metadata).into(),
            tokenizer: self.tokenizer_json().into(),
            weights: weights.into(),
        }
    }

    /// Makes an encoder of `parts`.
    ///
    /// # Errors
    /// `BOT-7004` (exit 6) for metadata of a newer format, `BOT-7021` (exit 3) for malformed metadata, and the
    /// errors of [`Encoder::from_tensors`].
    pub fn from_parts(parts: &EncoderParts<'_>) -> Result<Self> {
        let malformed =
            |problem: &str| Fault::data("BOT-7021", format!("the encoder's metadata {problem}"));
        let value: serde_json::Value = serde_json::from_slice(&parts.metadata)
            .map_err(|error| malformed("is not JSON").caused_by(error))?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) if other.starts_with("botops.encoder/") => {
                return Err(Fault::policy(
                    "BOT-7004",
                    format!(
                        "the encoder has format `{}`; this botops reads `{SCHEMA}`",
                        botops_text::display(other, 40)
                    ),
                )
                .hint("upgrade botops, or train the model with this version"));
            }
            _ => return Err(malformed("has no `botops.encoder` schema")),
        }
        let metadata = Metadata::deserialize(&value)
            .map_err(|error| malformed(&format!("cannot be read: {error}")).caused_by(error))?;
        metadata.config.check()?;
        let tensors = weights::read_ours(&parts.weights)?;
        Self::from_tensors(
            metadata.config,
            &parts.tokenizer,
            tensors,
            metadata.pooling,
            metadata.max_tokens,
            metadata.normalise,
        )
    }
}
