//! Text to features: sparse (word and character n-grams, TF-IDF), or dense through an [`encoder`].
//!
//! In comes an utterance, out comes a sparse row: [`Tfidf`] is fitted on many ([`Tfidf::fit`]) and
//! then reads any. An n-gram is known by a 64-bit number made while the text is read, so that no
//! n-gram is ever spelled out to be looked up; see [`Vocabulary`] for why that is safe.

pub(crate) mod fit_counts;
pub(crate) mod preprocessing;

mod counts;
pub mod encoder;
mod hub;
mod matrix;
mod ngrams;
mod numbers;
mod selection;
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
pub use tfidf::{Tfidf, TfidfScratch};
pub use vocabulary::{Term, TermKind, Vocabulary};

use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// Where the numbers of a text come from, by the one key `kind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Sparse: TF-IDF over n-grams of words and characters.
    #[default]
    Tfidf,
    /// Dense: the embedding that a transformer encoder makes.
    Encoder,
    /// Both side by side, in one row.
    Concatenated,
    /// Both, a head on each; their scores are weighed as they did out of fold.
    Stacked,
}

impl FeatureKind {
    /// Returns the name as written in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tfidf => "tfidf",
            Self::Encoder => "encoder",
            Self::Concatenated => "concatenated",
            Self::Stacked => "stacked",
        }
    }

    /// Returns whether it is what is meant where nothing is said; it is not written, then, and a botops of before
    /// there were others reads the rest.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether terms are counted.
    #[must_use]
    pub fn is_sparse(self) -> bool {
        self != Self::Encoder
    }

    /// Returns whether an encoder is asked.
    #[must_use]
    pub fn is_dense(self) -> bool {
        self != Self::Tfidf
    }
}

/// Whose TF-IDF values to reproduce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compat {
    /// scikit-learn's `TfidfVectorizer`.
    Sklearn,
}

/// What to make of a text, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureSpec {
    /// Where the numbers come from.
    #[serde(skip_serializing_if = "FeatureKind::is_default")]
    pub kind: FeatureKind,
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
    /// The terms to keep that tell intents apart best, by chi-square; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<usize>,
    /// Whether accents are taken off: `réglé` and `regle` become one.
    #[serde(skip_serializing_if = "is_false")]
    pub strip_accents: bool,
    /// Whose values to reproduce; none: ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
    /// The encoder, where `kind` asks one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderSpec>,
    /// What the embedding counts beside the terms where they are concatenated; both have length 1. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_weight: Option<f32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What an embedding counts beside the terms.
const DENSE_WEIGHT: f32 = 1.0;

impl Default for FeatureSpec {
    fn default() -> Self {
        let TfidfSpec {
            word_ngrams,
            char_ngrams,
            sublinear_tf,
            min_df,
            max_features,
            select,
            strip_accents,
            compat,
        } = TfidfSpec::default();
        Self {
            kind: FeatureKind::Tfidf,
            word_ngrams,
            char_ngrams,
            sublinear_tf,
            min_df,
            max_features,
            select,
            strip_accents,
            compat,
            encoder: None,
            dense_weight: None,
        }
    }
}

impl FeatureSpec {
    /// Checks the ranges, and that an encoder is named where one is asked, and only there.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key.
    pub fn check(&self) -> Result<()> {
        self.tfidf().check()?;
        if self.kind.is_sparse() && [self.word_ngrams, self.char_ngrams] == [[0, 0]; 2] {
            return Err(Fault::usage(
                "BOT-7010",
                "neither `word_ngrams` nor `char_ngrams` is asked for",
            )
            .hint("leave one of them out, and its default is used"));
        }
        if self.dense_weight.is_some() && self.kind != FeatureKind::Concatenated {
            return Err(Fault::usage(
                "BOT-7010",
                format!(
                    "`features.dense_weight` says nothing with `features.kind: {}`",
                    self.kind.name()
                ),
            )
            .hint("take it out, or write `kind: concatenated`"));
        }
        if self.dense_weight.is_some_and(|weight| !(weight.is_finite() && weight > 0.0)) {
            return Err(Fault::usage("BOT-7010", "`features.dense_weight` is out of range")
                .hint("`features.dense_weight` may be a number above 0"));
        }
        match (&self.encoder, self.kind.is_dense()) {
            (None, true) => Err(Fault::usage("BOT-7010", "`features.encoder` is missing")
                .hint("name one: `encoder: { source: path/to/folder }`, or `hf://owner/name`")),
            (Some(_), false) => Err(Fault::usage(
                "BOT-7010",
                "`features.encoder` is given, but `features.kind: tfidf` asks none",
            )
            .hint("write `kind: encoder`, `kind: concatenated` or `kind: stacked`, or take `encoder:` out")),
            (Some(encoder), true) => encoder.check(),
            (None, false) => Ok(()),
        }
    }

    /// Returns what an embedding is multiplied with: 1 but where it stands beside terms.
    #[must_use]
    pub fn dense_weight(&self) -> f32 {
        match self.kind {
            FeatureKind::Concatenated => self.dense_weight.unwrap_or(DENSE_WEIGHT),
            _ => 1.0,
        }
    }

    /// Returns the sparse part; without one, n-grams of nothing.
    #[must_use]
    pub fn tfidf(&self) -> TfidfSpec {
        let none = [0, 0];
        let sparse = self.kind.is_sparse();
        TfidfSpec {
            word_ngrams: if sparse { self.word_ngrams } else { none },
            char_ngrams: if sparse { self.char_ngrams } else { none },
            sublinear_tf: self.sublinear_tf,
            min_df: self.min_df,
            max_features: self.max_features,
            select: self.select,
            strip_accents: self.strip_accents,
            compat: self.compat,
        }
    }
}

/// What terms to count in a text, and how to weigh them: see [`FeatureSpec`].
#[derive(Debug, Clone, PartialEq)]
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
    /// The terms to keep that tell intents apart best, by chi-square; none: all.
    pub select: Option<usize>,
    /// Whether accents are taken off.
    pub strip_accents: bool,
    /// Whose values to reproduce; none: ours.
    pub compat: Option<Compat>,
}

impl Default for TfidfSpec {
    fn default() -> Self {
        Self {
            word_ngrams: [1, 2],
            char_ngrams: [2, 4],
            sublinear_tf: true,
            min_df: 1,
            max_features: None,
            select: None,
            strip_accents: false,
            compat: None,
        }
    }
}

/// The longest n-gram there is.
pub(crate) const MAX_NGRAM: usize = 8;

impl TfidfSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2) for an empty or reversed range, or n-grams over 8.
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
        if self.min_df == 0 {
            return Err(
                Fault::usage("BOT-7010", "`min_df` is 0").hint("`min_df: 1` keeps every term")
            );
        }
        if self.max_features == Some(0) {
            return Err(Fault::usage("BOT-7010", "`max_features` is 0: no term would be left")
                .hint("leave `max_features` out to keep every term"));
        }
        if self.select == Some(0) {
            return Err(Fault::usage("BOT-7010", "`select` is 0: no term would be left")
                .hint("leave `select` out to keep every term"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
