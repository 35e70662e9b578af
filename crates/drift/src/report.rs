//! The result of a comparison: one check per quantity, and a verdict.

use crate::spec::DriftSpec;
use serde::{Deserialize, Serialize};

/// The verdict of a check, or of the whole comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftVerdict {
    /// At least one check is significant after correction and large.
    Drift,
    /// No check is.
    NoDrift,
    /// Too few rows to judge.
    Insufficient,
}

/// The comparison of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftCheck {
    /// `intent`, `confidence`, `length_words`, `length_chars`, `language`, `unseen_word_rate`, or a column.
    pub name: String,
    /// `categorical` or `numeric`.
    pub kind: String,
    /// Rows of the reference that have the quantity.
    pub n_reference: u64,
    /// Rows of current that have the quantity.
    pub n_current: u64,
    /// Population stability index with Jeffreys pseudo-counts.
    pub psi: f64,
    /// The PSI that sampling alone exceeds in 5 of 100 comparisons.
    pub psi_noise95: f64,
    /// Jensen-Shannon distance, natural logarithm, in [0, sqrt(ln 2)].
    pub js_distance: f64,
    /// `chi2_homogeneity` or `ks_2samp`.
    pub test: String,
    /// The statistic of the test.
    pub statistic: f64,
    /// The p-value of the test.
    pub p_value: f64,
    /// The p-value after Benjamini-Hochberg correction over all checks.
    pub p_adjusted: f64,
    /// The means of a numeric quantity: `[reference, current]`.
    pub means: Option<[f64; 2]>,
    /// The largest changes: name, share in reference, share in current.
    ///
    /// Names are sorted by the size of the change, bins of numbers by their position.
    pub top: Vec<(String, f64, f64)>,
    /// The verdict of this check.
    pub verdict: DriftVerdict,
}

/// The result of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DriftReport {
    /// `botops.drift/1`.
    pub schema: String,
    /// The name of the reference, as the user gave it.
    pub reference: String,
    /// The name of the current side, as the user gave it.
    pub current: String,
    /// The thresholds used.
    pub spec: DriftSpec,
    /// One check for each quantity that both sides have.
    pub checks: Vec<DriftCheck>,
    /// The verdict of the whole comparison.
    pub verdict: DriftVerdict,
    /// Words of current that the reference lacks, the most frequent first, with their counts.
    pub new_words: Vec<(String, u64)>,
}
