//! Features: text to sparse rows of TF-IDF weights, or to dense embeddings of an [`encoder`].
//!
//! Input: utterances and a [`FeatureSpec`]. Output: a [`FeatureMatrix`], or embeddings. [`Tfidf`] is fitted
//! on training texts ([`Tfidf::fit`]) and then transforms any text. An n-gram is identified by a 64-bit
//! hash that is computed while the text is read, so no n-gram is copied to look it up. [`Vocabulary`]
//! explains why collisions are harmless. [`Hub`] downloads encoders.

mod counts;
pub mod encoder;
mod fit_counts;
mod hash_ids;
mod hub;
mod matrix;
mod ngrams;
mod preprocessing;
mod selection;
mod spec;
mod term;
mod tfidf;
mod vocabulary;

pub use counts::Counts;
pub use encoder::{
    EmbeddingCache, Encoder, EncoderConfig, EncoderFiles, EncoderParts, EncoderScratch,
    EncoderSpec, EncoderTensor, Pooling, embed_cached,
};
pub use hub::{Hub, HubSource};
pub use matrix::FeatureMatrix;
pub use selection::{chi_square, strongest};
pub use spec::{Compat, FeatureKind, FeatureSpec, TfidfSpec};
pub use term::{Term, TermKind};
pub use tfidf::{Tfidf, TfidfScratch};
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod tests;
