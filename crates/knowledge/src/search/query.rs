//! Questions and hits.

use crate::Filters;
use serde::{Deserialize, Serialize};

/// The way in which chunks are ranked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By words: BM25.
    Lexical,
    /// By the similarity of embeddings.
    Dense,
    /// By both.
    #[default]
    Hybrid,
}

/// A question to an index.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The text of the question.
    pub text: &'a str,
    /// The most hits.
    pub k: usize,
    /// The documents that may be found.
    pub filters: &'a Filters,
    /// The ranking. An index without an encoder ranks by words, whatever the mode; see
    /// [`crate::KnowledgeIndex::effective_mode`].
    pub mode: Mode,
    /// The embedding of the text by the encoder of the index, if it is known. Without one, or with one of another length,
    /// the text is embedded.
    pub embedding: Option<&'a [f32]>,
}

/// A chunk that fits a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The number of the chunk; see [`crate::KnowledgeIndex::passage`].
    pub chunk: u32,
    /// The value by which hits are ranked: BM25, the cosine similarity, or in hybrid mode a value in [0, 1].
    pub score: f64,
    /// BM25, 0 without a common word; `None` if words were not compared.
    pub lexical: Option<f64>,
    /// The cosine similarity of the embeddings, from -1 to 1; `None` if embeddings were not compared.
    pub dense: Option<f64>,
}
