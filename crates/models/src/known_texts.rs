//! The texts of the training data, recognised in any file.

use botops_digest::Digest;
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most marks kept. About 8 KB of a model file.
const MOST_MARKS: usize = 512;

/// The least number of different texts that can be told to be those of the training data.
const LEAST_COMPARED: u64 = 10;

/// A sample of the texts of the training data, as marks, by which they are recognised in a file of another format, in
/// another order, or in parts.
///
/// A mark is the first 48 bits of the digest of a folded text. The sample holds the smallest marks. So whether a text is
/// in the training data is known for each text whose mark is not above the largest of these, and such texts are a random
/// part of any file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownTexts {
    /// The smallest marks, in rising order.
    marks: Vec<u64>,
    /// Whether these are the marks of all texts.
    is_complete: bool,
}

/// The different texts of a file that could be compared with those of the training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenTexts {
    /// The number of them that are in the training data.
    pub n_known: u64,
    /// The number of all of them.
    pub n_compared: u64,
}

impl KnownTexts {
    /// Samples the texts of the training data; their order and repetitions do not count.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut marks = BTreeSet::new();
        let mut is_complete = true;
        for mark in texts.into_iter().filter_map(mark) {
            marks.insert(mark);
            if marks.len() > MOST_MARKS {
                marks.pop_last();
                is_complete = false;
            }
        }
        Self { marks: marks.into_iter().collect(), is_complete }
    }

    /// Compares `texts` with those of the training data.
    #[must_use]
    pub fn seen<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> SeenTexts {
        let last = match self.is_complete {
            true => u64::MAX,
            false => self.marks.last().copied().unwrap_or(0),
        };
        let marks = texts.into_iter().filter_map(mark).filter(|&mark| mark <= last);
        let marks: BTreeSet<u64> = marks.collect();
        let n_known = marks.iter().filter(|mark| self.marks.binary_search(mark).is_ok()).count();
        SeenTexts { n_known: n_known as u64, n_compared: marks.len() as u64 }
    }
}

impl SeenTexts {
    /// Returns the share of the texts that are in the training data; `None` if too few could be compared.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        (self.n_compared >= LEAST_COMPARED).then(|| self.n_known as f64 / self.n_compared as f64)
    }

    /// Returns whether most of the texts are in the training data.
    #[must_use]
    pub fn are_mostly_known(&self) -> bool {
        self.share().is_some_and(|share| share > 0.5)
    }
}

/// Returns the mark of a text; `None` if nothing is left of it after folding.
fn mark(text: &str) -> Option<u64> {
    let folded = text::fold(text);
    let digest = Digest::of(folded.as_bytes());
    let mark = digest.as_bytes()[..6].iter().fold(0, |mark, &byte| mark << 8 | u64::from(byte));
    (!folded.is_empty()).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|i| format!("where is parcel {i}")).collect()
    }

    fn known(texts: &[String]) -> KnownTexts {
        KnownTexts::of(texts.iter().map(String::as_str))
    }

    fn share(known: &KnownTexts, texts: &[String]) -> Option<f64> {
        known.seen(texts.iter().map(String::as_str)).share()
    }

    #[test]
    fn training_texts_are_known_in_any_order_and_in_parts() {
        for n in [100, 10_000] {
            let all = texts(0..n);
            let model = known(&all);
            let reversed: Vec<String> = all.iter().rev().map(|text| text.to_uppercase()).collect();
            assert_eq!(model, known(&reversed));
            assert_eq!(model, known(&[all.clone(), all.clone()].concat()));
            assert_eq!(share(&model, &reversed), Some(1.0));
            assert_eq!(share(&model, &all[..all.len() / 2]), Some(1.0));
            assert_eq!(share(&model, &texts(n..2 * n)), Some(0.0));
            let mixed = share(&model, &texts(n / 2..n / 2 + n)).unwrap();
            assert!((mixed - 0.5).abs() < 0.08, "{mixed}");
        }
    }

    #[test]
    fn nothing_is_said_of_few_texts() {
        let model = known(&texts(0..100));
        assert_eq!(share(&model, &texts(0..9)), None);
        // Of 10,000 texts one in twenty is compared.
        let large = known(&texts(0..10_000));
        assert!(large.seen(["hello"]).n_compared <= 1);
        assert_eq!(share(&KnownTexts::default(), &texts(0..100)), None);
    }

    #[test]
    fn the_sample_is_small_and_exact_in_json() {
        let model = known(&texts(0..10_000));
        let json = serde_json::to_string(&model).unwrap();
        assert!(json.len() < 9_000 && model.marks.len() == MOST_MARKS);
        assert!(model.marks.iter().all(|&mark| mark < 1 << 53));
        assert_eq!(serde_json::from_str::<KnownTexts>(&json).unwrap(), model);
    }
}
