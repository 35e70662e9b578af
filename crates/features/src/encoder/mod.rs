//! Dense features: one vector per text, from a transformer encoder.
//!
//! Input: a folder in the Hugging Face layout (`config.json`, `tokenizer.json`, `model.safetensors` and
//! optionally `1_Pooling/config.json`) of the BERT family, which includes MiniLM, or of DistilBERT.
//! [`EncoderFiles`] reads it. [`Encoder::new`] checks it: every shape against the config, every weight for
//! being finite, the tokenizer against the table of embeddings. Output: embeddings. Modules that a
//! sentence-transformers folder may list after the pooling, such as a dense layer, are not applied.
//!
//! There are two forward passes:
//!
//! - `forward.rs` on `kernels` embeds texts. It keeps nothing for a backward pass, allocates nothing for a
//!   single text, and gives each text the same bits alone and in a batch.
//! - [`network`] fine-tunes. Its forward pass keeps the values that its backward pass needs.
//!
//! Builds with the feature `cuda` also compile `network/composed.rs`, which fine-tunes on a GPU. The tests
//! compile it as the reference for [`network`].

mod attention;
mod cache;
mod config;
mod embed;
mod files;
mod forward;
mod kernels;
mod linear;
pub mod network;
mod parts;
mod spec;
#[cfg(test)]
mod tests;
mod tokens;
mod weights;

pub use cache::{EmbeddingCache, embed_cached};
pub use config::{Activation, Architecture, EncoderConfig};
pub use files::EncoderFiles;
pub use forward::EncoderScratch;
pub use parts::EncoderParts;
pub use spec::{EncoderSpec, Pooling};
pub use weights::EncoderTensor;

use botops_digest::{Digest, Hasher, canonical_json};
use botops_findings::Result;
use botops_spec::Spec as _;
use forward::Network;
use serde::Serialize;
use std::sync::OnceLock;
use tokens::Tokens;

/// A checked transformer encoder: text to vector.
pub struct Encoder {
    network: Network,
    tokens: Tokens,
    pooling: Pooling,
    max_tokens: usize,
    normalise: bool,
    digest: OnceLock<Digest>,
}

/// Prints the settings and sizes, but not the weights.
impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("config", self.config())
            .field("pooling", &self.pooling)
            .field("max_tokens", &self.max_tokens)
            .field("normalise", &self.normalise)
            .finish_non_exhaustive()
    }
}

/// The settings that decide an embedding, besides the weights.
#[derive(Serialize)]
struct Identity<'a> {
    config: &'a EncoderConfig,
    pooling: Pooling,
    max_tokens: usize,
    normalise: bool,
    tokenizer: Digest,
}

impl Encoder {
    /// Makes an encoder of `files` whose embeddings have length 1.
    ///
    /// # Errors
    /// - `BOT-7021` (exit 3): the config or the pooling is malformed or not supported
    /// - `BOT-7022`: the weights are truncated or do not fit the config
    /// - `BOT-7023`: a weight is NaN or infinite
    /// - `BOT-7024`: the tokenizer is malformed or has another vocabulary
    /// - `BOT-7025` (exit 2): `max_tokens` is below 2, or above the number of positions
    pub fn new(files: &EncoderFiles, spec: &EncoderSpec) -> Result<Self> {
        spec.check_ranges()?;
        let config = EncoderConfig::from_json(&files.config)?;
        spec::check_max_tokens(spec.max_tokens, &config)?;
        let pooling = match (spec.pooling, &files.pooling) {
            (Some(pooling), _) => pooling,
            (None, Some(json)) => Pooling::from_json(json)?,
            (None, None) => Pooling::Mean,
        };
        let tensors = weights::read(&files.weights, &config)?;
        let tokens = Tokens::new(&files.tokenizer, config.vocab_size, spec.max_tokens)?;
        Ok(Self::of(config, tokens, tensors, pooling, spec.max_tokens, true))
    }

    /// Makes an encoder of `tensors` with the names of [`Self::tensors`], in any order.
    ///
    /// The tensors come from fine-tuning or a model file. If `normalise` is set, embeddings are scaled to
    /// length 1.
    ///
    /// # Errors
    /// As [`Encoder::new`].
    pub fn from_tensors(
        config: EncoderConfig,
        tokenizer_json: &[u8],
        tensors: Vec<EncoderTensor>,
        pooling: Pooling,
        max_tokens: usize,
        normalise: bool,
    ) -> Result<Self> {
        config.check()?;
        spec::check_max_tokens(max_tokens, &config)?;
        let tensors = weights::checked(&config, tensors)?;
        let tokens = Tokens::new(tokenizer_json, config.vocab_size, max_tokens)?;
        Ok(Self::of(config, tokens, tensors, pooling, max_tokens, normalise))
    }

    fn of(
        config: EncoderConfig,
        tokens: Tokens,
        tensors: Vec<EncoderTensor>,
        pooling: Pooling,
        max_tokens: usize,
        normalise: bool,
    ) -> Self {
        let network = Network::new(config, tensors);
        Self { network, tokens, pooling, max_tokens, normalise, digest: OnceLock::new() }
    }

    /// Returns the config of the encoder.
    #[must_use]
    pub fn config(&self) -> &EncoderConfig {
        self.network.config()
    }

    /// Returns a copy of the weights, with these names and shapes:
    ///
    /// - `embeddings.word` [vocab_size, hidden_size], `embeddings.position` [max_positions, hidden_size],
    ///   `embeddings.token_type` [type_vocab_size, hidden_size] (not DistilBERT), `embeddings.norm.{weight,bias}`
    /// - for each layer `i`, `layers.{i}.` followed by `query`, `key`, `value`, `output` [hidden_size, hidden_size];
    ///   `attention_norm`; `up` [intermediate_size, hidden_size], `down` [hidden_size, intermediate_size];
    ///   `output_norm`; each with `.weight` ([out, in], or `[hidden_size]` for a norm) and `.bias`
    #[must_use]
    pub fn tensors(&self) -> Vec<EncoderTensor> {
        self.each_tensor().collect()
    }

    /// Returns the tokenizer's JSON, byte for byte as it was read.
    #[must_use]
    pub fn tokenizer_json(&self) -> &[u8] {
        self.tokens.json()
    }

    /// Returns the pooling of token vectors.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Returns the most tokens read from a text, including the special tokens.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Returns whether an embedding is scaled to length 1.
    #[must_use]
    pub fn normalise(&self) -> bool {
        self.normalise
    }

    /// Returns the length of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.config().hidden_size
    }

    /// Returns the digest of everything that decides an embedding.
    ///
    /// It covers config, weights, tokenizer, pooling, `max_tokens` and normalization. It is computed once,
    /// from tens of megabytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut hasher = Hasher::default();
            hasher.update(&canonical_json(&Identity {
                config: self.config(),
                pooling: self.pooling,
                max_tokens: self.max_tokens,
                normalise: self.normalise,
                tokenizer: Digest::of(self.tokenizer_json()),
            }));
            let mut bytes = Vec::with_capacity(1 << 16);
            for tensor in self.each_tensor() {
                hasher.update(tensor.name.as_bytes());
                for values in tensor.values.chunks(1 << 14) {
                    bytes.clear();
                    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                    hasher.update(&bytes);
                }
            }
            hasher.finish()
        })
    }

    /// Returns whether `text` has a known token: one that is not special. The unknown token is special, too.
    #[must_use]
    pub fn knows(&self, text: &str) -> bool {
        self.tokens.has_known(&self.tokens.of(text))
    }

    /// Returns the token ids of each text, with the special tokens at both ends, cut to `max_tokens`.
    #[must_use]
    pub fn tokenise(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        self.tokens.of_many(texts)
    }

    /// Returns the token ids of one text.
    fn tokens_of(&self, text: &str) -> Vec<u32> {
        self.tokens.of(text)
    }

    fn network(&self) -> &Network {
        &self.network
    }

    /// Iterates over the tensors, unpacking one at a time.
    fn each_tensor(&self) -> impl Iterator<Item = EncoderTensor> {
        weights::expected(self.config())
            .zip(self.network.values())
            .map(|((name, shape), values)| EncoderTensor { name, shape, values })
    }
}
