//! Text to dense features: one vector a text, from a transformer encoder.
//!
//! In comes a folder in the Hugging Face layout (`config.json`, `tokenizer.json`, `model.safetensors` and perhaps
//! `1_Pooling/config.json`) of the BERT family (MiniLM included) or of DistilBERT; [`EncoderFiles`] reads it,
//! [`Encoder::new`] checks it: every shape against the config, every number for being one, the tokenizer against
//! the table of embeddings. Modules that a sentence-transformers folder may list after the pooling
//! (a dense layer) are not applied.

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
use forward::Network;
use serde::Serialize;
use std::sync::OnceLock;
use tokens::Tokens;

/// A transformer encoder that was checked: texts in, vectors out.
pub struct Encoder {
    network: Network,
    tokens: Tokens,
    pooling: Pooling,
    max_tokens: usize,
    normalise: bool,
    digest: OnceLock<Digest>,
}

/// Settings and sizes, not millions of weights.
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

/// What besides weights and tokenizer decides an embedding.
#[derive(Serialize)]
struct Identity<'a> {
    config: &'a EncoderConfig,
    pooling: Pooling,
    max_tokens: usize,
    normalise: bool,
    tokenizer: Digest,
}

impl Encoder {
    /// Makes the encoder of `files`, for frozen use: embeddings have length 1.
    ///
    /// # Errors
    /// - `BOT-7021` (exit 3): the config or the pooling is malformed, or of a kind that botops does not run
    /// - `BOT-7022`: the weights are cut short, or not those of the config
    /// - `BOT-7023`: a weight is NaN or infinite
    /// - `BOT-7024`: the tokenizer is malformed, or of another vocabulary
    /// - `BOT-7025` (exit 2): `max_tokens` is below 2, or beyond the positions that the encoder knows
    pub fn new(files: &EncoderFiles, spec: &EncoderSpec) -> Result<Self> {
        spec.check()?;
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

    /// Makes an encoder of weights under our names, in any order: after fine-tuning, or out of a model file.
    ///
    /// `normalise` says whether an embedding is scaled to length 1.
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

    /// Returns the shape of the encoder.
    #[must_use]
    pub fn config(&self) -> &EncoderConfig {
        self.network.config()
    }

    /// Returns a copy of the weights, under our names.
    ///
    /// - `embeddings.word` [vocab_size, hidden_size], `embeddings.position` [max_positions, hidden_size],
    ///   `embeddings.token_type` [type_vocab_size, hidden_size] (not DistilBERT), `embeddings.norm.{weight,bias}`
    /// - of each layer `i`, `layers.{i}.` and: `query`, `key`, `value`, `output` [hidden_size, hidden_size];
    ///   `attention_norm`; `up` [intermediate_size, hidden_size], `down` [hidden_size, intermediate_size];
    ///   `output_norm`; each with `.weight` ([out, in], or `[hidden_size]` of a norm) and `.bias`
    #[must_use]
    pub fn tensors(&self) -> Vec<EncoderTensor> {
        self.each_tensor().collect()
    }

    /// Returns the bytes of the tokenizer's JSON, as they were read.
    #[must_use]
    pub fn tokenizer_json(&self) -> &[u8] {
        self.tokens.json()
    }

    /// Returns how the vectors of tokens become one.
    #[must_use]
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// Returns the most tokens of a text that are read, the special ones included.
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

    /// Returns the digest of all that decides an embedding: config, weights, tokenizer, pooling, the most tokens
    /// and the normalisation. It is computed once, from tens of megabytes.
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

    /// Returns whether anything of `text` is known: whether it has a token that is not special, as the one of what is
    /// unknown is, too.
    #[must_use]
    pub fn knows(&self, text: &str) -> bool {
        self.tokens.say_something(&self.tokens.of(text))
    }

    /// Returns the numbers of the tokens of each text: the special ones at both ends, cut to the most tokens.
    #[must_use]
    pub fn tokenise(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        self.tokens.of_many(texts)
    }

    /// Returns the tokens of one text.
    fn tokens_of(&self, text: &str) -> Vec<u32> {
        self.tokens.of(text)
    }

    fn network(&self) -> &Network {
        &self.network
    }

    /// Unpacks one tensor after the other.
    fn each_tensor(&self) -> impl Iterator<Item = EncoderTensor> {
        weights::wanted(self.config())
            .zip(self.network.values())
            .map(|((name, shape), values)| EncoderTensor { name, shape, values })
    }
}
