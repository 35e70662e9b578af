//! The answer of an index: retrieval, then the choice of the quote.

use super::{
    candidate::Candidate,
    extraction::{AnswerSpec, Answered, extract},
};
use crate::{KnowledgeIndex, Query, SearchScratch};

/// Answers a question from an index, of whose passages the best `query.k` are read.
///
/// Without `min_confidence`, the threshold is that of the index, or the embedded one of an index that was never evaluated. The
/// filters of the query decide before anything is ranked, so a hidden document is neither quoted nor counted.
#[must_use]
pub fn answer(
    index: &KnowledgeIndex,
    query: &Query<'_>,
    min_confidence: Option<f64>,
    scratch: &mut SearchScratch,
) -> Answered {
    let hits = index.search(query, scratch);
    let chunks: Vec<String> =
        hits.iter().map(|hit| index.passage(hit.chunk).id.to_string()).collect();
    let candidates: Vec<Candidate<'_>> = hits
        .iter()
        .zip(&chunks)
        .map(|(hit, chunk)| {
            let passage = index.passage(hit.chunk);
            Candidate {
                chunk,
                title: passage.title,
                section: passage.section,
                url: passage.url,
                page: passage.page,
                language: passage.language,
                text: passage.text,
                score: hit.score,
                cosine: hit.dense,
            }
        })
        .collect();
    let abstention = index.spec().abstention.unwrap_or_default();
    extract(query.text, &candidates, &AnswerSpec { abstention: &abstention, min_confidence })
}
