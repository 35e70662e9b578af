//! The vocabulary of a model: its terms and words, looked up by hash.

use crate::{
    hash_ids::HashIds,
    ngrams::Reader,
    spec::TfidfSpec,
    term::{Term, TermKind},
};
use botops_findings::{Fault, Result};

/// The terms of a model, and the words of its training data.
///
/// - terms are distinct and sorted: n-grams of words first, then by code point; the id of a term is its index
/// - no two terms, and no two words, have the same 64-bit hash; this is checked when a vocabulary is
///   fitted or read from a file. After a collision, fitting starts over with another salt.
///
/// An n-gram outside the vocabulary is mistaken for one inside if their hashes are the same. With 50,000
/// terms and 200 n-grams per utterance this happens once in 10^12 utterances, and changes one feature.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    terms: Vec<Term>,
    words: Vec<String>,
    n_words: u32,
    salt: u64,
    reader: Reader,
    table: HashIds,
    known_words: HashIds,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        (&self.terms, &self.words, self.salt) == (&other.terms, &other.words, other.salt)
    }
}

impl Vocabulary {
    /// Makes a vocabulary of sorted, distinct terms and words; `None` if two have the same hash.
    pub(super) fn new(
        terms: Vec<Term>,
        words: Vec<String>,
        spec: &TfidfSpec,
        salt: u64,
    ) -> Option<Self> {
        let reader = Reader::new(spec, salt);
        let table = HashIds::new(terms.iter().map(|term| reader.hash(term.kind, &term.text)))?;
        let known_words = HashIds::new(words.iter().map(|word| reader.word_hash(word.as_bytes())))?;
        let n_words = terms.partition_point(|term| term.kind == TermKind::Words) as u32;
        Some(Self { terms, words, n_words, salt, reader, table, known_words })
    }

    /// Returns the number of terms (`n_features`).
    #[must_use]
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Returns whether there is no term.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the terms in the order of their ids.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Returns a vocabulary of the terms with the ids `kept`, in rising order, and of the same words.
    pub(super) fn of_terms(self, kept: &[u32], spec: &TfidfSpec) -> Self {
        let terms = kept.iter().map(|&id| self.terms[id as usize].clone()).collect();
        Self::new(terms, self.words, spec, self.salt)
            .expect("a subset of terms with distinct hashes has distinct hashes")
    }

    /// Returns the number of terms of kind [`TermKind::Words`]; their ids come first.
    #[must_use]
    pub(super) fn n_words(&self) -> u32 {
        self.n_words
    }

    /// Returns the number of words of `text`, and the number of those that are not in the training data.
    #[must_use]
    pub fn unseen_words(&self, text: &str) -> (usize, usize) {
        let form = self.reader.preprocessing();
        let text = form.apply(text);
        let (mut n, mut unseen) = (0, 0);
        form.each_word(&text, |start, end| {
            n += 1;
            let hash = self.reader.word_hash(&text.as_bytes()[start..end]);
            unseen += usize::from(self.known_words.find(hash).is_none());
        });
        (n, unseen)
    }

    pub(super) fn reader(&self) -> Reader {
        self.reader
    }

    /// Returns the id of the term with `hash`.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<u32> {
        self.table.find(hash)
    }

    /// Returns the compact form of a model file.
    ///
    /// The layout is: salt, three counts, then the texts, each without the prefix it shares with the text
    /// before it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.salt.to_le_bytes().to_vec();
        let n_words = self.n_words as usize;
        for count in [n_words, self.terms.len() - n_words, self.words.len()] {
            out.extend((count as u32).to_le_bytes());
        }
        for list in [&self.terms[..n_words], &self.terms[n_words..]] {
            write_list(&mut out, list.iter().map(|term| term.text.as_str()));
        }
        write_list(&mut out, self.words.iter().map(String::as_str));
        out
    }

    /// Reads the form that [`Self::to_bytes`] writes; every count and length is checked against the bytes.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if it is malformed, a term is out of order, or two terms have the same hash.
    pub fn from_bytes(bytes: &[u8], spec: &TfidfSpec) -> Result<Self> {
        let malformed = |problem: &str| {
            Fault::data("BOT-7003", format!("the vocabulary of the model {problem}"))
        };
        let cut = || malformed("ends too early");
        let (salt, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let mut rest = rest;
        let mut counts = [0_usize; 3];
        for count in &mut counts {
            let (value, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            *count = u32::from_le_bytes(*value) as usize;
            rest = after;
        }
        // A text takes at least two bytes, so a count beyond half the bytes is wrong.
        if counts.iter().any(|&count| count > rest.len() / 2 + 1) {
            return Err(malformed("declares more terms than it holds"));
        }
        let mut terms = Vec::with_capacity(counts[0] + counts[1]);
        for (kind, count) in [TermKind::Words, TermKind::Characters].into_iter().zip(counts) {
            let texts = read_list(&mut rest, count).ok_or_else(|| malformed("is malformed"))?;
            terms.extend(texts.into_iter().map(|text| Term { kind, text }));
        }
        let words = read_list(&mut rest, counts[2]).ok_or_else(|| malformed("is malformed"))?;
        if !rest.is_empty() {
            return Err(malformed("is followed by other bytes"));
        }
        Self::new(terms, words, spec, u64::from_le_bytes(*salt))
            .ok_or_else(|| malformed("has two terms with the same hash"))
    }
}

/// Writes sorted texts: of each, the length of the shared prefix (one byte), the length of the rest (LEB128) and the rest.
fn write_list<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    let mut before = "";
    for text in texts {
        let shared = before.bytes().zip(text.bytes()).take(255).take_while(|(a, b)| a == b).count();
        out.push(shared as u8);
        let mut length = text.len() - shared;
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(&text.as_bytes()[shared..]);
        before = text;
    }
}

/// Reads `count` sorted, distinct texts; `None` if the bytes do not hold them.
fn read_list(rest: &mut &[u8], count: usize) -> Option<Vec<String>> {
    let mut texts: Vec<String> = Vec::with_capacity(count);
    let mut bytes: Vec<u8> = Vec::new();
    for i in 0..count {
        let (&shared, mut tail) = rest.split_first()?;
        let mut length = 0_usize;
        for shift in (0..).step_by(7) {
            let (&byte, after) = tail.split_first()?;
            tail = after;
            // Four groups of seven bits hold lengths below 256 MiB, longer than any term.
            if shift > 21 {
                return None;
            }
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if usize::from(shared) > bytes.len() || length > tail.len() {
            return None;
        }
        bytes.truncate(usize::from(shared));
        bytes.extend(&tail[..length]);
        *rest = &tail[length..];
        let text = std::str::from_utf8(&bytes).ok()?;
        if text.is_empty() || (i > 0 && texts[i - 1].as_str() >= text) {
            return None;
        }
        texts.push(text.to_owned());
    }
    Some(texts)
}
