//! Lookup lists as attributes of tokens.

use super::hashing::mix;
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
    /// A bit for the hash of each entry; different hashes can share one.
    filter: Vec<u64>,
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
        let mut longest = 0;
        let entries = entries.into_iter().filter(|(_, words)| (1..=LONGEST).contains(&words.len()));
        let hashed: Vec<(u64, u16)> = entries
            .map(|(list, words)| {
                longest = longest.max(words.len());
                (hash(words), list)
            })
            .collect();
        Self::of_hashes(hashed, longest)
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
        if gazetteer.entries.is_empty() {
            return Self::default();
        }
        let n_bits = (64 * gazetteer.entries.len()).next_power_of_two().max(64);
        gazetteer.filter = vec![0; n_bits / 64];
        for &hash in gazetteer.entries.keys() {
            let bit = bit(hash, n_bits);
            gazetteer.filter[bit / 64] |= 1 << (bit % 64);
        }
        gazetteer
    }

    /// Returns the lists that contain the words with this hash.
    fn lists(&self, hash: u64) -> &[u16] {
        // Most words are in no list, which the filter tells at once.
        let bit = bit(hash, 64 * self.filter.len());
        match self.filter[bit / 64] >> (bit % 64) & 1 {
            0 => &[],
            _ => self.entries.get(&hash).map_or(&[], Vec::as_slice),
        }
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
    ///
    /// `words` are the hashes of the words of all tokens.
    pub(super) fn find(&self, words: &[u64], found: &mut Vec<Listed>) {
        found.clear();
        if self.longest == 0 {
            return;
        }
        for start in 0..words.len() {
            let mut whole = SEED;
            for (n, word) in words[start..].iter().take(self.longest).enumerate() {
                whole = mix(whole, *word);
                for &list in self.lists(whole) {
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

fn hash(words: &[u64]) -> u64 {
    words.iter().fold(SEED, |hash, word| mix(hash, *word))
}

/// Returns the bit of `hash` among `n_bits`, a power of two.
fn bit(hash: u64, n_bits: usize) -> usize {
    (hash >> 24) as usize & (n_bits - 1)
}
