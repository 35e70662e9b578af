//! Reference against current: has what people say changed?
//!
//! Rows of both sides come in; a [`DriftReport`] goes out. Each quantity that both sides have is one
//! check: an effect size, the part of it that sampling alone makes, and a p-value corrected over all
//! checks. A check drifts only when it is both significant and large: with rows enough everything is
//! significant, with few nothing large can be trusted.

use botops_findings::{Fault, Place, Result};
use botops_stats::multiple::benjamini_hochberg;
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod quantity;

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
    /// The largest changes: name, share in reference, share in current; the largest first, but bins of numbers in their
    /// order.
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

/// How many new words a report lists.
const NEW_WORDS: usize = 50;

impl DriftSpec {
    /// Checks the numbers.
    ///
    /// # Errors
    /// `BOT-4001` (exit 2) with the key: `alpha` not in (0, 1), `min_psi` negative, `min_ks` not in
    /// [0, 1], `min_rows` zero.
    pub fn check(&self) -> Result<()> {
        let complaint = if !(self.alpha > 0.0 && self.alpha < 1.0) {
            ("alpha", format!("`alpha` is `{}`: a number between 0 and 1 is wanted", self.alpha))
        } else if !(self.min_psi >= 0.0 && self.min_psi.is_finite()) {
            ("min_psi", format!("`min_psi` is `{}`: a number from 0 up is wanted", self.min_psi))
        } else if !(0.0..=1.0).contains(&self.min_ks) {
            ("min_ks", format!("`min_ks` is `{}`: a number from 0 to 1 is wanted", self.min_ks))
        } else if self.min_rows == 0 {
            ("min_rows", "`min_rows` is `0`: at least one row is needed to compare".to_owned())
        } else {
            return Ok(());
        };
        let (key, message) = complaint;
        Err(Fault::usage("BOT-4001", message)
            .at(Place { key: Some(key.to_owned()), ..Place::default() })
            .hint("the defaults are `alpha: 0.05`, `min_psi: 0.1`, `min_ks: 0.1`, `min_rows: 100`"))
    }
}

/// Compares `current` with `reference`.
///
/// Either side is its name, as the user gave it, and its rows. A quantity is compared when both sides
/// have at least one value of it; rows without one do not count in it.
///
/// - `intent`, `language`: Pearson's test; drift when p (corrected) <= `alpha` and PSI >= `min_psi`
/// - `confidence`, `length_words`, `length_chars`, `unseen_word_rate`: Kolmogorov-Smirnov; drift when
///   p (corrected) <= `alpha` and the distance >= `min_ks`
///
/// PSI and Pearson's test share their bins: those expected to hold fewer than 5 rows on either side
/// are pooled (see [`botops_stats::homogeneity::pool_rare`]); the Jensen-Shannon distance and `top`
/// see every bin. A check with fewer than `min_rows` on either side is shown, not judged: verdict
/// insufficient, `p_adjusted` 1, and it does not count in the correction. The whole drifts when a
/// check does, and is insufficient when none could be judged.
///
/// `new_words` leaves out words without a letter (order numbers, dates), and lists at most 50.
///
/// # Errors
/// `BOT-4001` (exit 2) for a spec out of range.
pub fn compare(
    reference: (&str, &[Row<'_>]),
    current: (&str, &[Row<'_>]),
    spec: &DriftSpec,
) -> Result<DriftReport> {
    compare_words(reference, current, spec, &|text| text::words(text).collect())
}

/// Describes utterances (text, declared language) as rows; the language is detected where none is declared.
/// `judged` adds what a model says of each: intent (or `fallback`), confidence, unseen-word rate.
#[must_use]
pub fn rows<'a>(
    texts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    judged: Option<Vec<(&'a str, f64, f64)>>,
) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = texts
        .map(|(text, lang)| Row {
            text,
            lang: lang.or_else(|| botops_text::detect_language(text)),
            ..Row::default()
        })
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
/// [`compare`] with the words of a text given by `words`.
fn compare_words(
    reference: (&str, &[Row<'_>]),
    current: (&str, &[Row<'_>]),
    spec: &DriftSpec,
    words: &dyn Fn(&str) -> Vec<String>,
) -> Result<DriftReport> {
    spec.check()?;
    let sides = [Side::new(reference.1, words), Side::new(current.1, words)];
    let [r, c] = &sides;
    let tested: Vec<quantity::Tested> = [
        quantity::categorical("intent", &r.intents, &c.intents, spec),
        quantity::numeric("confidence", &r.confidences, &c.confidences, spec),
        quantity::numeric("length_words", &r.length_words, &c.length_words, spec),
        quantity::numeric("length_chars", &r.length_chars, &c.length_chars, spec),
        quantity::categorical("language", &r.languages, &c.languages, spec),
        quantity::numeric("unseen_word_rate", &r.unseen_word_rates, &c.unseen_word_rates, spec),
    ]
    .into_iter()
    .flatten()
    .collect();

    let p_values: Vec<f64> =
        tested.iter().filter(|t| t.is_judged()).map(|t| t.check.p_value).collect();
    let mut adjusted = benjamini_hochberg(&p_values).into_iter();
    let checks: Vec<DriftCheck> = tested
        .into_iter()
        .map(|t| {
            let p = if t.is_judged() { adjusted.next() } else { None };
            t.judge(p.unwrap_or(1.0), spec.alpha)
        })
        .collect();
    let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
    let verdict = if any(DriftVerdict::Drift) {
        DriftVerdict::Drift
    } else if any(DriftVerdict::NoDrift) {
        DriftVerdict::NoDrift
    } else {
        DriftVerdict::Insufficient
    };
    Ok(DriftReport {
        schema: "botops.drift/1".to_owned(),
        reference: reference.0.to_owned(),
        current: current.0.to_owned(),
        spec: spec.clone(),
        new_words: new_words(r, c),
        checks,
        verdict,
    })
}

/// What is compared of one side, by quantity; rows without a value are left out.
struct Side<'a> {
    intents: Vec<&'a str>,
    languages: Vec<&'a str>,
    confidences: Vec<f64>,
    unseen_word_rates: Vec<f64>,
    length_words: Vec<f64>,
    length_chars: Vec<f64>,
    vocabulary: BTreeMap<String, u64>,
}

impl<'a> Side<'a> {
    fn new(rows: &[Row<'a>], words: &dyn Fn(&str) -> Vec<String>) -> Self {
        let mut vocabulary = BTreeMap::new();
        let mut length_words = Vec::with_capacity(rows.len());
        for row in rows {
            let words = words(row.text);
            length_words.push(words.len() as f64);
            for word in words {
                *vocabulary.entry(word).or_default() += 1;
            }
        }
        Self {
            intents: rows.iter().filter_map(|row| row.intent).collect(),
            languages: rows.iter().filter_map(|row| row.lang).collect(),
            confidences: rows.iter().filter_map(|row| row.confidence).collect(),
            unseen_word_rates: rows.iter().filter_map(|row| row.unseen_word_rate).collect(),
            length_chars: rows.iter().map(|row| row.text.chars().count() as f64).collect(),
            length_words,
            vocabulary,
        }
    }
}

/// The words of `current` that `reference` lacks, the most frequent first, then by name.
fn new_words(reference: &Side<'_>, current: &Side<'_>) -> Vec<(String, u64)> {
    let mut new: Vec<(String, u64)> = current
        .vocabulary
        .iter()
        .filter(|(word, _)| !reference.vocabulary.contains_key(*word))
        .filter(|(word, _)| word.chars().any(char::is_alphabetic))
        .map(|(word, &count)| (word.clone(), count))
        .collect();
    new.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    new.truncate(NEW_WORDS);
    new
}

#[cfg(test)]
mod tests;
