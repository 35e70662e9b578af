//! The result of a comparison: one check per quantity, and a verdict.

use crate::{score::Score, spec::DriftSpec};
use botops_text::display;
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
    /// `intent`, `intent_declared`, `confidence`, `length_words`, `length_chars`, `language`, `unseen_word_rate`, `text`,
    /// `embedding`, `label_shift`, or a column. Missing values are a check of their own, whose name ends in `_missing`.
    pub name: String,
    /// `categorical`, `numeric`, or `sample` for a check of whole samples without bins, such as that of the texts.
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
    /// `chi2_homogeneity`, `fisher_exact`, `ks_2samp`, `domain_classifier`, `mmd2_rbf` or `bbse`.
    pub test: String,
    /// The statistic of the test; for `fisher_exact`, Pearson's.
    pub statistic: f64,
    /// The p-value of the test.
    pub p_value: f64,
    /// The p-value after Benjamini-Hochberg correction over all checks.
    pub p_adjusted: f64,
    /// The means of a numeric quantity: `[reference, current]`.
    pub means: Option<[f64; 2]>,
    /// The Wasserstein distance of a numeric quantity in standard deviations of the reference; `None` if the reference
    /// is constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wasserstein_sd: Option<f64>,
    /// The column of the data, if the check compares the cells of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The largest changes: name, share in reference, share in current.
    ///
    /// Names are sorted by the size of the change, bins of numbers by their position.
    pub top: Vec<(String, f64, f64)>,
    /// The verdict of this check.
    pub verdict: DriftVerdict,
    /// The scores, each with its noise floor and the smallest change that these samples could have shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
}

/// The reason why a quantity or a column was not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotJudgedWhy {
    /// A side has fewer values than are needed.
    TooFew,
    /// A side has no value.
    NoValue,
    /// Only the reference has the column.
    OnlyReference,
    /// Only the current data has the column.
    OnlyCurrent,
    /// The column holds times, which move on by themselves.
    Times,
    /// The column holds ids, or counts its rows.
    Ids,
    /// The column holds texts with too many different values to be categories.
    Texts,
    /// The role of the column has no check.
    NoCheck,
}

/// A quantity or a column that was not judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotJudged {
    /// The name of the check or the column.
    pub name: String,
    /// The reason.
    pub why: NotJudgedWhy,
    /// The reason in words.
    pub reason: String,
}

impl NotJudged {
    /// Returns whether a check exists, and lacked the values to be judged.
    #[must_use]
    pub fn lacks_values(&self) -> bool {
        matches!(self.why, NotJudgedWhy::TooFew | NotJudgedWhy::NoValue)
    }
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
    /// The comparisons that were not judged: checks with too few values, and columns that cannot be compared.
    #[serde(default)]
    pub not_judged: Vec<NotJudged>,
    /// The rows of current whose text stands in the reference, too.
    #[serde(default)]
    pub n_shared: u64,
    /// The verdict of the whole comparison.
    pub verdict: DriftVerdict,
    /// Words of current that the reference lacks, the most frequent first, with their counts.
    pub new_words: Vec<(String, u64)>,
}

impl DriftReport {
    /// Returns the number of checks that had enough values to be judged.
    #[must_use]
    pub fn n_judged(&self) -> usize {
        self.checks.iter().filter(|check| check.verdict != DriftVerdict::Insufficient).count()
    }

    /// Returns the checks that lacked the values to be judged, in words; `None` if there are none.
    ///
    /// The verdict is that of the other checks, so it must not be shown without this list.
    #[must_use]
    pub fn unjudged_checks(&self) -> Option<String> {
        listed(self.not_judged.iter().filter(|item| item.lacks_values()))
    }

    /// Returns the columns that were not compared, in words; `None` if there are none.
    #[must_use]
    pub fn uncompared_columns(&self) -> Option<String> {
        listed(self.not_judged.iter().filter(|item| !item.lacks_values()))
    }
}

/// Lists `items` with their reasons, as far as a line goes.
fn listed<'a>(items: impl Iterator<Item = &'a NotJudged>) -> Option<String> {
    const MOST: usize = 20;
    let items: Vec<String> =
        items.map(|item| format!("{} ({})", display(&item.name, 40), item.reason)).collect();
    let more = match items.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    (!items.is_empty()).then(|| format!("{}{more}", items[..items.len().min(MOST)].join(", ")))
}
