//! Annotated spans, and the tokens that they cover.

use super::tokens::{Token, tokenise};

/// An utterance with its annotated spans.
#[derive(Debug, Clone)]
pub struct Annotated<'a> {
    /// The utterance.
    pub text: &'a str,
    /// Its spans, in any order; an utterance without spans shows where there is no entity.
    pub spans: Vec<Span<'a>>,
}

/// An annotated span of an utterance. Offsets are in code points, `end` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    /// The kind, such as `order_number`.
    pub entity: &'a str,
    /// The first code point.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// The canonical value, if it differs from the text.
    pub synonym_of: Option<&'a str>,
    /// The role, such as `from` or `to`.
    pub role: Option<&'a str>,
    /// The group of entities that it belongs to.
    pub group: Option<&'a str>,
}

/// The reason why a span cannot be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanProblem {
    /// It shares a token with a longer span, or with an earlier one of the same length, which is learned instead.
    Overlaps,
    /// It begins or ends inside a token, contains no token, or is outside the text. The utterance is not learned from.
    Borders,
}

/// Returns the index of each of `spans` of `text` that cannot be learned, with the reason, in the order of `spans`.
#[must_use]
pub fn span_problems(text: &str, spans: &[Span<'_>]) -> Vec<(usize, SpanProblem)> {
    if spans.is_empty() {
        return Vec::new();
    }
    let mut tokens = Vec::new();
    tokenise(text, &mut tokens);
    let places = place(&tokens, spans);
    let problem = |(i, place): (usize, &Result<_, SpanProblem>)| place.err().map(|p| (i, p));
    places.iter().enumerate().filter_map(problem).collect()
}

/// Returns the first token of each span and the one past its last, or the reason why it cannot be learned.
pub(super) fn place(
    tokens: &[Token],
    spans: &[Span<'_>],
) -> Vec<Result<(usize, usize), SpanProblem>> {
    let mut places: Vec<_> = spans.iter().map(|span| tokens_of(tokens, span)).collect();
    let mut by_length: Vec<usize> = (0..spans.len()).filter(|&i| places[i].is_ok()).collect();
    let length = |i: usize| places[i].map_or(0, |(first, end)| end - first);
    by_length.sort_by_key(|&i| (std::cmp::Reverse(length(i)), spans[i].start));
    let mut taken = vec![false; tokens.len()];
    for i in by_length {
        let Ok((first, end)) = places[i] else { continue };
        match taken[first..end].contains(&true) {
            true => places[i] = Err(SpanProblem::Overlaps),
            false => taken[first..end].fill(true),
        }
    }
    places
}

/// Returns the tokens that `span` covers.
fn tokens_of(tokens: &[Token], span: &Span<'_>) -> Result<(usize, usize), SpanProblem> {
    let first = tokens.partition_point(|token| token.chars.1 <= span.start);
    let end = tokens.partition_point(|token| token.chars.0 < span.end);
    let covered = tokens.get(first..end).unwrap_or_default();
    match (covered.first(), covered.last()) {
        (Some(head), Some(last)) if head.chars.0 >= span.start && last.chars.1 <= span.end => {
            Ok((first, end))
        }
        _ => Err(SpanProblem::Borders),
    }
}
