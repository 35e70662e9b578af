//! Training records as models judged them that did not see them: a by-product of calibration.

use super::out_of_fold::OosRole;
use crate::{
    ModelSpec, Prediction, Sample,
    confidence::{Confidence, Facts, UnseenScores},
};
use botops_labels::OOS;

/// A training record, and the prediction of a model that did not see it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnseenRecord {
    /// The index of the record among the samples of the training.
    pub sample: usize,
    /// The intent of the record, an index of the labels; `None`: out of scope.
    pub truth: Option<usize>,
    /// The prediction, with the temperature and the fallback of the final model. These were fitted on the same records, so
    /// they fit a little better than on others.
    pub prediction: Prediction,
}

/// The records that calibration judged, which the final model can no longer be asked about: it knows them.
#[derive(Debug, Clone, Default)]
pub struct UnseenRecords {
    /// The records by index: all, or as many as calibration needed; the share out of scope is that of the samples.
    pub records: Vec<UnseenRecord>,
    /// The embeddings of all samples `[n_samples, dim]`: in-scope samples, then the others; empty without an encoder, and if it
    /// was fine-tuned.
    pub embeddings: Vec<f32>,
    /// The dimensions of an embedding; 0 without any.
    pub dim: usize,
}

/// Predicts `rows`, whose scores a head with out-of-scope records in `role` has.
///
/// The result is in the order of `rows`, which are rows of a feature table, with their predictions.
pub(super) fn predicted(
    rows: &[u32],
    scores: &UnseenScores,
    (confidence, spec): (&Confidence, &ModelSpec),
    (role, n_in_scope): (OosRole, usize),
) -> Vec<(u32, Option<usize>, Prediction)> {
    let rule = confidence.rule(spec.fallback.threshold);
    let held = rows.iter().filter(|row| (**row as usize) < n_in_scope).count();
    let mut n_oos = 0;
    // A head that held out a tenth of its rows scored all out-of-scope records; one in ten of them is kept.
    let mut in_proportion = |row: u32| {
        if role == OosRole::Class || (row as usize) < n_in_scope {
            return true;
        }
        n_oos += 1;
        (n_oos * held) / n_in_scope > ((n_oos - 1) * held) / n_in_scope
    };
    let mut proba = vec![0.0; scores.n_classes];
    let mut predicted = Vec::with_capacity(rows.len());
    for (i, &row) in rows.iter().enumerate() {
        if !in_proportion(row) {
            continue;
        }
        proba.copy_from_slice(&scores.scores[i * scores.n_classes..][..scores.n_classes]);
        let facts = Facts {
            oos_logit: scores.oos_logits.as_ref().map(|logits| logits[i]),
            cosine: scores.cosines.as_ref().map(|cosines| cosines[i]),
            understood: scores.understood[i],
        };
        let (prediction, _) = confidence.decide(&mut proba, facts, rule);
        predicted.push((row, scores.truth[i], prediction));
    }
    predicted
}

/// Returns the index among the samples of a training of each row of its feature table.
pub(super) fn samples_of_rows(samples: &[Sample<'_>]) -> Vec<usize> {
    let (oos, mut rows): (Vec<usize>, Vec<usize>) =
        (0..samples.len()).partition(|&i| samples[i].intent == OOS);
    rows.extend(oos);
    rows
}

impl UnseenRecords {
    /// Puts the records, which are rows of a feature table, into the order of the samples.
    pub(super) fn in_order(
        predicted: Vec<(u32, Option<usize>, Prediction)>,
        embeddings: Vec<f32>,
        samples: &[Sample<'_>],
    ) -> Self {
        let sample_of = samples_of_rows(samples);
        let mut records: Vec<UnseenRecord> = predicted
            .into_iter()
            .map(|(row, truth, prediction)| UnseenRecord {
                sample: sample_of[row as usize],
                truth,
                prediction,
            })
            .collect();
        records.sort_by_key(|record| record.sample);
        let dim = embeddings.len() / samples.len().max(1);
        Self { records, embeddings, dim }
    }
}
