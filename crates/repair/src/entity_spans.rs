//! Entities of a repaired text: their spans move with their words.

use botops_datasets::EntitySpan;
use botops_validation::damage::{DamageKinds, undo};

/// A text before and after its repair.
pub(crate) struct RepairedText<'a> {
    pub(crate) original: &'a str,
    pub(crate) value: &'a str,
    /// The damage that was undone.
    pub(crate) undone: DamageKinds,
    /// The number of characters that were trimmed at the beginning.
    pub(crate) leading: usize,
    /// Whether wrong spans are corrected.
    pub(crate) corrects: bool,
}

impl RepairedText<'_> {
    /// Returns the spans in the new text; `None` when a span that was right has no place in it.
    pub(crate) fn spans(&self, spans: &[EntitySpan]) -> Option<Vec<EntitySpan>> {
        let chars: Vec<char> = self.original.chars().collect();
        let value: Vec<char> = self.value.chars().collect();
        let mut moved = Vec::with_capacity(spans.len());
        for span in spans {
            let covered = chars.get(span.start..span.end).filter(|chars| !chars.is_empty());
            let is_right =
                covered.is_some_and(|chars| span.value.chars().eq(chars.iter().copied()));
            let words = undo(&span.value, self.undone);
            let n = words.chars().count();
            let before: String = chars.iter().take(span.start).collect();
            let start = undo(&before, self.undone).chars().count().checked_sub(self.leading);
            let is_at = |start: usize| {
                value
                    .get(start..start + n)
                    .is_some_and(|chars| words.chars().eq(chars.iter().copied()))
            };
            let only_place = || {
                let mut places = self.value.match_indices(words.as_str());
                let (first, second) = (places.next(), places.next());
                let (at, _) = first.filter(|_| second.is_none() && n > 0)?;
                Some(self.value[..at].chars().count())
            };
            let place = match is_right {
                true => Some(start.filter(|&start| is_at(start)).or_else(only_place)?),
                false => only_place().filter(|_| self.corrects),
            };
            moved.push(match place {
                Some(start) => EntitySpan { value: words, start, end: start + n, ..span.clone() },
                None => span.clone(),
            });
        }
        Some(moved)
    }
}
