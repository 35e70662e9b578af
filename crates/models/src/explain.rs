//! Explains a prediction: the contribution of each term to the scores, and the nearest known utterances.

use crate::{
    IntentModel, Scratch,
    intent_model::Row,
    neighborhood::{Neighbor, NeighborScratch, Neighborhood},
};
use botops_features::{FeatureMatrix, TermKind};
use botops_findings::{Fault, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Reverse;

/// The scores of the two best intents as sums of contributions.
///
/// For each of the two, the score is the sum of its intercept and the contributions of all terms and of the embedding,
/// up to rounding of 32-bit numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Indices of the intents with the highest and the second-highest score.
    pub intents: [usize; 2],
    /// Their raw scores, before the temperature.
    pub scores: [f64; 2],
    /// Their scores for an empty row.
    pub intercepts: [f64; 2],
    /// The known terms of the text, by how much their contributions to the two intents differ, the largest first.
    pub terms: Vec<Contribution>,
    /// The contribution of the whole embedding, if the model has an encoder; single dimensions have no meaning.
    pub embedding: Option<[f64; 2]>,
}

/// The contribution of a term.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The term: words, or a character n-gram.
    pub term: String,
    /// Whether the term consists of words or characters.
    pub kind: TermKind,
    /// Its weight in the text.
    pub value: f32,
    /// Its contributions to the scores of the two intents: value * weight of the intent.
    pub adds: [f64; 2],
}

impl IntentModel {
    /// Explains the prediction for `text`; the explanation is exact.
    ///
    /// # Errors
    /// `BOT-7070` (exit 2) if scores are not sums over features: for a random forest.
    pub fn explain(&self, text: &str) -> Result<Explanation> {
        let mut scratch = Scratch::default();
        let scores = self.raw_scores(text, &mut scratch);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        let intents = [order[0], order[1]];
        let inexact = || {
            Fault::usage(
                "BOT-7070",
                format!("a {} cannot be explained term by term", self.head_name()),
            )
            .hint("train a linear head, such as `--head linear_svm`: its explanations are exact")
        };
        let Row { sparse, dense } = self.row_of(&scratch);
        let both = |column: u32, value: f32| -> Option<[f64; 2]> {
            let [winner, runner_up] =
                intents.map(|intent| self.contribution(column, value, intent));
            Some([winner?, runner_up?])
        };
        let [winner, runner_up] = intents.map(|intent| self.intercept(intent));
        let intercepts = winner.zip(runner_up).map(<[f64; 2]>::from).ok_or_else(inexact)?;
        let known = self.terms();
        let mut terms = Vec::with_capacity(sparse.len());
        for &(column, value) in sparse {
            let term = &known[column as usize];
            terms.push(Contribution {
                term: term.text.clone(),
                kind: term.kind,
                value,
                adds: both(column, value).ok_or_else(inexact)?,
            });
        }
        // Ties are sorted by kind and term.
        let difference = |one: &Contribution| ((one.adds[0] - one.adds[1]).abs() * 1e9) as u64;
        terms.sort_by(|a, b| {
            Reverse(difference(a))
                .cmp(&Reverse(difference(b)))
                .then_with(|| (a.kind, &a.term).cmp(&(b.kind, &b.term)))
        });
        let mut embedding = None;
        for &(column, value) in dense {
            let adds = both(column, value).ok_or_else(inexact)?;
            let total = embedding.get_or_insert([0.0, 0.0]);
            total[0] += adds[0];
            total[1] += adds[1];
        }
        Ok(Explanation {
            intents,
            scores: intents.map(|intent| scores[intent]),
            intercepts,
            terms,
            embedding,
        })
    }

    /// Returns the `k` nearest of `candidates` to `text` by the features of the model, the nearest first: index and cosine,
    /// in (0, 1]. Candidates without a known feature are never returned.
    #[must_use]
    pub fn nearest(&self, text: &str, candidates: &[&str], k: usize) -> Vec<(usize, f64)> {
        let near = self.nearest_in(&self.neighborhood(candidates), text, k, &mut Nearby::default());
        near.into_iter().map(|Neighbor { row, cosine }| (row, cosine)).collect()
    }

    /// Indexes `texts` by the features of the model, for searches of the nearest texts.
    #[must_use]
    pub fn neighborhood(&self, texts: &[&str]) -> Neighborhood {
        let rows: Vec<Vec<(u32, f32)>> = texts
            .par_iter()
            .with_min_len(64)
            .map_init(Scratch::default, |scratch, text| self.features_of(text, scratch))
            .collect();
        let mut matrix = FeatureMatrix::new(self.n_features());
        for row in rows {
            matrix.push_row(row);
        }
        Neighborhood::of(&matrix)
    }

    /// Returns the `k` rows of `near`, which this model indexed, that are nearest to `text`, the nearest first.
    #[must_use]
    pub fn nearest_in(
        &self,
        near: &Neighborhood,
        text: &str,
        k: usize,
        scratch: &mut Nearby,
    ) -> Vec<Neighbor> {
        let row = self.features_of(text, &mut scratch.scratch);
        near.nearest(row.iter().copied(), k, |_| true, &mut scratch.neighbors)
    }

    /// Returns the features of `text` by column: its terms, then its embedding.
    fn features_of(&self, text: &str, scratch: &mut Scratch) -> Vec<(u32, f32)> {
        self.raw_scores(text, scratch);
        let Row { sparse, dense } = self.row_of(scratch);
        let mut row: Vec<(u32, f32)> = sparse.iter().chain(dense).copied().collect();
        row.sort_unstable_by_key(|&(column, _)| column);
        row
    }
}

/// Working memory of a thread that searches for the nearest texts.
#[derive(Debug, Default)]
pub struct Nearby {
    scratch: Scratch,
    neighbors: NeighborScratch,
}
