//! The n-grams of a spelled text, each as a 64-bit number.
//!
//! A number is made of the characters one by one, so that the four n-grams that start at a
//! character cost four multiplications, and nothing is copied.

use super::{TermKind, TfidfSpec};
use crate::preprocessing::Form;

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

/// Where an n-gram stands in the spelled text: only the fitting asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) kind: TermKind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether the n-gram begins or ends with the blank beside a word.
    pub(super) blank: (bool, bool),
}

impl Span {
    pub(super) fn of_word(start: u32, end: u32) -> Self {
        Self { kind: TermKind::Words, start, end, blank: (false, false) }
    }

    fn part(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    /// Returns the text of the n-gram.
    pub(super) fn spelled(self, text: &str, form: Form) -> String {
        let part = self.part(text);
        match self.kind {
            TermKind::Words => {
                let mut words = String::with_capacity(part.len());
                form.each_word(part, |start, end| {
                    if !words.is_empty() {
                        words.push(' ');
                    }
                    words.push_str(&part[start..end]);
                });
                words
            }
            TermKind::Characters => {
                let blank = |there| if there { " " } else { "" };
                [blank(self.blank.0), part, blank(self.blank.1)].concat()
            }
        }
    }

    /// Returns whether the n-gram is the one that stands at `other` of `text_of_other`.
    pub(super) fn is_same(self, text: &str, other: Self, text_of_other: &str, form: Form) -> bool {
        if self.kind != other.kind {
            return false;
        }
        let (part, other_part) = (self.part(text), other.part(text_of_other));
        if part == other_part && (self.blank == other.blank || part.is_empty()) {
            return true;
        }
        // The same words may have other characters between them.
        self.spelled(text, form) == other.spelled(text_of_other, form)
    }
}

/// Reads n-grams; `salt` tells apart families of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    form: Form,
    word: (usize, usize),
    characters: (usize, usize),
    salt: u64,
}

impl Reader {
    pub(super) fn new(spec: &TfidfSpec, salt: u64) -> Self {
        Self {
            form: Form::of(spec),
            word: (spec.word_ngrams[0], spec.word_ngrams[1]),
            characters: (spec.char_ngrams[0], spec.char_ngrams[1]),
            salt,
        }
    }

    pub(super) fn form(&self) -> Form {
        self.form
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

    /// Lists the words of `text` as (number, start, end), and calls `found` for each n-gram of them.
    pub(super) fn read_words(
        &self,
        text: &str,
        words: &mut Vec<(u64, u32, u32)>,
        mut found: impl FnMut(u64, Span),
    ) {
        words.clear();
        self.form.each_word(text, |start, end| {
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
                    found(number, Span::of_word(start, last));
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
                                start: symbols[first].1,
                                end: symbols.get(last + 1).map_or(end as u32, |next| next.1),
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
