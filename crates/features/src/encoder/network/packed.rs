//! A batch of tokenised texts without padding.

use std::sync::Arc;

/// Room for the tokens of one text among the keys of its rows.
const TOKENS: u64 = 1 << 20;

/// The tokens of several texts, one text after the other: rows of every matrix of the network.
#[derive(Debug, Clone)]
pub struct Packed {
    pub(super) ids: Vec<u32>,
    pub(super) positions: Vec<u32>,
    pub(super) spans: Arc<[Span]>,
    /// What is dropped of a row hangs on its key.
    pub(super) row_keys: Arc<[u64]>,
    pub(super) text_keys: Arc<[u64]>,
}

/// The rows of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
    /// The place of the text in its batch.
    pub(super) key: u64,
}

impl Packed {
    /// Packs `texts`, each at least one token; `key` is the place of a text in its batch, of which these may be a part.
    pub fn new<'a>(texts: impl IntoIterator<Item = (u64, &'a [u32])>) -> Self {
        let (mut ids, mut positions, mut spans, mut row_keys) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (key, tokens) in texts {
            spans.push(Span { start: ids.len(), len: tokens.len(), key });
            ids.extend_from_slice(tokens);
            positions.extend(0..tokens.len() as u32);
            row_keys.extend((0..tokens.len() as u64).map(|token| key * TOKENS + token));
        }
        let text_keys = spans.iter().map(|span| span.key).collect();
        Self { ids, positions, spans: spans.into(), row_keys: row_keys.into(), text_keys }
    }

    /// Returns how many texts there are.
    pub(crate) fn n_texts(&self) -> usize {
        self.spans.len()
    }
}
