//! The input of calibration: scores of records by models that never saw them.

use super::score::Evidence;
use botops_stats::{
    argmax::argmax,
    calibration::{fit_temperature, softmax},
};

/// Scores of records by models that never saw them.
///
/// - row i of every field belongs to the same record
#[derive(Debug, Clone, Default)]
pub(crate) struct UnseenScores {
    /// Number of intents.
    pub(crate) n_classes: usize,
    /// Raw scores `[n_samples, n_classes]`, row by row.
    pub(crate) scores: Vec<f64>,
    /// Index of the intent; `None`: out of scope.
    pub(crate) truth: Vec<Option<usize>>,
    /// Whether the model that scored the record knows anything in it; if not, the record is never answered.
    pub(crate) understood: Vec<bool>,
    /// Whether the record is in the half that chooses score and order of thresholds; near duplicates share a half.
    pub(crate) chooses: Vec<bool>,
    /// Whether the record tests the choice; such records do not choose, and have the same share of out-of-scope records
    /// as the data.
    pub(crate) tests: Vec<bool>,
    /// Raw scores of the out-of-scope class, if there is one.
    pub(crate) oos_logits: Option<Vec<f64>>,
    /// Cosine to the nearest mean of an intent, if it was measured.
    pub(crate) cosines: Option<Vec<f64>>,
}

/// The scores that a confidence is fitted on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CalibrationScores<'a> {
    /// Scores of models of the intents; present if a score of these models can be chosen.
    pub(crate) plain: Option<&'a UnseenScores>,
    /// Scores of models with an out-of-scope class; present if [`super::OosScore::OosClass`] can be chosen.
    pub(crate) with_class: Option<&'a UnseenScores>,
    /// Number of out-of-scope records of the training data.
    pub(crate) n_oos: usize,
}

/// A record with the evidence of a model that never saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct JudgedRecord {
    pub(super) evidence: Evidence,
    pub(super) in_scope: bool,
    /// Whether the answer is wrong: another intent, or any answer to an out-of-scope record.
    pub(super) wrong: bool,
    pub(super) understood: bool,
    pub(super) chooses: bool,
    pub(super) tests: bool,
}

impl UnseenScores {
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

    /// Returns each record with its evidence at `temperature`.
    pub(super) fn judged(&self, temperature: f64) -> Vec<JudgedRecord> {
        let mut proba = vec![0.0; self.n_classes];
        self.scores
            .chunks_exact(self.n_classes)
            .enumerate()
            .map(|(row, scores)| {
                proba.copy_from_slice(scores);
                probabilities(&mut proba, self.understood[row], temperature);
                let winner = argmax(scores);
                JudgedRecord {
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

/// Turns raw scores into probabilities as a model does; if the model knows nothing in the record, all are equal.
fn probabilities(scores: &mut [f64], understood: bool, temperature: f64) {
    if understood {
        softmax(scores, temperature);
    } else {
        let n_classes = scores.len() as f64;
        scores.fill(1.0 / n_classes);
    }
}
