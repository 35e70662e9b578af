//! A text as words, numbers and marks, with letters folded.

use botops_text::{normalise, strip_accents};
use std::ops::Range;

/// The longest word that is compared, in bytes. No word that a parser knows is longer.
const LONGEST_WORD: usize = 64;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Letters with their combining marks.
    Word,
    /// ASCII digits.
    Number,
    /// One other visible character.
    Mark(char),
}

/// A token; offsets in bytes.
#[derive(Debug)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
    /// Whether white space stands before it.
    spaced: bool,
    /// A word in lower case without accents, in [`Tokens::folded`].
    folded: Range<usize>,
}

/// The tokens of a text. Every reader takes a position, and finds nothing past the end.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    folded: String,
}

impl<'a> Tokens<'a> {
    /// Splits `text`, in linear time.
    pub(crate) fn of(text: &'a str) -> Self {
        let (mut tokens, mut folded) = (Vec::new(), String::new());
        let mut chars = text.char_indices().peekable();
        let mut spaced = false;
        while let Some((start, c)) = chars.next() {
            if c.is_whitespace() || c.is_control() {
                spaced = true;
                continue;
            }
            let mut end = start + c.len_utf8();
            let kind = if c.is_ascii_digit() {
                while let Some((at, _)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
                    end = at + 1;
                }
                Kind::Number
            } else if c.is_alphabetic() {
                while let Some((at, c)) = chars.next_if(|(_, c)| is_letter(*c)) {
                    end = at + c.len_utf8();
                }
                Kind::Word
            } else {
                Kind::Mark(plain_mark(c))
            };
            let from = folded.len();
            if kind == Kind::Word && end - start <= LONGEST_WORD {
                fold_into(&text[start..end], &mut folded);
            }
            tokens.push(Token { kind, start, end, spaced, folded: from..folded.len() });
            spaced = false;
        }
        Self { text, tokens, folded }
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the word at `at` in lower case without accents; empty if there is none.
    pub(crate) fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| &self.folded[token.folded.clone()])
    }

    /// Returns whether one of `words` is at `at`.
    pub(crate) fn is(&self, at: usize, words: &[&str]) -> bool {
        let word = self.word(at);
        !word.is_empty() && words.contains(&word)
    }

    /// Returns the digits at `at`.
    pub(crate) fn digits(&self, at: usize) -> Option<&'a str> {
        let token = self.tokens.get(at).filter(|token| token.kind == Kind::Number)?;
        Some(&self.text[token.start..token.end])
    }

    /// Returns the number at `at`, if it has `least` to `most` digits, at most 9.
    pub(crate) fn number(&self, at: usize, least: usize, most: usize) -> Option<u32> {
        let digits = self.digits(at)?;
        (digits.len() >= least && digits.len() <= most).then(|| digits.parse().ok())?
    }

    /// Returns the mark at `at`; apostrophes, hyphens and dashes are `'` and `-`.
    pub(crate) fn mark(&self, at: usize) -> Option<char> {
        match self.tokens.get(at)?.kind {
            Kind::Mark(mark) => Some(mark),
            Kind::Word | Kind::Number => None,
        }
    }

    /// Returns whether the mark at `at` is `mark`.
    pub(crate) fn is_mark(&self, at: usize, mark: char) -> bool {
        self.mark(at) == Some(mark)
    }

    /// Returns whether letters are at `at`, in a word of any length.
    pub(crate) fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
    }

    /// Returns the text of the token at `at` as written; empty past the end.
    pub(crate) fn raw(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| &self.text[token.start..token.end])
    }

    /// Returns whether a token is at `at`, and nothing stands between it and the one before.
    pub(crate) fn joined(&self, at: usize) -> bool {
        at > 0 && self.tokens.get(at).is_some_and(|token| !token.spaced)
    }

    /// Returns the bytes of the tokens `range`, which is not empty.
    pub(crate) fn bytes(&self, range: Range<usize>) -> Range<usize> {
        self.tokens[range.start].start..self.tokens[range.end - 1].end
    }

    /// Returns whether a number may start at `at`: it is not the rest of a code, a decimal or a date, as in `FR-12`, `#12`
    /// or `1.12`.
    pub(crate) fn opens(&self, at: usize) -> bool {
        if !self.joined(at) {
            return true;
        }
        let before = at - 1;
        match self.mark(before) {
            None => false,
            Some('#' | '_' | '@' | '\\') => false,
            Some('-' | '/' | '.' | ',' | ':' | '+' | '=' | '&') => {
                !(self.joined(before)
                    && (self.digits(before - 1).is_some() || self.is_word(before - 1)))
            }
            Some(_) => true,
        }
    }

    /// Returns whether a number may end before `at`: no letter or digit is joined to it, as in `12kg` or `12-3`.
    pub(crate) fn closes(&self, at: usize) -> bool {
        if !self.joined(at) {
            return true;
        }
        match self.mark(at) {
            None => false,
            Some('_' | '@' | '\\') => false,
            Some('-' | '/' | '.' | ',' | ':' | '=') => {
                !(self.joined(at + 1) && self.digits(at + 1).is_some())
            }
            Some(_) => true,
        }
    }
}

/// Adds `word` in lower case without accents to `out`.
pub(crate) fn fold_into(word: &str, out: &mut String) {
    if word.is_ascii() {
        out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
    } else {
        out.push_str(&strip_accents(&normalise(word)));
    }
}

/// Returns whether `c` continues a word.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}')
}

/// Returns one form of each apostrophe, hyphen and dash.
fn plain_mark(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' | '\u{b4}' | '\u{ff07}' => {
            '\''
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}' => '-',
        '\u{ff0b}' => '+',
        _ => c,
    }
}
