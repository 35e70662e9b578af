//! Ranking by words: BM25 over the inverted index.

use super::{allowed::Allowed, coverage::WeightedTerm, ranked::Ranked};
use crate::index::{Group, KnowledgeIndex, Lexicon, each_word, saturation, stem};

/// The most different terms of a question that are looked up: the first of them. A pasted page is no question.
const MOST_TERMS: usize = 512;

/// A posting list this many times shorter than the index is read whole; before a longer one, pruning is tried.
const LONG_LIST: usize = 32;

/// One term of a question.
#[derive(Debug, Clone, Copy)]
struct QueryTerm {
    term: usize,
    /// The inverse document frequency times the occurrences in the question.
    weight: f32,
    /// The most that the term adds to the score of a chunk.
    bound: f32,
}

/// Memory of the ranking by words.
#[derive(Debug, Default)]
pub(crate) struct LexicalScratch {
    terms: Vec<QueryTerm>,
    /// The score of each chunk so far.
    scores: Vec<f32>,
    candidates: Vec<u32>,
    normal: String,
    term: String,
}

impl LexicalScratch {
    /// Reads the terms of `text`, in the order in which they are scored: the largest bound first.
    pub(crate) fn read(&mut self, index: &KnowledgeIndex, text: &str) {
        let lexicon = &index.lexicon;
        let Self { terms, normal, term, .. } = self;
        terms.clear();
        let groups = &lexicon.derived.present;
        let stemmers: Vec<_> = groups.iter().map(|(group, _)| (*group, group.stemmer())).collect();
        each_word(text, normal, |word| {
            for (group, stemmer) in &stemmers {
                stem(word, stemmer.as_ref(), term);
                let Some(found) = lexicon.find(*group, term) else { continue };
                if let Some(known) = terms.iter_mut().find(|known| known.term == found) {
                    known.weight += 1.0;
                } else if terms.len() < MOST_TERMS {
                    terms.push(QueryTerm { term: found, weight: 1.0, bound: 0.0 });
                }
            }
        });
        for QueryTerm { term, weight, bound } in terms.iter_mut() {
            *weight *= lexicon.idf(*term);
            *bound = *weight * lexicon.derived.largest[*term];
        }
        terms.sort_unstable_by(|a, b| b.bound.total_cmp(&a.bound).then(a.term.cmp(&b.term)));
    }

    /// Adds the `ranked.k` best of the allowed chunks to `ranked`.
    ///
    /// BM25 = sum over terms of idf tf / (tf + k1 (1 - b + b length / mean length)), where tf and length weigh the fields.
    /// Terms are added in order of their bounds. Once the bounds of the others together are below the k-th best score,
    /// chunks without a term so far cannot be among the best, and the others are looked up for the rest of the candidates
    /// only (MaxScore; Turtle and Flood, 1995). Sums are made in one order, so that pruning changes no score.
    pub(crate) fn rank(
        &mut self,
        lexicon: &Lexicon,
        allowed: Option<&Allowed>,
        k: usize,
        ranked: &mut Ranked,
    ) {
        let norms = &lexicon.derived.norms;
        self.scores.clear();
        self.scores.resize(norms.len(), 0.0);
        let mut rest: f32 = self.terms.iter().map(|term| term.bound).sum();
        ranked.reset(k);
        for (at, QueryTerm { term, weight, bound }) in self.terms.iter().enumerate() {
            let postings = lexicon.postings(*term);
            if at > 0 && postings.len() * LONG_LIST > norms.len() {
                ranked.push_above(&self.scores, 0.0);
                let least = ranked.least();
                ranked.reset(k);
                // The margin is for the rounding of the sums.
                if let Some(least) = least.filter(|least| rest * 1.001 < *least) {
                    return self.rank_candidates(lexicon, at, least - rest * 1.001, ranked);
                }
            }
            let scores = &mut self.scores;
            let mut add = |chunk: u32, frequency| {
                scores[chunk as usize] += weight * saturation(frequency, norms[chunk as usize]);
            };
            match allowed {
                None => {
                    postings.iter().for_each(|posting| add(posting.chunk(), posting.frequency()))
                }
                Some(allowed) => {
                    let mine = postings.iter().filter(|posting| allowed.has(posting.chunk()));
                    mine.for_each(|posting| add(posting.chunk(), posting.frequency()));
                }
            }
            rest -= bound;
        }
        ranked.push_above(&self.scores, 0.0);
    }

    /// Adds the terms from `at` on to the chunks whose score so far is at least `least`, and ranks these.
    fn rank_candidates(&mut self, lexicon: &Lexicon, at: usize, least: f32, ranked: &mut Ranked) {
        let Self { terms, scores, candidates, .. } = self;
        candidates.clear();
        candidates.extend(
            scores.iter().zip(0..).filter(|(score, _)| **score >= least).map(|(_, chunk)| chunk),
        );
        for QueryTerm { term, weight, .. } in &terms[at..] {
            let mut postings = lexicon.postings(*term);
            for chunk in candidates.iter() {
                let skipped = postings.partition_point(|posting| posting.chunk() < *chunk);
                postings = &postings[skipped..];
                if let Some(posting) = postings.first().filter(|posting| posting.chunk() == *chunk)
                {
                    let norm = lexicon.derived.norms[*chunk as usize];
                    scores[*chunk as usize] += weight * saturation(posting.frequency(), norm);
                }
            }
        }
        candidates.iter().for_each(|chunk| ranked.push(*chunk, scores[*chunk as usize]));
    }

    /// Returns the terms of the question that documents of `group` have.
    pub(crate) fn terms_of<'a>(&self, lexicon: &'a Lexicon, group: Group) -> Vec<WeightedTerm<'a>> {
        let terms = self.terms.iter().map(|QueryTerm { term, .. }| (lexicon.term(*term), *term));
        let mine = terms.filter(|(bytes, _)| bytes[0] == group.byte());
        mine.map(|(bytes, term)| (&bytes[1..], lexicon.idf(term))).collect()
    }

    /// Returns the score of one chunk, the same bits as [`Self::rank`] computes.
    pub(crate) fn score(&self, lexicon: &Lexicon, chunk: u32) -> f32 {
        let norm = lexicon.derived.norms[chunk as usize];
        self.terms.iter().fold(0.0, |sum, QueryTerm { term, weight, .. }| {
            let postings = lexicon.postings(*term);
            match postings.binary_search_by_key(&chunk, |posting| posting.chunk()) {
                Ok(at) => sum + weight * saturation(postings[at].frequency(), norm),
                Err(_) => sum,
            }
        })
    }
}
