//! Lookup lists as attributes of tokens.

use super::attributes::Words;
use std::collections::BTreeMap;

/// The most tokens of an entry; longer entries are not matched.
const LONGEST: usize = 8;

/// The entries of all lookup lists, by the hash of their words.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Gazetteer {
    /// The lists that contain the words, by index, in rising order.
    entries: BTreeMap<u64, Vec<u16>>,
    /// The most tokens of an entry.
    longest: usize,
}

/// A token of an entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) token: usize,
    pub(super) list: u16,
    /// Whether it is the first token of the entry.
    pub(super) first: bool,
}

impl Gazetteer {
    /// Makes a gazetteer of the entries of each list; an entry is the hashes of its words.
    pub(super) fn new<'a>(entries: impl IntoIterator<Item = (u16, &'a [u64])>) -> Self {
        let mut gazetteer = Self::default();
        for (list, words) in entries {
            if words.is_empty() || words.len() > LONGEST {
                continue;
            }
            gazetteer.longest = gazetteer.longest.max(words.len());
            let lists = gazetteer.entries.entry(hash(words)).or_default();
            if let Err(at) = lists.binary_search(&list) {
                lists.insert(at, list);
            }
        }
        gazetteer
    }

    /// Makes a gazetteer of stored entries: hash of the words, and list.
    pub(super) fn of_hashes(entries: impl IntoIterator<Item = (u64, u16)>, longest: usize) -> Self {
        let mut gazetteer = Self { longest: longest.min(LONGEST), ..Self::default() };
        for (hash, list) in entries {
            let lists = gazetteer.entries.entry(hash).or_default();
            if let Err(at) = lists.binary_search(&list) {
                lists.insert(at, list);
            }
        }
        gazetteer
    }

    /// Iterates over the hash of the words of each entry with its lists, in the order of the hashes, then of the lists.
    pub(super) fn hashes(&self) -> impl Iterator<Item = (u64, u16)> + '_ {
        self.entries.iter().flat_map(|(hash, lists)| lists.iter().map(|list| (*hash, *list)))
    }

    /// Returns the number of tokens of the longest entry.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Writes the tokens that are in an entry to `found`, which is cleared first; a token can be in several entries.
    pub(super) fn find(&self, words: &Words, found: &mut Vec<Listed>) {
        found.clear();
        if self.longest == 0 {
            return;
        }
        let words = words.hashes();
        for start in 0..words.len() {
            let mut whole = SEED;
            for (n, word) in words[start..].iter().take(self.longest).enumerate() {
                whole = step(whole, *word);
                for &list in self.entries.get(&whole).into_iter().flatten() {
                    let tokens = start..=start + n;
                    found.extend(tokens.map(|token| Listed { token, list, first: token == start }));
                }
            }
        }
        // A token in several entries of a list has one attribute for each place in an entry.
        found.sort_unstable_by_key(|listed| (listed.token, listed.list, listed.first));
        found.dedup();
    }
}

const SEED: u64 = 0x6C6F_6F6B_7570;

fn step(hash: u64, word: u64) -> u64 {
    super::attributes::mix(hash, word)
}

fn hash(words: &[u64]) -> u64 {
    words.iter().fold(SEED, |hash, word| step(hash, *word))
}
