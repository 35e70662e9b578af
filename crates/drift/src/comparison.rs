//! Two sides compared, quantity by quantity.

use crate::{
    quantity::{self, Tested},
    report::{DriftCheck, DriftReport, DriftVerdict},
    spec::DriftSpec,
};
use botops_spec::Checked;
use botops_stats::multiple::benjamini_hochberg;
use botops_text as text;
use std::collections::BTreeMap;

/// The most new words that a report lists.
const NEW_WORDS: usize = 50;

/// One utterance and its quantities.
#[derive(Debug, Clone, Default)]
pub struct Row<'a> {
    /// The utterance.
    pub text: &'a str,
    /// The language, declared or detected.
    pub lang: Option<&'a str>,
    /// The predicted intent, or `fallback`, if there is a model.
    pub intent: Option<&'a str>,
    /// The confidence, in [0, 1], if there is a model.
    pub confidence: Option<f64>,
    /// The share of words unknown to the model, in [0, 1], if there is a model.
    pub unseen_word_rate: Option<f64>,
}

/// Makes rows of utterances: (text, declared language).
///
/// A missing language is detected. `predictions` holds, for each utterance, the intent (or `fallback`),
/// the confidence and the unseen-word rate.
#[must_use]
pub fn rows<'a>(
    texts: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    predictions: Option<Vec<(&'a str, f64, f64)>>,
) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = texts
        .map(|(text, lang)| Row {
            text,
            lang: lang.or_else(|| text::detect_language(text)),
            ..Row::default()
        })
        .collect();
    if let Some(predictions) = predictions {
        for (row, (intent, confidence, unseen_word_rate)) in rows.iter_mut().zip(predictions) {
            row.intent = Some(intent);
            row.confidence = Some(confidence);
            row.unseen_word_rate = Some(unseen_word_rate);
        }
    }
    rows
}

/// Compares `current` with `reference`.
///
/// Each side is its name, as the user gave it, and its rows. A quantity is compared if both sides have at
/// least one value of it; rows without a value do not count.
///
/// - `intent`, `language`: Pearson's test; drift if p (corrected) <= `alpha` and PSI >= `min_psi`
/// - `confidence`, `length_words`, `length_chars`, `unseen_word_rate`: Kolmogorov-Smirnov; drift if
///   p (corrected) <= `alpha` and the distance >= `min_ks`
///
/// PSI and Pearson's test share their bins: bins that are expected to hold fewer than 5 rows on either
/// side are pooled (see [`botops_stats::homogeneity::pool_rare`]). The Jensen-Shannon distance and `top`
/// use every bin. A check with fewer than `min_rows` on either side is reported but not judged: its
/// verdict is insufficient, its `p_adjusted` is 1, and the correction ignores it. The whole comparison
/// drifts if a check does, and is insufficient if no check could be judged.
///
/// `new_words` leaves out words without a letter (order numbers, dates), and lists at most 50.
#[must_use]
pub fn compare(
    reference: (&str, &[Row<'_>]),
    current: (&str, &[Row<'_>]),
    spec: &Checked<DriftSpec>,
) -> DriftReport {
    compare_words(reference, current, spec, &|text| text::words(text).collect())
}

/// Compares as [`compare`] does; `words` splits a text into words.
pub(crate) fn compare_words(
    reference: (&str, &[Row<'_>]),
    current: (&str, &[Row<'_>]),
    spec: &Checked<DriftSpec>,
    words: &dyn Fn(&str) -> Vec<String>,
) -> DriftReport {
    let sides = [Side::new(reference.1, words), Side::new(current.1, words)];
    let [r, c] = &sides;
    let tested: Vec<Tested> = [
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
    DriftReport {
        schema: "botops.drift/1".to_owned(),
        reference: reference.0.to_owned(),
        current: current.0.to_owned(),
        spec: (**spec).clone(),
        new_words: new_words(r, c),
        checks,
        verdict,
    }
}

/// The values of one side, by quantity; rows without a value are left out.
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

/// Returns the words of `current` that `reference` lacks, the most frequent first, then by name.
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
