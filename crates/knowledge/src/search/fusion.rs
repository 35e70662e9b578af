//! One question from its text to hits.

use super::{
    allowed::Allowed,
    query::{Hit, Mode, Query},
    scratch::SearchScratch,
};
use crate::index::{KnowledgeIndex, QueryVector, Vectors};

/// The number of chunks of each ranking that are fused, at least.
const DEPTH: usize = 100;

/// The share of the similarity of embeddings in a fused score.
const DENSE_SHARE: f64 = 0.5;

impl KnowledgeIndex {
    /// Returns the mode in which a question that asks for `mode` is ranked: by words if the index has no vectors.
    #[must_use]
    pub fn effective_mode(&self, mode: Mode) -> Mode {
        if self.vectors.is_some() { mode } else { Mode::Lexical }
    }

    /// Returns the best hits, at most `query.k`, the best first; equal scores are ordered by chunk.
    ///
    /// Words that no chunk has give no hits by words. Document frequencies and mean lengths count all chunks, hidden ones
    /// too, so that they are computed once: of a hidden document, a caller can at most infer how common a word is.
    pub fn search(&self, query: &Query<'_>, scratch: &mut SearchScratch) -> Vec<Hit> {
        let k = query.k.min(self.n_chunks());
        if k == 0 {
            return Vec::new();
        }
        let allowed = scratch.allowed.of(self, query.filters);
        let allowed = allowed.as_deref();
        match (query.mode, &self.vectors) {
            (Mode::Lexical, _) | (_, None) => {
                self.rank_words(query.text, allowed, k, scratch);
                let hit = |(chunk, score): &(u32, f32)| {
                    let score = f64::from(*score);
                    Hit { chunk: *chunk, score, lexical: Some(score), dense: None }
                };
                scratch.by_words.iter().map(hit).collect()
            }
            (Mode::Dense, Some(vectors)) => {
                self.rank_vectors(vectors, query, allowed, k, scratch);
                let hit = |(chunk, score): &(u32, f32)| {
                    let score = f64::from(*score);
                    Hit { chunk: *chunk, score, lexical: None, dense: Some(score) }
                };
                scratch.by_vectors.iter().map(hit).collect()
            }
            (Mode::Hybrid, Some(vectors)) => {
                let depth = DEPTH.max(k);
                self.rank_words(query.text, allowed, depth, scratch);
                self.rank_vectors(vectors, query, allowed, depth, scratch);
                self.fuse(k, scratch)
            }
        }
    }

    fn rank_words(
        &self,
        text: &str,
        allowed: Option<&Allowed>,
        k: usize,
        scratch: &mut SearchScratch,
    ) {
        scratch.lexical.read(self, text);
        scratch.lexical.rank(&self.lexicon, allowed, k, &mut scratch.ranked);
        scratch.ranked.drain_into(&mut scratch.by_words);
    }

    fn rank_vectors(
        &self,
        vectors: &Vectors,
        query: &Query<'_>,
        allowed: Option<&Allowed>,
        k: usize,
        scratch: &mut SearchScratch,
    ) {
        let given = query.embedding.filter(|embedding| embedding.len() == vectors.dim);
        let vector = match (given, &self.encoder) {
            (Some(embedding), _) => QueryVector::new(embedding),
            (None, Some(encoder)) => {
                QueryVector::new(encoder.embed_one(query.text, &mut scratch.encoder))
            }
            (None, None) => QueryVector::new(&[]),
        };
        vectors.products(&vector, &mut scratch.products);
        scratch.ranked.reset(k);
        for (product, chunk) in scratch.products.iter().zip(0..) {
            if allowed.is_none_or(|allowed| allowed.has(chunk)) {
                scratch.ranked.push(chunk, *product);
            }
        }
        scratch.ranked.drain_into(&mut scratch.by_vectors);
    }

    /// Fuses both rankings: a weighted mean of the two scores, each scaled to [0, 1] over the fused chunks.
    fn fuse(&self, k: usize, scratch: &SearchScratch) -> Vec<Hit> {
        let chunks = scratch.by_words.iter().chain(&scratch.by_vectors).map(|(chunk, _)| *chunk);
        let mut chunks: Vec<u32> = chunks.collect();
        chunks.sort_unstable();
        chunks.dedup();
        let score = |chunk: u32| f64::from(scratch.lexical.score(&self.lexicon, chunk));
        let words: Vec<f64> = chunks.iter().map(|chunk| score(*chunk)).collect();
        let dense: Vec<f64> =
            chunks.iter().map(|chunk| f64::from(scratch.products[*chunk as usize])).collect();
        let most = words.iter().copied().fold(0.0, f64::max);
        let range = dense
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        let hits = chunks.iter().zip(words).zip(dense).map(|((chunk, words), dense)| {
            let by_words = if most > 0.0 { words / most } else { 0.0 };
            let width = range.1 - range.0;
            let by_vectors = if width > 0.0 { (dense - range.0) / width } else { 0.0 };
            let score = (1.0 - DENSE_SHARE) * by_words + DENSE_SHARE * by_vectors;
            Hit { chunk: *chunk, score, lexical: Some(words), dense: Some(dense) }
        });
        let mut hits: Vec<Hit> = hits.collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        hits.truncate(k);
        hits
    }
}
