//! Entities stay where their words are when their text is repaired.

use botops_datasets::EntitySpan;
use botops_validation::damage::{Undone, undo};

/// A text that becomes another, and where the words of its entities are then.
pub(crate) struct Moved<'a> {
    pub(crate) original: &'a str,
    pub(crate) value: &'a str,
    pub(crate) undone: Undone,
    /// Characters taken off at its beginning.
    pub(crate) leading: usize,
    /// Whether spans that are wrong are corrected.
    pub(crate) corrects: bool,
}

impl Moved<'_> {
    /// Returns the spans in the new text; `None` when one that was right has no place in it.
    pub(crate) fn spans(&self, spans: &[EntitySpan]) -> Option<Vec<EntitySpan>> {
        let chars: Vec<char> = self.original.chars().collect();
        let value: Vec<char> = self.value.chars().collect();
        let mut moved = Vec::with_capacity(spans.len());
        for span in spans {
            let there = chars.get(span.start..span.end).filter(|there| !there.is_empty());
            let is_right = there.is_some_and(|there| span.value.chars().eq(there.iter().copied()));
            let words = undo(&span.value, self.undone);
            let n = words.chars().count();
            let before: String = chars.iter().take(span.start).collect();
            let start = undo(&before, self.undone).chars().count().checked_sub(self.leading);
            let stands = |start: usize| {
                value
                    .get(start..start + n)
                    .is_some_and(|there| words.chars().eq(there.iter().copied()))
            };
            let once = || {
                let mut places = self.value.match_indices(words.as_str());
                let (first, second) = (places.next(), places.next());
                let (at, _) = first.filter(|_| second.is_none() && n > 0)?;
                Some(self.value[..at].chars().count())
            };
            let place = match is_right {
                true => Some(start.filter(|&start| stands(start)).or_else(once)?),
                false => once().filter(|_| self.corrects),
            };
            moved.push(match place {
                Some(start) => EntitySpan { value: words, start, end: start + n, ..span.clone() },
                None => span.clone(),
            });
        }
        Some(moved)
    }
}
