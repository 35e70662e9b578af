//! One question from its text to hits.

use super::{
    allowed::Allowed,
    coverage::WeightedTerm,
    query::{Hit, Mode, Query},
    scratch::SearchScratch,
};
use crate::index::{Group, KnowledgeIndex, QueryVector, Vectors};
use std::collections::{BTreeMap, BTreeSet};

/// The number of chunks of each ranking that are fused, at least.
const DEPTH: usize = 100;

/// The number of chunks, the best by words, whose sentences are compared with the question.
const SENTENCE_DEPTH: usize = 20;

/// The weights of a fused score: BM25 relative to the best chunk, the best sentence, the similarity of embeddings.
///
/// Chosen on the 623 questions of XQuAD English whose passage has a digest with an even first digit (0.4, 0.4 and 0.6, of 144
/// combinations, by recall@1 plus MRR@10), and divided by their sum. On the other 567 questions: recall@1 0.965, MRR@10 0.981.
/// Reciprocal rank fusion (k = 60) and scores scaled from the smallest to the largest were worse on the half that chose.
const WEIGHTS: [f64; 3] = [0.4 / 1.4, 0.4 / 1.4, 0.6 / 1.4];

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
        match allowed {
            None => scratch.ranked.push_above(&scratch.products, f32::NEG_INFINITY),
            Some(allowed) => {
                let chunks =
                    scratch.products.iter().zip(0..).filter(|(_, chunk)| allowed.has(*chunk));
                chunks.for_each(|(product, chunk)| scratch.ranked.push(chunk, *product));
            }
        }
        scratch.ranked.drain_into(&mut scratch.by_vectors);
    }

    /// Fuses both rankings: a weighted mean of what words, the best sentence and vectors say, each in [0, 1].
    ///
    /// A chunk of one ranking has its score of the other, too. Similarities below 0 count as 0.
    fn fuse(&self, k: usize, scratch: &mut SearchScratch) -> Vec<Hit> {
        let SearchScratch { lexical, coverage, by_words, by_vectors, products, .. } = scratch;
        let most = by_words.first().map_or(1.0, |(_, score)| f64::from(*score));
        let mut sentences: BTreeMap<u32, f64> = BTreeMap::new();
        let mut terms: Option<(Group, Vec<WeightedTerm<'_>>)> = None;
        for (chunk, _) in by_words.iter().take(SENTENCE_DEPTH) {
            let group = self.lexicon.groups[*chunk as usize];
            let (_, terms) = match terms.take().filter(|(known, _)| *known == group) {
                Some(known) => terms.insert(known),
                None => terms.insert((group, lexical.terms_of(&self.lexicon, group))),
            };
            sentences
                .insert(*chunk, coverage.best_sentence(self.chunks.text(*chunk), group, terms));
        }
        let chunks = by_words.iter().chain(by_vectors.iter()).map(|(chunk, _)| *chunk);
        let chunks: BTreeSet<u32> = chunks.collect();
        let hits = chunks.into_iter().map(|chunk| {
            let words = f64::from(lexical.score(&self.lexicon, chunk));
            let dense = f64::from(products[chunk as usize]);
            let sentence = sentences.get(&chunk).copied().unwrap_or(0.0);
            let parts = [words / most, sentence, dense.clamp(0.0, 1.0)];
            let score = parts.iter().zip(WEIGHTS).map(|(part, weight)| part * weight).sum();
            Hit { chunk, score, lexical: Some(words), dense: Some(dense) }
        });
        let mut hits: Vec<Hit> = hits.collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chunk.cmp(&b.chunk)));
        hits.truncate(k);
        hits
    }
}
