//! Preprocessing of a text, and its words: by the rules of botops or of scikit-learn.

use crate::spec::{Compat, TfidfSpec};
use botops_text::{self as text, is_word_char};
use unicode_normalization::{
    UnicodeNormalization as _,
    char::{canonical_combining_class, is_combining_mark},
};

/// The rules by which a text is normalized and split into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preprocessing {
    sklearn: bool,
    strip_accents: bool,
}

impl Preprocessing {
    /// Returns the rules that `spec` asks for.
    pub(super) fn of(spec: &TfidfSpec) -> Self {
        Self { sklearn: spec.compat == Some(Compat::Sklearn), strip_accents: spec.strip_accents }
    }

    /// Replaces `out` with the preprocessed `text`, in which white space is spaces.
    ///
    /// The rules of botops are [`text::normalise`], then [`text::strip_accents`] if requested. Those of
    /// scikit-learn (`TfidfVectorizer`, `lowercase=True`) are Python's `str.lower`, then
    /// `strip_accents="unicode"` if requested: NFKD without characters of a combining class.
    pub(super) fn apply_into(self, text: &str, out: &mut String) {
        if !self.sklearn {
            text::normalise_into(text, out);
            if self.strip_accents && !out.is_ascii() {
                *out = text::strip_accents(out);
            }
            return;
        }
        out.clear();
        let space = |c: char| if is_python_space(c) { ' ' } else { c };
        if text.is_ascii() {
            out.extend(text.chars().map(|c| space(c.to_ascii_lowercase())));
        } else if self.strip_accents {
            let lower = text.to_lowercase();
            out.extend(lower.nfkd().filter(|&c| canonical_combining_class(c) == 0).map(space));
        } else {
            out.extend(text.to_lowercase().chars().map(space));
        }
    }

    /// Returns the preprocessed `text`.
    pub(super) fn apply(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        self.apply_into(text, &mut out);
        out
    }

    /// Calls `found` with the start and end, in bytes, of each word of the preprocessed `text`.
    ///
    /// Words of botops are runs of letters, digits and marks. Words of scikit-learn match
    /// `(?u)\b\w\w+\b`: runs of two or more characters that Python counts as alphanumeric, or `_`.
    #[inline]
    pub(super) fn each_word(self, text: &str, mut found: impl FnMut(usize, usize)) {
        match (self.sklearn, text.is_ascii()) {
            (false, true) => {
                runs(
                    text.bytes().enumerate(),
                    text.len(),
                    |byte, _| byte.is_ascii_alphanumeric(),
                    found,
                );
            }
            (false, false) => runs(text.char_indices(), text.len(), is_word_char, found),
            (true, true) => {
                let is_word = |byte: u8, _| byte.is_ascii_alphanumeric() || byte == b'_';
                runs(text.bytes().enumerate(), text.len(), is_word, |start, end| {
                    if end - start > 1 {
                        found(start, end);
                    }
                });
            }
            (true, false) => {
                let is_word = |c, _| is_python_word(c);
                runs(text.char_indices(), text.len(), is_word, |start, end| {
                    if text[start..end].chars().nth(1).is_some() {
                        found(start, end);
                    }
                });
            }
        }
    }
}

/// Calls `found` with the start and end of each run of characters for which `inside` holds.
///
/// The second argument of `inside` is whether a run has begun.
#[inline]
fn runs<C>(
    chars: impl Iterator<Item = (usize, C)>,
    end: usize,
    inside: impl Fn(C, bool) -> bool,
    mut found: impl FnMut(usize, usize),
) {
    let mut start = None;
    for (i, c) in chars {
        match (inside(c, start.is_some()), start) {
            (true, None) => start = Some(i),
            (false, Some(first)) => {
                found(first, i);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(first) = start {
        found(first, end);
    }
}

/// Returns whether Python's `\w` matches `c`: `str.isalnum`, or `_`.
///
/// Python counts only the categories L as letters: no vowel signs, no circled letters.
fn is_python_word(c: char) -> bool {
    let is_circled = matches!(u32::from(c),
        0x24b6..=0x24e9 | 0x1f130..=0x1f149 | 0x1f150..=0x1f169 | 0x1f170..=0x1f189);
    c == '_' || (c.is_alphanumeric() && !is_combining_mark(c) && !is_circled)
}

/// Returns whether Python's `str.split` splits at `c`.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}
