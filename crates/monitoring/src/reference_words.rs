//! The frequencies of words, without those that only a few persons used.

use botops_digest::Digest;
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The least number of conversations that used a word; of different texts, for records without a conversation.
pub const LEAST_USERS: usize = 5;
/// The most words of a finished profile, the most frequent.
const MOST_WORDS: usize = 5_000;
/// The most words of a partial profile, those with the smallest hashes: the rule does not depend on the order of merging, and
/// the counts of the words that are kept are complete.
const MOST_PARTIAL: usize = 200_000;
/// The most characters of a word. A longer one is no word, but a key or a link.
const MOST_CHARACTERS: usize = 40;

/// The frequencies of words, after redaction of personal data.
///
/// While rows are added, each word is kept with up to 5 hashes of the conversations that used it; [`Self::finish`] keeps
/// the 5,000 most frequent words that at least 5 conversations used, and their counts alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// The number of words of all rows, frequent or not.
    n: u64,
    /// The count of each frequent word.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    counts: BTreeMap<String, u64>,
    /// The words of a partial profile; `None` once it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partial: Option<BTreeMap<String, Partial>>,
}

/// A word of a partial profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partial {
    n: u64,
    /// The smallest hashes of conversations that used it, at most 5.
    users: BTreeSet<u64>,
}

impl Partial {
    fn use_by(&mut self, user: u64) {
        if self.users.contains(&user) {
            return;
        }
        if self.users.len() == LEAST_USERS && self.users.last().is_some_and(|last| *last < user) {
            return;
        }
        self.users.insert(user);
        if self.users.len() > LEAST_USERS {
            self.users.pop_last();
        }
    }
}

impl Words {
    /// Adds the words of a redacted text in normal form.
    pub(crate) fn add_redacted(&mut self, normal: &str, conversation: Option<&str>) {
        let user = hash(conversation.unwrap_or(normal));
        let mut n = 0;
        let known = self.partial.get_or_insert_default();
        for word in text::words_of(normal) {
            n += 1;
            let is_word = word.chars().any(char::is_alphabetic);
            if !is_word || text::length_within(word, MOST_CHARACTERS).is_none() {
                continue;
            }
            if !known.contains_key(word) {
                known.insert(word.to_owned(), Partial::default());
            }
            if let Some(partial) = known.get_mut(word) {
                partial.n += 1;
                partial.use_by(user);
            }
        }
        self.n = self.n.saturating_add(n);
        // Words are removed seldom, so that each is hashed seldom.
        if known.len() > 2 * MOST_PARTIAL {
            self.bound();
        }
    }

    /// Adds the words of `other`, which is partial as this is.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        let known = self.partial.get_or_insert_default();
        for (word, partial) in other.partial.iter().flatten() {
            let sum = known.entry(word.clone()).or_default();
            sum.n = sum.n.saturating_add(partial.n);
            partial.users.iter().for_each(|user| sum.use_by(*user));
        }
        self.bound();
    }

    /// Keeps the words with the smallest hashes, if there are more than a partial profile may have.
    pub(crate) fn bound(&mut self) {
        let Some(known) = self.partial.as_mut().filter(|known| known.len() > MOST_PARTIAL) else {
            return;
        };
        let mut hashes: Vec<u64> = known.keys().map(|word| hash(word)).collect();
        hashes.sort_unstable();
        let largest = hashes[MOST_PARTIAL - 1];
        known.retain(|word, _| hash(word) <= largest);
    }

    /// Returns whether there are more words than a partial profile may have.
    pub(crate) fn is_unbounded(&self) -> bool {
        self.partial.as_ref().is_some_and(|known| known.len() > MOST_PARTIAL)
    }

    /// Returns whether rare words were removed.
    pub(crate) fn is_finished(&self) -> bool {
        self.partial.is_none() && self.n > 0
    }

    /// Keeps the most frequent words that at least 5 conversations used, with their counts alone.
    pub(crate) fn finish(&mut self) {
        self.bound();
        let Some(partial) = self.partial.take() else { return };
        let frequent = partial.into_iter().filter(|(_, word)| word.users.len() >= LEAST_USERS);
        let mut frequent: Vec<(String, u64)> = frequent.map(|(word, p)| (word, p.n)).collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        frequent.truncate(MOST_WORDS);
        self.counts = frequent.into_iter().collect();
    }

    /// Returns the number of words of all rows.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Returns the count of each frequent word of a finished profile.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Returns the words of this finished profile that `reference` lacks and `is_known` does not know, the most frequent
    /// first, at most `most`.
    #[must_use]
    pub fn new_words(
        &self,
        reference: &Self,
        is_known: impl Fn(&str) -> bool,
        most: usize,
    ) -> Vec<(String, u64)> {
        let counts = self.counts.iter();
        let new = counts.filter(|(word, _)| !reference.counts.contains_key(*word));
        let mut new: Vec<(String, u64)> =
            new.filter(|(word, _)| !is_known(word)).map(|(word, n)| (word.clone(), *n)).collect();
        new.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        new.truncate(most);
        new
    }

    pub(crate) fn is_consistent(&self) -> bool {
        let partial = self.partial.iter().flatten().map(|(_, word)| word);
        let counts = self.counts.values().copied().chain(partial.clone().map(|word| word.n));
        let users = partial.clone().all(|word| (1..=LEAST_USERS).contains(&word.users.len()));
        let total = counts.fold(0_u64, u64::saturating_add);
        let few = self.counts.len() <= MOST_WORDS && partial.count() <= MOST_PARTIAL;
        users && few && total <= self.n
    }
}

/// Returns a hash that is the same on every machine.
pub(crate) fn hash(text: &str) -> u64 {
    let digest = Digest::of(text.as_bytes());
    digest.as_bytes()[..8].iter().fold(0, |hash, byte| (hash << 8) | u64::from(*byte))
}
