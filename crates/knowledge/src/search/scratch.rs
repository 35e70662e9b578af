//! Memory that questions use again.

use super::{allowed::AllowedCache, coverage::Coverage, lexical::LexicalScratch, ranked::Ranked};
use botops_features::EncoderScratch;

/// Memory that one question after another uses, so that a question allocates little. One per thread.
#[derive(Default)]
pub struct SearchScratch {
    pub(crate) allowed: AllowedCache,
    pub(crate) lexical: LexicalScratch,
    pub(crate) ranked: Ranked,
    pub(crate) coverage: Coverage,
    pub(crate) products: Vec<f32>,
    pub(crate) by_words: Vec<(u32, f32)>,
    pub(crate) by_vectors: Vec<(u32, f32)>,
    pub(crate) encoder: EncoderScratch,
}

impl std::fmt::Debug for SearchScratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchScratch").finish_non_exhaustive()
    }
}
