//! The n-grams of a preprocessed text, each as a 64-bit hash.
//!
//! A hash is updated character by character, so the four n-grams that start at a character cost four
//! multiplications, and nothing is copied.

use crate::{preprocessing::Preprocessing, spec::TfidfSpec, term::TermKind};

/// An odd constant with well-distributed bits (2^64 / golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
/// The seed of word hashes.
const WORD: u64 = 0xA076_1D64_78BD_642F;
/// The seed of character n-gram hashes.
const CHARACTERS: u64 = 0xE703_7ED1_A0B4_28DB;

/// Adds one character to a hash; for each `symbol` a bijection of `state`.
#[inline]
fn step(state: u64, symbol: u64) -> u64 {
    (state.rotate_left(26) ^ symbol).wrapping_mul(MULTIPLIER)
}

/// Mixes the last character into all bits; the top bits index a table.
#[inline]
fn finish(state: u64) -> u64 {
    let mixed = (state ^ (state >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 29)
}

/// The position of an n-gram in the preprocessed text, in bytes; used by fitting only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) kind: TermKind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether the n-gram begins, and whether it ends, with the space beside a token.
    pub(super) space: (bool, bool),
}

impl Span {
    /// Returns the span of an n-gram of words.
    pub(super) fn of_word(start: u32, end: u32) -> Self {
        Self { kind: TermKind::Words, start, end, space: (false, false) }
    }

    fn part(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }

    /// Returns the text of the n-gram.
    pub(super) fn text(self, text: &str, form: Preprocessing) -> String {
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
                let space = |present| if present { " " } else { "" };
                [space(self.space.0), part, space(self.space.1)].concat()
            }
        }
    }

    /// Returns whether the n-gram has the same text as the one at `other` in `other_text`.
    pub(super) fn is_same(
        self,
        text: &str,
        other: Self,
        other_text: &str,
        form: Preprocessing,
    ) -> bool {
        if self.kind != other.kind {
            return false;
        }
        let (part, other_part) = (self.part(text), other.part(other_text));
        if part == other_part && (self.space == other.space || part.is_empty()) {
            return true;
        }
        // The same words may have different characters between them.
        self.text(text, form) == other.text(other_text, form)
    }
}

/// Reads the n-grams of texts; each `salt` selects another family of hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    form: Preprocessing,
    word: (usize, usize),
    characters: (usize, usize),
    salt: u64,
}

impl Reader {
    pub(super) fn new(spec: &TfidfSpec, salt: u64) -> Self {
        Self {
            form: Preprocessing::of(spec),
            word: (spec.word_ngrams[0], spec.word_ngrams[1]),
            characters: (spec.char_ngrams[0], spec.char_ngrams[1]),
            salt,
        }
    }

    /// Returns the rules by which texts are preprocessed.
    pub(super) fn preprocessing(&self) -> Preprocessing {
        self.form
    }

    fn seed(&self, kind: u64) -> u64 {
        kind ^ self.salt.wrapping_mul(MULTIPLIER)
    }

    /// Returns the hash of an n-gram of words, which are separated by one space each, or of characters.
    pub(super) fn hash(&self, kind: TermKind, text: &str) -> u64 {
        match kind {
            TermKind::Words => {
                let mut words = text.split(' ').map(|word| self.word_hash(word.as_bytes()));
                let first = words.next().unwrap_or_default();
                words.fold(first, join)
            }
            TermKind::Characters => finish(
                text.chars().fold(self.seed(CHARACTERS), |state, c| step(state, u64::from(c))),
            ),
        }
    }

    /// Returns the hash of a word.
    pub(super) fn word_hash(&self, word: &[u8]) -> u64 {
        finish(word.iter().fold(self.seed(WORD), |state, &byte| step(state, u64::from(byte))))
    }

    /// Fills `words` with the words of `text` as (hash, start, end), and calls `found` for each n-gram of them.
    pub(super) fn read_words(
        &self,
        text: &str,
        words: &mut Vec<(u64, u32, u32)>,
        mut found: impl FnMut(u64, Span),
    ) {
        words.clear();
        self.form.each_word(text, |start, end| {
            words.push((self.word_hash(&text.as_bytes()[start..end]), start as u32, end as u32));
        });
        let (low, high) = self.word;
        if high == 0 {
            return;
        }
        for (i, &(hash, start, end)) in words.iter().enumerate() {
            let mut hash = hash;
            let mut last = end;
            for n in 1..=high {
                if n > 1 {
                    let Some(&(next, _, end)) = words.get(i + n - 1) else { break };
                    hash = join(hash, next);
                    last = end;
                }
                if n >= low {
                    found(hash, Span::of_word(start, last));
                }
            }
        }
    }

    /// Calls `found` for each n-gram of characters in the tokens of `text`.
    ///
    /// Tokens are separated by spaces, and each is read with one space on both sides. As in scikit-learn's
    /// `char_wb`, a token shorter than an n-gram counts once, as a whole.
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
                    // A whole token that is shorter than `low` counts once.
                    if n >= low || (first == 0 && n == length) {
                        let last = first + n - 1;
                        found(
                            finish(state),
                            Span {
                                kind: TermKind::Characters,
                                start: symbols[first].1,
                                end: symbols.get(last + 1).map_or(end as u32, |next| next.1),
                                space: (first == 0, last + 1 == length),
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Returns the hash of an n-gram of words extended by the next word.
#[inline]
fn join(hash: u64, next: u64) -> u64 {
    finish(step(hash, next))
}
