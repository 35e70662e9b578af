//! What confidence is fitted on: scores of records by models that never saw them.

use super::score::Evidence;
use crate::training::train::largest;
use botops_stats::calibration::{fit_temperature, softmax};

/// Scores of records by models that never saw them.
///
/// - rows of `scores`, `truth`, `chooses` (and of the others, where there are any) are the same records
#[derive(Debug, Clone, Default)]
pub(crate) struct Unseen {
    /// Number of intents.
    pub(crate) n_classes: usize,
    /// Raw scores `[n_samples, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// Index of the intent; `None`: out of scope.
    pub(crate) truth: Vec<Option<usize>>,
    /// Whether anything of the record is known to the model that scored it: if not, it is never answered.
    pub(crate) understood: Vec<bool>,
    /// Whether the record belongs to the half that chooses; near duplicates are in the
    /// same half.
    pub(crate) chooses: Vec<bool>,
    /// Whether the record tests what was chosen: none of those that choose, and as many out of scope as there are in
    /// the data.
    pub(crate) tests: Vec<bool>,
    /// Raw scores of the out-of-scope class, where there is one.
    pub(crate) oos_logits: Option<Vec<f64>>,
    /// Cosine to the nearest intent's mean, where it was measured.
    pub(crate) cosines: Option<Vec<f64>>,
}

/// A record, and what a model that never saw it said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged {
    pub(super) evidence: Evidence,
    pub(super) in_scope: bool,
    /// Whether an answer would have been wrong: another intent, or any where none fits.
    pub(super) wrong: bool,
    pub(super) understood: bool,
    pub(super) chooses: bool,
    pub(super) tests: bool,
}

impl Unseen {
    /// Returns the temperature that fits the in-scope records best.
    pub(super) fn temperature(&self) -> f64 {
        let (scores, truth) = self.in_scope();
        fit_temperature(&scores, self.n_classes, &truth)
    }

    /// Returns raw scores `[n, n_classes]` and intents `[n]` of the in-scope records.
    fn in_scope(&self) -> (Vec<f64>, Vec<usize>) {
        let rows = || self.scores.chunks_exact(self.n_classes).zip(&self.truth);
        let scores = rows().filter(|(_, truth)| truth.is_some());
        (
            scores.flat_map(|(scores, _)| scores).copied().collect(),
            self.truth.iter().flatten().copied().collect(),
        )
    }

    /// Returns probabilities `[n, n_classes]` at `temperature`, and intents `[n]`, of the in-scope records.
    pub(super) fn probabilities(&self, temperature: f64) -> (Vec<f64>, Vec<usize>) {
        let (mut scores, truth) = self.in_scope();
        let understood = self.understood.iter().zip(&self.truth).filter(|(_, t)| t.is_some());
        for (row, (understood, _)) in scores.chunks_exact_mut(self.n_classes).zip(understood) {
            probabilities(row, *understood, temperature);
        }
        (scores, truth)
    }

    /// Returns what was said of each record, at `temperature`.
    pub(super) fn judged(&self, temperature: f64) -> Vec<Judged> {
        let mut proba = vec![0.0; self.n_classes];
        self.scores
            .chunks_exact(self.n_classes)
            .enumerate()
            .map(|(row, scores)| {
                proba.copy_from_slice(scores);
                probabilities(&mut proba, self.understood[row], temperature);
                let winner = largest(scores);
                Judged {
                    evidence: Evidence {
                        confidence: proba[winner],
                        logit: scores[winner],
                        oos_logit: self.oos_logits.as_ref().map(|logits| logits[row]),
                        cosine: self.cosines.as_ref().map(|cosines| cosines[row]),
                    },
                    in_scope: self.truth[row].is_some(),
                    wrong: self.truth[row] != Some(winner),
                    understood: self.understood[row],
                    chooses: self.chooses[row],
                    tests: self.tests[row],
                }
            })
            .collect()
    }
}

/// Turns raw scores into probabilities as a model does: of what it knows nothing of, all are the same.
fn probabilities(scores: &mut [f64], understood: bool, temperature: f64) {
    if understood {
        softmax(scores, temperature);
    } else {
        let n_classes = scores.len() as f64;
        scores.fill(1.0 / n_classes);
    }
}
