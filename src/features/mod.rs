//! Text to sparse features: word and character n-grams, TF-IDF.

use crate::findings::Result;
use serde::{Deserialize, Serialize};

/// What to make of a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TfidfSpec {
    /// Lengths of word n-grams, inclusive; `[0, 0]` for none.
    pub word_ngrams: [usize; 2],
    /// Lengths of character n-grams inside word boundaries (`char_wb`), inclusive; `[0, 0]` for none.
    pub char_ngrams: [usize; 2],
    /// Whether a term frequency counts as 1 + ln(tf).
    pub sublinear_tf: bool,
    /// Terms in fewer documents than this are left out.
    pub min_df: u32,
    /// The most frequent terms to keep; none: all.
    pub max_features: Option<usize>,
}

impl Default for TfidfSpec {
    fn default() -> Self {
        Self {
            word_ngrams: [1, 2],
            char_ngrams: [2, 4],
            sublinear_tf: true,
            min_df: 1,
            max_features: None,
        }
    }
}

impl TfidfSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2) for an empty or reversed range, n-grams over 8, or no terms at all.
    pub fn check(&self) -> Result<()> {
        todo!()
    }
}
