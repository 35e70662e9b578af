//! A head on the terms and a head on the embedding, pooled.
//!
//! The weights of the pool are fitted by cross-fitting within the training rows: both heads are fitted without some of
//! these rows and score them. A caller that holds rows out of a stacked head therefore holds them out of the pool
//! weights, too.

use super::{
    fit_request::FitRequest,
    fitted::{Fitted, HeldOut},
    head::{Head, HeadScratch, Tensor, malformed},
    plain,
    pool::{Pool, pooled_unseen},
};
use crate::{
    HeadKind, HeadSpec, ModelSpec,
    training::{feature_table::Rows, folds},
};
use botops_features::{FeatureKind, FeatureSpec};
use botops_findings::Result;

/// Folds of the cross-fitting that weighs the heads.
const FOLDS: usize = 5;
/// This many rows determine two weights to a few hundredths; folds beyond them are not fitted.
const ENOUGH: usize = 2_000;
/// Separates the draw of these folds from the folds of a caller that holds rows out of this head.
const STREAM: u64 = 0x57AC;

/// Returns the specs of the two heads: the one on the terms, then the one on the embedding.
///
/// `spec.head` is the head on the terms, and a logistic regression whose `c` is `dense_c` is the head on the embedding.
/// With a fine-tuned encoder, whose top layer is the head on the embedding, the head on the terms is a linear SVM.
pub(crate) fn parts(spec: &ModelSpec) -> [ModelSpec; 2] {
    let fine_tuned = spec.head.kind == HeadKind::FineTuned;
    let sparse = HeadSpec {
        kind: if fine_tuned { HeadKind::LinearSvm } else { spec.head.kind },
        dense_c: None,
        fine_tuning: None,
        ..spec.head.clone()
    };
    let dense = HeadSpec {
        kind: if fine_tuned { HeadKind::FineTuned } else { HeadKind::LogisticRegression },
        c: spec.head.dense_c,
        class_weight: spec.head.class_weight,
        fine_tuning: spec.head.fine_tuning.clone(),
        ..HeadSpec::default()
    };
    let with = |kind, encoder, head| ModelSpec {
        features: FeatureSpec { kind, encoder, ..spec.features.clone() },
        head,
        ..spec.clone()
    };
    [
        with(FeatureKind::Tfidf, None, sparse),
        with(FeatureKind::Encoder, spec.features.encoder.clone(), dense),
    ]
}

/// Returns the number of times that [`fit`] fits both heads on `n_samples` rows.
pub(crate) fn n_fits(n_samples: usize) -> usize {
    1 + ENOUGH.div_ceil(n_samples.div_ceil(FOLDS).max(1)).min(FOLDS)
}

/// Raw scores `[rows, n_classes]` of the two heads for `rows`, which neither head saw.
struct PartScores {
    rows: Vec<u32>,
    sparse: Vec<f64>,
    dense: Vec<f64>,
}

/// Fits both heads on the rows of `request`, and the weights of their pool out of fold.
///
/// The rows that determine the weights are held out of the heads that score them. The held-out scores that are returned
/// are pooled by weights that never saw the row, either.
///
/// # Errors
/// Those of the two heads.
pub(crate) fn fit(request: FitRequest<'_>) -> Result<Fitted> {
    let FitRequest { x, rows, y, n_classes, .. } = request;
    let specs = parts(request.spec);
    let [sparse_spec, dense_spec] = &specs;
    let sparse = fit_part(request, &x.terms(), rows, sparse_spec)?;
    let dense = fit_part(request, &x.embeddings(), rows, dense_spec)?;
    let unseen = match dense.held_out {
        // A fine-tuned encoder already held rows out, and another fine-tuning for each fold would take hours.
        Some(held_out) => beside_fine_tuned(request, sparse_spec, held_out)?,
        None => cross_fitted(request, &specs)?,
    };
    let PartScores { rows: held, sparse: sparse_scores, dense: dense_scores } = unseen;
    let truth: Vec<usize> = held.iter().map(|&row| y[row as usize] as usize).collect();
    let pool = Pool::fit(&sparse_scores, &dense_scores, n_classes, &truth);
    let scores = pooled_unseen(&sparse_scores, &dense_scores, n_classes, &truth);
    let head =
        StackedHead { n_sparse: x.n_sparse as u32, sparse: sparse.head, dense: dense.head, pool };
    Ok(Fitted {
        head: Box::new(head),
        encoder: dense.encoder,
        held_out: Some(HeldOut { rows: held, scores }),
    })
}

/// Fits one of the two heads on `rows` of `x`.
fn fit_part(
    request: FitRequest<'_>,
    x: &Rows<'_>,
    rows: &[u32],
    spec: &ModelSpec,
) -> Result<Fitted> {
    plain::fit(FitRequest { x, rows, spec, ..request })
}

/// Scores the rows that the fine-tuning held out by a head on the terms that did not see them, either.
fn beside_fine_tuned(
    request: FitRequest<'_>,
    sparse_spec: &ModelSpec,
    held_out: HeldOut,
) -> Result<PartScores> {
    let HeldOut { rows: held, scores: dense } = held_out;
    let others: Vec<u32> = request.rows.iter().copied().filter(|row| !held.contains(row)).collect();
    let x = request.x.table.matrix(&others).terms();
    let sparse = fit_part(request, &x, &others, sparse_spec)?.scores(&x, &held);
    Ok(PartScores { rows: held, sparse, dense })
}

/// Scores rows by heads fitted on the other folds, for as many folds as [`n_fits`] allows.
fn cross_fitted(request: FitRequest<'_>, specs: &[ModelSpec; 2]) -> Result<PartScores> {
    let FitRequest { x, rows, spec, .. } = request;
    let [sparse_spec, dense_spec] = specs;
    let intents: Vec<u32> = request.training_set().classes().collect();
    let groups = folds::groups(&request.texts(), &intents);
    let folds = folds::assign(&groups, &intents, FOLDS, spec.seed ^ STREAM);
    let mut scores = PartScores { rows: Vec::new(), sparse: Vec::new(), dense: Vec::new() };
    for fold in 0..n_fits(rows.len()) as u32 - 1 {
        let rows_with = |in_fold: bool| -> Vec<u32> {
            let chosen = rows.iter().zip(&folds).filter(|(_, f)| (**f == fold) == in_fold);
            chosen.map(|(row, _)| *row).collect()
        };
        let (held, others) = (rows_with(true), rows_with(false));
        let x = x.table.matrix(&others);
        let (terms, embeddings) = (x.terms(), x.embeddings());
        let sparse = fit_part(request, &terms, &others, sparse_spec)?;
        scores.sparse.extend(sparse.scores(&terms, &held));
        let dense = fit_part(request, &embeddings, &others, dense_spec)?;
        scores.dense.extend(dense.scores(&embeddings, &held));
        scores.rows.extend(held);
    }
    Ok(scores)
}

/// Two heads on the two parts of a row: columns below `n_sparse` are terms, the others are the embedding.
///
/// score_k = a * sparse_k + b * dense_k, with the weights of the [`Pool`].
#[derive(Debug)]
pub(crate) struct StackedHead {
    pub(crate) n_sparse: u32,
    pub(crate) sparse: Box<dyn Head>,
    pub(crate) dense: Box<dyn Head>,
    pub(crate) pool: Pool,
}

/// Prefixes of the tensor names of the two heads in a model file.
const PREFIXES: [&str; 2] = ["sparse.", "dense."];

impl StackedHead {
    /// Reads the tensors that [`Head::tensors`] returned; `sparse` and `dense` read the two heads.
    ///
    /// # Errors
    /// `BOT-7003` for invalid pool weights, and those of the two heads.
    pub(crate) fn from_tensors(
        tensors: &[Tensor],
        n_sparse: usize,
        sparse: impl FnOnce(&[Tensor]) -> Result<Box<dyn Head>>,
        dense: impl FnOnce(&[Tensor]) -> Result<Box<dyn Head>>,
    ) -> Result<Self> {
        let weights = Tensor::floats(tensors, "pool", &[2])?;
        let valid = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        if !valid || weights.iter().all(|weight| *weight == 0.0) {
            return Err(malformed("has pool weights that are negative, not finite or all 0"));
        }
        let [of_sparse, of_dense] = PREFIXES.map(|prefix| Tensor::with_prefix(tensors, prefix));
        Ok(Self {
            n_sparse: n_sparse as u32,
            sparse: sparse(&of_sparse)?,
            dense: dense(&of_dense)?,
            pool: Pool { sparse: weights[0], dense: weights[1] },
        })
    }
}

impl Head for StackedHead {
    fn n_classes(&self) -> usize {
        self.dense.n_classes()
    }

    fn scores(&self, row: &[(u32, f32)], scratch: &mut HeadScratch, scores: &mut [f64]) {
        // Terms come before the embedding; their own order does not matter.
        let (terms, embedding) =
            row.split_at(row.partition_point(|(column, _)| *column < self.n_sparse));
        let mut shifted = std::mem::take(&mut scratch.shifted);
        shifted.clear();
        shifted.extend(embedding.iter().map(|&(column, value)| (column - self.n_sparse, value)));
        let mut dense = std::mem::take(&mut scratch.dense_scores);
        dense.clear();
        dense.resize(scores.len(), 0.0);
        self.dense.scores(&shifted, scratch, &mut dense);
        self.sparse.scores(terms, scratch, scores);
        self.pool.mix(scores, &dense);
        scratch.shifted = shifted;
        scratch.dense_scores = dense;
    }

    fn is_bounded(&self) -> bool {
        self.sparse.is_bounded() && self.dense.is_bounded()
    }

    fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64> {
        match column.checked_sub(self.n_sparse) {
            None => {
                Some(f64::from(self.pool.sparse) * self.sparse.contribution(column, value, class)?)
            }
            Some(column) => {
                Some(f64::from(self.pool.dense) * self.dense.contribution(column, value, class)?)
            }
        }
    }

    fn intercept(&self, class: usize) -> Option<f64> {
        let mut score = [self.sparse.intercept(class)?];
        self.pool.mix(&mut score, &[self.dense.intercept(class)?]);
        Some(score[0])
    }

    fn tensors(&self) -> Vec<Tensor> {
        let mut tensors =
            vec![Tensor::of_floats("pool", vec![2], vec![self.pool.sparse, self.pool.dense])];
        for (prefix, head) in PREFIXES.into_iter().zip([&self.sparse, &self.dense]) {
            tensors.extend(head.tensors().into_iter().map(|tensor| tensor.prefixed(prefix)));
        }
        tensors
    }
}
