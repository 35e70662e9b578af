//! The quantities of the utterances of one side: lengths, words, and what a model says of them.

use crate::{
    quantity::{Counts, count, finite},
    row::Row,
};
use botops_stats::two_sample::sorted;
use botops_text as text;
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

/// The most new words that a report lists.
const NEW_WORDS: usize = 50;

/// The values of one side, by quantity; rows without a value are left out. Numbers are in rising order.
pub(crate) struct Quantities<'a> {
    pub(crate) n_rows: usize,
    pub(crate) intents: Counts<'a>,
    pub(crate) languages: Counts<'a>,
    pub(crate) confidences: Vec<f64>,
    pub(crate) unseen_word_rates: Vec<f64>,
    pub(crate) length_words: Vec<f64>,
    pub(crate) length_chars: Vec<f64>,
    pub(crate) guessed: Counts<'a>,
    pub(crate) decisions: Counts<'a>,
    pub(crate) entities: HashMap<String, u64>,
    pub(crate) oos_scores: Vec<f64>,
    pub(crate) latencies: Vec<f64>,
    vocabulary: HashMap<String, u64>,
    /// A hash of the normal form of each text that is not empty.
    texts: Vec<u64>,
}

impl<'a> Quantities<'a> {
    pub(crate) fn new(rows: &[Row<'a>]) -> Self {
        let mut vocabulary: HashMap<String, u64> = HashMap::new();
        let mut length_words = Vec::with_capacity(rows.len());
        let mut texts = Vec::with_capacity(rows.len());
        let mut normal = String::new();
        for row in rows.iter().filter(|row| !row.lacks_text()) {
            text::normalise_into(row.text, &mut normal);
            let mut n_words = 0_u32;
            for word in text::words_of(&normal) {
                n_words += 1;
                match vocabulary.get_mut(word) {
                    Some(count) => *count += 1,
                    None => {
                        vocabulary.insert(word.to_owned(), 1);
                    }
                }
            }
            length_words.push(f64::from(n_words));
            if !normal.is_empty() {
                texts.push(key(&normal));
            }
        }
        let length_chars = rows.iter().map(Row::length_chars).collect();
        let mut entities: HashMap<String, u64> = HashMap::new();
        for kinds in rows.iter().filter_map(Row::entity_kinds) {
            *entities.entry(kinds).or_default() += 1;
        }
        Self {
            n_rows: rows.len(),
            intents: count(rows.iter().filter_map(|row| row.intent)),
            languages: count(rows.iter().filter_map(|row| row.lang)),
            confidences: finite(rows.iter().filter_map(|row| row.confidence)),
            unseen_word_rates: finite(rows.iter().filter_map(|row| row.unseen_word_rate)),
            length_chars: sorted(length_chars),
            length_words: sorted(length_words),
            guessed: count(rows.iter().filter_map(|row| row.guessed)),
            decisions: count(rows.iter().filter_map(Row::decision)),
            entities,
            oos_scores: finite(rows.iter().filter_map(|row| row.oos_score)),
            latencies: finite(rows.iter().filter_map(|row| row.latency_ms)),
            vocabulary,
            texts,
        }
    }

    /// Returns the number of rows whose text `other` has, too.
    pub(crate) fn n_shared_with(&self, other: &Self) -> u64 {
        let known: HashSet<u64> = other.texts.iter().copied().collect();
        self.texts.iter().filter(|text| known.contains(text)).count() as u64
    }
}

/// Returns a hash of a text in normal form. It is only compared within one comparison.
fn key(normal: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    normal.hash(&mut hasher);
    hasher.finish()
}

/// Returns the words of `current` that `reference` lacks, the most frequent first, then by name.
pub(crate) fn new_words(
    reference: &Quantities<'_>,
    current: &Quantities<'_>,
) -> Vec<(String, u64)> {
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
