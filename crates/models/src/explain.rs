//! Why a model said what it said: what each term adds to the scores, and which known utterances are nearest.

use super::{
    IntentModel, Scratch,
    intent_model::Row,
    neighborhood::{Neighbor, NeighborScratch, Neighborhood},
};
use botops_features::{FeatureMatrix, TermKind};
use botops_findings::{Fault, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Reverse;

/// What the scores of the winner and the runner-up are made of.
///
/// For either intent: its score is its intercept, and the contributions of all terms and of the embedding, added up
/// (to the rounding of 32-bit numbers).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// Index of the intent with the highest score, and of the next.
    pub intents: [usize; 2],
    /// Their raw scores, before the temperature.
    pub scores: [f64; 2],
    /// What they have without any term.
    pub intercepts: [f64; 2],
    /// The known terms of the text, those first that tell the two apart most.
    pub terms: Vec<Contribution>,
    /// What the encoder's embedding adds as a whole, where the model has one: its dimensions mean nothing one by one.
    pub embedding: Option<[f64; 2]>,
}

/// What a term adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contribution {
    /// The term: words, or characters of a word.
    pub term: String,
    /// Which of the two.
    pub kind: TermKind,
    /// Its weight in the text.
    pub value: f32,
    /// What it adds to the score of the winner, and of the runner-up: value * weight of the intent.
    pub adds: [f64; 2],
}

impl IntentModel {
    /// Explains what the model says of `text`; exact, not an approximation.
    ///
    /// # Errors
    /// `BOT-7070` (exit 2) when the head is no sum over features: a random forest.
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
        // By what tells the two apart; equal ones by their place in the vocabulary.
        let apart = |one: &Contribution| ((one.adds[0] - one.adds[1]).abs() * 1e9) as u64;
        terms.sort_by(|a, b| {
            Reverse(apart(a))
                .cmp(&Reverse(apart(b)))
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

    /// Returns the `k` of `candidates` nearest to `text` in the space of the model's features, the nearest first:
    /// index and cosine, in (0, 1]. Candidates without a known term are never near.
    #[must_use]
    pub fn nearest(&self, text: &str, candidates: &[&str], k: usize) -> Vec<(usize, f64)> {
        let near = self.nearest_in(&self.neighborhood(candidates), text, k, &mut Nearby::default());
        near.into_iter().map(|Neighbor { row, cosine }| (row, cosine)).collect()
    }

    /// Arranges `texts` by the model's features, so that the nearest of them to any text can be asked for.
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

    /// Returns the `k` rows of `near`, which this model arranged, that are nearest to `text`, the nearest first.
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

    /// Returns the features of `text` by column: its terms, and its embedding behind them.
    fn features_of(&self, text: &str, scratch: &mut Scratch) -> Vec<(u32, f32)> {
        self.raw_scores(text, scratch);
        let Row { sparse, dense } = self.row_of(scratch);
        let mut row: Vec<(u32, f32)> = sparse.iter().chain(dense).copied().collect();
        row.sort_unstable_by_key(|&(column, _)| column);
        row
    }
}

/// Working memory of a thread that looks for the nearest texts.
#[derive(Debug, Default)]
pub struct Nearby {
    scratch: Scratch,
    neighbors: NeighborScratch,
}
