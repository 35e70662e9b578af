//! The settings of features, as written in YAML, and their checks.

use crate::encoder::EncoderSpec;
use botops_findings::{Fault, Result};
use botops_spec::Spec;
use serde::{Deserialize, Serialize};

/// The kind of features, given by the key `kind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Sparse: TF-IDF over n-grams of words and characters.
    #[default]
    Tfidf,
    /// Dense: the embedding of a transformer encoder.
    Encoder,
    /// Sparse and dense values side by side in one row.
    Concatenated,
    /// A head on the sparse values and a head on the dense ones; their scores are weighted by out-of-fold results.
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

    /// Returns whether this is the default kind.
    ///
    /// The default is not written to files, so versions of botops without this key can read them.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether terms are used.
    #[must_use]
    pub fn is_sparse(self) -> bool {
        self != Self::Encoder
    }

    /// Returns whether an encoder is used.
    #[must_use]
    pub fn is_dense(self) -> bool {
        self != Self::Tfidf
    }
}

/// The library whose TF-IDF values are reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compat {
    /// scikit-learn's `TfidfVectorizer`.
    Sklearn,
}

/// The settings of features, as written in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureSpec {
    /// The kind of features.
    #[serde(skip_serializing_if = "FeatureKind::is_default")]
    pub kind: FeatureKind,
    /// Lengths of word n-grams, inclusive; `[0, 0]` for none.
    pub word_ngrams: [usize; 2],
    /// Lengths of character n-grams inside word boundaries (`char_wb`), inclusive; `[0, 0]` for none.
    pub char_ngrams: [usize; 2],
    /// Whether a term frequency counts as 1 + ln(tf).
    pub sublinear_tf: bool,
    /// The least number of documents a term must appear in.
    pub min_df: u32,
    /// The number of most frequent terms to keep; all if `None`.
    pub max_features: Option<usize>,
    /// The number of terms to keep, those that separate intents best by chi-square; all if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<usize>,
    /// Whether accents are removed: `réglé` becomes `regle`.
    #[serde(skip_serializing_if = "is_false")]
    pub strip_accents: bool,
    /// The library whose values are reproduced; botops's own values if `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compat: Option<Compat>,
    /// The encoder, if `kind` uses one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<EncoderSpec>,
    /// The weight of the embedding relative to the terms in concatenated features; both have length 1.
    ///
    /// The default is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dense_weight: Option<f32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The default of `dense_weight`.
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

impl Spec for FeatureSpec {
    /// Checks the ranges, and that an encoder is named if and only if `kind` uses one.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2); the message names the key.
    fn check_ranges(&self) -> Result<()> {
        self.tfidf().check_ranges()?;
        if self.kind.is_sparse() && [self.word_ngrams, self.char_ngrams] == [[0, 0]; 2] {
            return Err(Fault::usage(
                "BOT-7010",
                "both `word_ngrams` and `char_ngrams` are `[0, 0]`",
            )
            .hint("remove one of them to use its default"));
        }
        if self.dense_weight.is_some() && self.kind != FeatureKind::Concatenated {
            return Err(Fault::usage(
                "BOT-7010",
                format!(
                    "`features.dense_weight` has no effect with `features.kind: {}`",
                    self.kind.name()
                ),
            )
            .hint("remove it, or write `kind: concatenated`"));
        }
        if self.dense_weight.is_some_and(|weight| !(weight.is_finite() && weight > 0.0)) {
            return Err(Fault::usage("BOT-7010", "`features.dense_weight` is out of range")
                .hint("write a number above 0"));
        }
        match (&self.encoder, self.kind.is_dense()) {
            (None, true) => Err(Fault::usage("BOT-7010", "`features.encoder` is missing")
                .hint("add one: `encoder: { source: path/to/folder }`, or `source: hf://owner/name`")),
            (Some(_), false) => Err(Fault::usage(
                "BOT-7010",
                "`features.encoder` is set, but `features.kind: tfidf` does not use it",
            )
            .hint("write `kind: encoder`, `kind: concatenated` or `kind: stacked`, or remove `encoder:`")),
            (Some(encoder), true) => encoder.check_ranges(),
            (None, false) => Ok(()),
        }
    }
}

impl FeatureSpec {
    /// Returns the factor of an embedding: `dense_weight` if it stands beside terms, else 1.
    #[must_use]
    pub fn dense_weight(&self) -> f32 {
        match self.kind {
            FeatureKind::Concatenated => self.dense_weight.unwrap_or(DENSE_WEIGHT),
            _ => 1.0,
        }
    }

    /// Returns the settings of the sparse part; without one, all n-gram ranges are `[0, 0]`.
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

/// The settings of the sparse part of [`FeatureSpec`].
#[derive(Debug, Clone, PartialEq)]
pub struct TfidfSpec {
    /// Lengths of word n-grams, inclusive; `[0, 0]` for none.
    pub word_ngrams: [usize; 2],
    /// Lengths of character n-grams inside word boundaries (`char_wb`), inclusive; `[0, 0]` for none.
    pub char_ngrams: [usize; 2],
    /// Whether a term frequency counts as 1 + ln(tf).
    pub sublinear_tf: bool,
    /// The least number of documents a term must appear in.
    pub min_df: u32,
    /// The number of most frequent terms to keep; all if `None`.
    pub max_features: Option<usize>,
    /// The number of terms to keep, those that separate intents best by chi-square; all if `None`.
    pub select: Option<usize>,
    /// Whether accents are removed.
    pub strip_accents: bool,
    /// The library whose values are reproduced; botops's own values if `None`.
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

/// The longest n-gram, in words or characters.
pub(crate) const MAX_NGRAM: usize = 8;

impl Spec for TfidfSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2) for an empty or reversed range, n-grams longer than 8, or a count of zero.
    fn check_ranges(&self) -> Result<()> {
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
                    "write two lengths from 1 to {MAX_NGRAM}, the smaller first, such as `{key}: [1, 2]`, or `[0, 0]` for none"
                )));
            }
        }
        if self.min_df == 0 {
            return Err(Fault::usage("BOT-7010", "`min_df` is 0")
                .hint("write `min_df: 1` to keep every term"));
        }
        if self.max_features == Some(0) {
            return Err(Fault::usage("BOT-7010", "`max_features` is 0: no term would remain")
                .hint("remove `max_features` to keep every term"));
        }
        if self.select == Some(0) {
            return Err(Fault::usage("BOT-7010", "`select` is 0: no term would remain")
                .hint("remove `select` to keep every term"));
        }
        Ok(())
    }
}
