//! The n-grams of a normalised text, each as a 64-bit number.
//!
//! A number is made of the characters one by one, so that the four n-grams that start at a
//! character cost four multiplications, and nothing is copied.

use super::{TermKind, TfidfSpec};
use crate::text::is_word_char;

/// An odd constant with its bits well spread (2^64 / golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
const WORD: u64 = 0xA076_1D64_78BD_642F;
const CHARACTERS: u64 = 0xE703_7ED1_A0B4_28DB;

/// Takes in one more character; a bijection of `state` for each `symbol`.
#[inline]
fn step(state: u64, symbol: u64) -> u64 {
    (state.rotate_left(26) ^ symbol).wrapping_mul(MULTIPLIER)
}

/// Spreads the last character over all bits; the top bits index a table.
#[inline]
fn finish(state: u64) -> u64 {
    let mixed = (state ^ (state >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 29)
}

/// Where an n-gram stands in the normalised text: only the fitting asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) kind: TermKind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the n-gram begins or ends with the blank beside a word.
    pub(super) blank: (bool, bool),
}

/// Reads n-grams; `salt` tells apart families of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    word: (usize, usize),
    characters: (usize, usize),
    salt: u64,
}

impl Reader {
    pub(super) fn new(spec: &TfidfSpec, salt: u64) -> Self {
        Self {
            word: (spec.word_ngrams[0], spec.word_ngrams[1]),
            characters: (spec.char_ngrams[0], spec.char_ngrams[1]),
            salt,
        }
    }

    fn seed(&self, kind: u64) -> u64 {
        kind ^ self.salt.wrapping_mul(MULTIPLIER)
    }

    /// Returns the number of a word n-gram, words parted by one blank, or of a character n-gram.
    pub(super) fn number(&self, kind: TermKind, text: &str) -> u64 {
        match kind {
            TermKind::Words => {
                let mut words = text.split(' ').map(|word| self.word_number(word.as_bytes()));
                let first = words.next().unwrap_or_default();
                words.fold(first, join)
            }
            TermKind::Characters => finish(
                text.chars().fold(self.seed(CHARACTERS), |state, c| step(state, u64::from(c))),
            ),
        }
    }

    pub(super) fn word_number(&self, word: &[u8]) -> u64 {
        finish(word.iter().fold(self.seed(WORD), |state, &byte| step(state, u64::from(byte))))
    }

    /// Calls `word` for each word of `text`, then `found` for each n-gram of words.
    pub(super) fn read_words(
        &self,
        text: &str,
        words: &mut Vec<(u64, u32, u32)>,
        mut found: impl FnMut(u64, Span),
    ) {
        words.clear();
        each_word(text, |start, end| {
            words.push((self.word_number(&text.as_bytes()[start..end]), start as u32, end as u32));
        });
        let (low, high) = self.word;
        if high == 0 {
            return;
        }
        for (i, &(number, start, end)) in words.iter().enumerate() {
            let mut number = number;
            let mut last = end;
            for n in 1..=high {
                if n > 1 {
                    let Some(&(next, _, end)) = words.get(i + n - 1) else { break };
                    number = join(number, next);
                    last = end;
                }
                if n >= low {
                    found(
                        number,
                        Span {
                            kind: TermKind::Words,
                            start: start as usize,
                            end: last as usize,
                            blank: (false, false),
                        },
                    );
                }
            }
        }
    }

    /// Calls `found` for each n-gram of characters within the blank-parted tokens of `text`, each between two blanks.
    ///
    /// As scikit-learn's `char_wb`: a token shorter than an n-gram counts once, whole.
    pub(super) fn read_characters(
        &self,
        text: &str,
        symbols: &mut Vec<(u32, u32)>,
        mut found: impl FnMut(u64, Span),
    ) {
        let (low, high) = self.characters;
        if high == 0 {
            return;
        }
        let seed = self.seed(CHARACTERS);
        let mut at = 0;
        for token in text.split(' ') {
            let (start, end) = (at, at + token.len());
            at = end + 1;
            if token.is_empty() {
                continue;
            }
            symbols.clear();
            symbols.push((u32::from(' '), start as u32));
            if token.is_ascii() {
                symbols.extend(
                    (start as u32..).zip(token.bytes()).map(|(i, byte)| (u32::from(byte), i)),
                );
            } else {
                symbols
                    .extend(token.char_indices().map(|(i, c)| (u32::from(c), (start + i) as u32)));
            }
            symbols.push((u32::from(' '), end as u32));
            let length = symbols.len();
            for first in 0..length {
                let mut state = seed;
                for (n, &(symbol, _)) in (1..=high).zip(&symbols[first..]) {
                    state = step(state, u64::from(symbol));
                    // The whole token is also every longer n-gram of itself, once.
                    if n >= low || (first == 0 && n == length) {
                        let last = first + n - 1;
                        found(
                            finish(state),
                            Span {
                                kind: TermKind::Characters,
                                start: symbols[first].1 as usize,
                                end: symbols.get(last + 1).map_or(end, |next| next.1 as usize),
                                blank: (first == 0, last + 1 == length),
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Joins the number of an n-gram of words with that of the next word.
#[inline]
fn join(number: u64, next: u64) -> u64 {
    finish(step(number, next))
}

/// Calls `found` with start and end of each word of the normalised `text`.
pub(super) fn each_word(text: &str, mut found: impl FnMut(usize, usize)) {
    let mut start = None;
    if text.is_ascii() {
        for (i, byte) in text.bytes().enumerate() {
            match (byte.is_ascii_alphanumeric(), start) {
                (true, None) => start = Some(i),
                (false, Some(first)) => {
                    found(first, i);
                    start = None;
                }
                _ => {}
            }
        }
    } else {
        for (i, c) in text.char_indices() {
            match (is_word_char(c, start.is_some()), start) {
                (true, None) => start = Some(i),
                (false, Some(first)) => {
                    found(first, i);
                    start = None;
                }
                _ => {}
            }
        }
    }
    if let Some(first) = start {
        found(first, text.len());
    }
}
