//! Text to features: sparse (word and character n-grams, TF-IDF), or dense through an [`encoder`].
//!
//! In comes an utterance, out comes a sparse row: [`Tfidf`] is fitted on many ([`Tfidf::fit`]) and
//! then reads any. An n-gram is known by a 64-bit number made while the text is read, so that no
//! n-gram is ever spelled out to be looked up; see [`Vocabulary`] for why that is safe.

pub mod encoder;
mod matrix;
mod ngrams;
mod tfidf;
mod vocabulary;

pub use encoder::{
    Encoder, EncoderConfig, EncoderFiles, EncoderParts, EncoderScratch, EncoderSpec, EncoderTensor,
    Pooling,
};
pub use matrix::FeatureMatrix;
pub use tfidf::{Counts, Tfidf, TfidfScratch};
pub use vocabulary::{Term, TermKind, Vocabulary};

use crate::findings::{Fault, Result};
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

/// The longest n-gram there is.
pub(crate) const MAX_NGRAM: usize = 8;

impl TfidfSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2) for an empty or reversed range, n-grams over 8, or no terms at all.
    pub fn check(&self) -> Result<()> {
        for (key, [low, high]) in
            [("word_ngrams", self.word_ngrams), ("char_ngrams", self.char_ngrams)]
        {
            if [low, high] == [0, 0] {
                continue;
            }
            if low == 0 || low > high || high > MAX_NGRAM {
                return Err(Fault::usage(
                    "BOT-7010",
                    format!("`{key}: [{low}, {high}]` is not a range of lengths"),
                )
                .hint(format!(
                    "write `{key}: [1, 2]`: two lengths from 1 to {MAX_NGRAM}, the smaller first, or `[0, 0]` for none"
                )));
            }
        }
        if self.word_ngrams == [0, 0] && self.char_ngrams == [0, 0] {
            return Err(Fault::usage(
                "BOT-7010",
                "neither `word_ngrams` nor `char_ngrams` is asked for",
            )
            .hint("leave one of them out, and its default is used"));
        }
        if self.min_df == 0 {
            return Err(
                Fault::usage("BOT-7010", "`min_df` is 0").hint("`min_df: 1` keeps every term")
            );
        }
        if self.max_features == Some(0) {
            return Err(Fault::usage("BOT-7010", "`max_features` is 0: no term would be left")
                .hint("leave `max_features` out to keep every term"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
