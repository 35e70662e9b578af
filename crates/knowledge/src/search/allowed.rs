//! The chunks that a question may see, as one bit each.

use crate::{DocumentEntry, Filters, index::KnowledgeIndex};
use std::sync::Arc;

/// The chunks that a question may see: one bit each.
#[derive(Debug)]
pub(crate) struct Allowed(Vec<u64>);

impl Allowed {
    /// Returns whether `chunk` may be seen.
    #[inline]
    pub(crate) fn has(&self, chunk: u32) -> bool {
        self.0[chunk as usize / 64] >> (chunk % 64) & 1 == 1
    }

    fn of(index: &KnowledgeIndex, filters: &Filters) -> Self {
        let mut bits = vec![0_u64; index.n_chunks().div_ceil(64)];
        let mut chunk = 0_usize;
        for document in index.documents() {
            let end = chunk + document.n_chunks as usize;
            if may_see(document, filters) {
                (chunk..end).for_each(|chunk| bits[chunk / 64] |= 1 << (chunk % 64));
            }
            chunk = end;
        }
        Self(bits)
    }
}

/// Returns whether `filters` allow `document`.
///
/// `language: en` also allows `en-GB`. A document without a key that is asked for is not allowed.
fn may_see(document: &DocumentEntry, filters: &Filters) -> bool {
    let may_access = document.access.is_empty() || !document.access.is_disjoint(&filters.access);
    may_access
        && filters.metadata.iter().all(|(key, values)| match key.as_str() {
            "document" => values.contains(&document.id),
            "language" => document.language.as_deref().is_some_and(|language| {
                let base = language.split(['-', '_']).next().unwrap_or_default();
                values.contains(language) || values.contains(base)
            }),
            key => document.metadata.get(key).is_some_and(|value| values.contains(value)),
        })
}

/// The most filters that are remembered: an assistant uses the same few again and again.
const MOST_CACHED: usize = 16;

/// The results of the last filters, the newest first.
#[derive(Debug, Default)]
pub(crate) struct AllowedCache(Vec<(u64, Filters, Arc<Allowed>)>);

impl AllowedCache {
    /// Returns the chunks of `index` that `filters` allow; `None` if these are all.
    pub(crate) fn of(&mut self, index: &KnowledgeIndex, filters: &Filters) -> Option<Arc<Allowed>> {
        if !index.has_access_tags() && filters.metadata.is_empty() {
            return None;
        }
        let place = self
            .0
            .iter()
            .position(|(identity, cached, _)| *identity == index.identity && cached == filters);
        if let Some(place) = place {
            self.0[..=place].rotate_right(1);
        } else {
            self.0.truncate(MOST_CACHED - 1);
            self.0.insert(
                0,
                (index.identity, filters.clone(), Arc::new(Allowed::of(index, filters))),
            );
        }
        self.0.first().map(|(_, _, allowed)| Arc::clone(allowed))
    }
}
