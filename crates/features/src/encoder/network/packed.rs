//! A batch of tokenised texts without padding.

use std::sync::Arc;

/// The number of row keys reserved for each text.
const TOKENS: u64 = 1 << 20;

/// The tokens of several texts, one text after another; each token is a row in the matrices of the network.
#[derive(Debug, Clone)]
pub struct Packed {
    pub(super) ids: Vec<u32>,
    pub(super) positions: Vec<u32>,
    pub(super) spans: Arc<[Span]>,
    /// The key of each row, which decides the values that dropout drops.
    pub(super) row_keys: Arc<[u64]>,
    /// The key of each text.
    pub(super) text_keys: Arc<[u64]>,
}

/// The rows of one text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) len: usize,
    /// The index of the text in its batch.
    pub(super) key: u64,
}

impl Packed {
    /// Packs `texts`: (key, tokens), at least one token each.
    ///
    /// The key is the index of the text in its batch; `texts` may be a part of the batch.
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
}
