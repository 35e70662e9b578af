//! Reference against current: has what people say changed?

use crate::findings::Result;
use serde::{Deserialize, Serialize};

/// What is known of one utterance.
#[derive(Debug, Clone, Default)]
pub struct Row<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its language, declared or detected.
    pub lang: Option<&'a str>,
    /// Predicted intent (or `fallback`), with a model.
    pub intent: Option<&'a str>,
    /// Confidence, with a model.
    pub confidence: Option<f64>,
    /// Share of words the model never saw, with a model.
    pub unseen_word_rate: Option<f64>,
}

/// How to judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSpec {
    /// False discovery rate over all checks (Benjamini-Hochberg).
    pub alpha: f64,
    /// Least PSI that counts, beside significance.
    pub min_psi: f64,
    /// Least KS distance that counts, beside significance.
    pub min_ks: f64,
    /// Fewer rows than this on either side: insufficient.
    pub min_rows: usize,
}

impl Default for DriftSpec {
    fn default() -> Self {
        Self { alpha: 0.05, min_psi: 0.1, min_ks: 0.1, min_rows: 100 }
    }
}

/// Drift, no drift, or too little to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    /// At least one check is significant after correction and larger than its least effect.
    Drift,
    /// None is.
    NoDrift,
    /// Too few rows.
    Insufficient,
}

/// One quantity compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftCheck {
    /// `intent`, `confidence`, `length_words`, `length_chars`, `language`, `unseen_word_rate`, or a column.
    pub name: String,
    /// `categorical` or `numeric`.
    pub kind: String,
    /// Rows of the reference.
    pub n_reference: u64,
    /// Rows of current.
    pub n_current: u64,
    /// PSI with Jeffreys pseudo-counts.
    pub psi: f64,
    /// The PSI that sampling alone exceeds 5 times in 100.
    pub psi_noise95: f64,
    /// Jensen-Shannon distance, natural logarithm, in [0, sqrt(ln 2)].
    pub js_distance: f64,
    /// `chi2_homogeneity` or `ks_2samp`.
    pub test: String,
    /// The test's statistic.
    pub statistic: f64,
    /// Its p-value.
    pub p_value: f64,
    /// After Benjamini-Hochberg over all checks.
    pub p_adjusted: f64,
    /// Mean of a numeric quantity on either side, `[reference, current]`.
    pub means: Option<[f64; 2]>,
    /// The largest changes: name, share in reference, share in current.
    pub top: Vec<(String, f64, f64)>,
    /// This check's verdict.
    pub verdict: DriftVerdict,
}

/// All checks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DriftReport {
    /// `botops.drift/1`.
    pub schema: String,
    /// The reference as named.
    pub reference: String,
    /// The current side as named.
    pub current: String,
    /// How it was judged.
    pub spec: DriftSpec,
    /// Each quantity that both sides have.
    pub checks: Vec<DriftCheck>,
    /// The whole's verdict.
    pub verdict: DriftVerdict,
    /// Words of current that the reference lacks, the most frequent first, with their counts.
    pub new_words: Vec<(String, u64)>,
}

/// Compares `current` with `reference`.
///
/// # Errors
/// `BOT-4001` (exit 2) for a spec out of range.
pub fn compare(
    reference: (&str, &[Row<'_>]),
    current: (&str, &[Row<'_>]),
    spec: &DriftSpec,
) -> Result<DriftReport> {
    let _ = (reference, current, spec);
    todo!()
}

/// Describes utterances (text, declared language) as rows; the language is detected where none is declared.
/// `judged` adds what a model says of each: intent (or `fallback`), confidence, unseen-word rate.
#[must_use]
pub fn rows<'a>(texts: impl Iterator<Item = (&'a str, Option<&'a str>)>, judged: Option<Vec<(&'a str, f64, f64)>>) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = texts
        .map(|(text, lang)| Row { text, lang: lang.or_else(|| crate::text::detect_language(text)), ..Row::default() })
        .collect();
    if let Some(judged) = judged {
        for (row, (intent, confidence, unseen_word_rate)) in rows.iter_mut().zip(judged) {
            row.intent = Some(intent);
            row.confidence = Some(confidence);
            row.unseen_word_rate = Some(unseen_word_rate);
        }
    }
    rows
}
