//! The settings of an index, which its file holds.

use crate::Abstention;
use botops_documents::{ChunkSpec, FEWEST_TOKENS, MOST_TOKENS};
use botops_findings::{Fault, Result};
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
    /// The decision not to answer; `None` for the embedded default.
    #[serde(default)]
    pub abstention: Option<Abstention>,
}

impl IndexSpec {
    /// Checks the sizes of chunks.
    ///
    /// # Errors
    /// `BOT-7207` (exit 2) for chunks that are too small or too large, or an overlap of more than half a chunk.
    pub(crate) fn check(&self) -> Result<()> {
        let ChunkSpec { tokens, overlap } = self.chunk;
        if (FEWEST_TOKENS..=MOST_TOKENS).contains(&tokens) && overlap <= tokens / 2 {
            return Ok(());
        }
        Err(Fault::usage(
            "BOT-7207",
            format!("chunks of {tokens} tokens with an overlap of {overlap} are not possible"),
        )
        .hint(format!(
            "choose {FEWEST_TOKENS} to {MOST_TOKENS} tokens, and an overlap of at most half of them"
        )))
    }
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
    ///
    /// Of 0, 1/4, 1/2, 1, 3/2, 2, 3 and 5, a weight of 1 for titles has the highest MRR@10 on the 556 questions of the passages of
    /// XQuAD English whose SHA-256 begins with an even byte, with the titles of their articles: 0.954, and 0.951 without titles. On
    /// the 634 others, 1 has 0.966, 2 has 0.968, and 0 has 0.963. XQuAD has no sections: they weigh as titles do.
    fn default() -> Self {
        Self { title: 4, section: 4 }
    }
}

impl Default for IndexSpec {
    /// Words only, in chunks of the default size.
    fn default() -> Self {
        Self {
            chunk: ChunkSpec::default(),
            encoder: None,
            languages: Vec::new(),
            weights: FieldWeights::default(),
            abstention: None,
        }
    }
}
