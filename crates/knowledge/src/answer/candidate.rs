//! A passage that an answer may be taken from.

use crate::source::Source;

/// A passage that an answer may be taken from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'a> {
    /// The identity of the passage, as sources name it.
    pub chunk: &'a str,
    /// The title of the document.
    pub title: &'a str,
    /// The headings above it, joined by ` > `.
    pub section: &'a str,
    /// The address of the document.
    pub url: Option<&'a str>,
    /// The page, from 1.
    pub page: Option<u32>,
    /// The language, such as `en`, which decides on stems; `None` counts as English.
    pub language: Option<&'a str>,
    /// The text.
    pub text: &'a str,
    /// How well it fits the question: comparable within one list only.
    pub score: f64,
    /// The cosine of its embedding and that of the question, where there is one.
    pub cosine: Option<f64>,
}

impl Candidate<'_> {
    /// Returns it as the source of `quote`, which is a part of its text.
    pub(crate) fn source(&self, quote: &str) -> Source {
        Source {
            title: self.title.to_owned(),
            section: self.section.to_owned(),
            url: self.url.map(str::to_owned),
            page: self.page,
            chunk: self.chunk.to_owned(),
            score: self.score,
            quote: quote.to_owned(),
        }
    }
}
