//! Inputs of training other than the records: an encoder, an embedding cache and a checkpoint folder.

use botops_features::{EmbeddingCache, Encoder, embed_cached};
use botops_findings::Result;
use std::{path::Path, sync::Arc};

/// Inputs of training other than the records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resources<'a> {
    /// The encoder that `features.encoder` names; without one, only features of kind `tfidf` can be computed.
    pub encoder: Option<&'a Arc<Encoder>>,
    /// The cache of embeddings; without one, every text is embedded again.
    pub embeddings: Option<&'a EmbeddingCache>,
    /// The folder of fine-tuning checkpoints; without one, no checkpoint is written.
    pub checkpoints: Option<&'a Path>,
}

impl Resources<'_> {
    /// Returns the embeddings of `texts`, `[n_samples, dim]`; repeated texts are embedded once, cached texts not at all.
    pub(crate) fn embed(
        &self,
        encoder: &Encoder,
        texts: &[&str],
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<f32>> {
        embed_cached(encoder, texts, self.embeddings, advance)
    }
}
