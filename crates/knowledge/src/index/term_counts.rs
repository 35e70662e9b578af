//! Terms and their weighted frequencies, collected chunk by chunk, to an inverted index.

use super::{
    analysis::{Group, each_word, stem},
    lexicon::{Lexicon, Posting},
};
use rust_stemmers::Stemmer;
use std::collections::HashMap;

/// The terms of the chunks so far.
#[derive(Default)]
pub(crate) struct TermCounts {
    /// The number of each term: the byte of its group, then the stem.
    numbers: HashMap<Box<[u8]>, u32>,
    groups: HashMap<Group, Words>,
    /// One entry for each term of each chunk.
    entries: Vec<(u32, Posting)>,
    normal: String,
    term: String,
}

/// The words of one group that were seen, each with the number of its term, so that each is stemmed once.
struct Words {
    stemmer: Option<Stemmer>,
    terms: HashMap<Box<str>, u32>,
}

/// The most words that are remembered with their terms: a stranger's text may have no word twice.
const MOST_WORDS: usize = 1 << 20;

impl TermCounts {
    /// Appends the terms of `text`, each occurrence with `units`, to `out`.
    pub(crate) fn read(&mut self, text: &str, group: Group, units: u8, out: &mut Vec<(u32, u32)>) {
        if units == 0 {
            return;
        }
        let Self { numbers, groups, normal, term, .. } = self;
        let words = groups
            .entry(group)
            .or_insert_with(|| Words { stemmer: group.stemmer(), terms: HashMap::new() });
        each_word(text, normal, |word| {
            let number = words.terms.get(word).copied().unwrap_or_else(|| {
                stem(word, words.stemmer.as_ref(), term);
                let number = number_of(numbers, group, term);
                if words.terms.len() == MOST_WORDS {
                    words.terms.clear();
                }
                words.terms.insert(word.into(), number);
                number
            });
            out.push((number, u32::from(units)));
        });
    }

    /// Adds chunk `chunk` with these terms, and returns its weighted length.
    pub(crate) fn add(&mut self, chunk: u32, terms: &mut [(u32, u32)]) -> u32 {
        terms.sort_unstable();
        for same in terms.chunk_by(|a, b| a.0 == b.0) {
            let units = same.iter().fold(0_u32, |sum, (_, units)| sum.saturating_add(*units));
            self.entries.push((same[0].0, Posting::new(chunk, units.min(255) as u8)));
        }
        terms.iter().fold(0, |sum, (_, units)| sum.saturating_add(*units))
    }

    /// Adds the terms of the chunks of `previous` that have a new number in `moved`.
    pub(crate) fn add_previous(&mut self, previous: &Lexicon, moved: &[Option<u32>]) {
        for term in 0..previous.n_terms() {
            let mut number = None;
            for posting in previous.postings(term) {
                if let Some(chunk) = moved[posting.chunk() as usize] {
                    let numbers = &mut self.numbers;
                    let number = *number.get_or_insert_with(|| {
                        let next = numbers.len() as u32;
                        *numbers.entry(previous.term(term).into()).or_insert(next)
                    });
                    self.entries.push((number, Posting::new(chunk, posting.frequency())));
                }
            }
        }
    }

    /// Returns the inverted index; `groups` and `lengths` are those of all chunks.
    pub(crate) fn into_lexicon(self, groups: Vec<Group>, lengths: Vec<u32>) -> Lexicon {
        let mut counts = vec![0_u32; self.numbers.len()];
        for (term, _) in &self.entries {
            counts[*term as usize] += 1;
        }
        let mut terms: Vec<(Box<[u8]>, u32)> = self.numbers.into_iter().collect();
        terms.retain(|(_, number)| counts[*number as usize] > 0);
        terms.sort_unstable();
        let mut lexicon = Lexicon { groups, lengths, ..Lexicon::default() };
        let mut next = counts.clone();
        let mut start = 0;
        lexicon.starts.push(0);
        for (term, number) in terms {
            lexicon.bytes.extend_from_slice(&term);
            lexicon.ends.push(lexicon.bytes.len() as u32);
            next[number as usize] = start;
            start += counts[number as usize];
            lexicon.starts.push(start);
        }
        lexicon.postings = vec![Posting::new(0, 0); self.entries.len()];
        for (term, posting) in self.entries {
            let at = &mut next[term as usize];
            lexicon.postings[*at as usize] = posting;
            *at += 1;
        }
        for term in 0..lexicon.n_terms() {
            let range = lexicon.starts[term] as usize..lexicon.starts[term + 1] as usize;
            let postings = &mut lexicon.postings[range];
            if !postings.is_sorted() {
                postings.sort_unstable();
            }
        }
        lexicon.derive();
        lexicon
    }
}

fn number_of(numbers: &mut HashMap<Box<[u8]>, u32>, group: Group, stem: &str) -> u32 {
    let next = numbers.len() as u32;
    let key: Box<[u8]> = std::iter::once(group.byte()).chain(stem.bytes()).collect();
    *numbers.entry(key).or_insert(next)
}
