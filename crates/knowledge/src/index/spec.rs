//! The settings of an index, which its file holds.

use botops_documents::ChunkSpec;
use serde::{Deserialize, Serialize};

/// The settings of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexSpec {
    /// The sizes of chunks.
    pub chunk: ChunkSpec,
    /// The source of the encoder, as the settings write it; `None` for an index of words only.
    #[serde(default)]
    pub encoder: Option<String>,
    /// The languages that the documents are expected in. If it names one, a document without a language is read in it.
    #[serde(default)]
    pub languages: Vec<String>,
    /// The weights of the fields.
    #[serde(default)]
    pub weights: FieldWeights,
    /// The least confidence of an answer; `None` before calibration.
    #[serde(default)]
    pub abstention: Option<f64>,
}

/// The number of occurrences in the text that one occurrence in another field counts for, in quarters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldWeights {
    /// Quarters for a word of the title of the document.
    pub title: u8,
    /// Quarters for a word of the headings above the chunk.
    pub section: u8,
}

impl Default for FieldWeights {
    /// A word of a heading counts as much as one of the text.
    fn default() -> Self {
        Self { title: 4, section: 4 }
    }
}

impl Default for IndexSpec {
    /// Words only, in chunks of 200 tokens.
    fn default() -> Self {
        Self {
            chunk: ChunkSpec { tokens: 200, overlap: 40 },
            encoder: None,
            languages: Vec::new(),
            weights: FieldWeights::default(),
            abstention: None,
        }
    }
}
