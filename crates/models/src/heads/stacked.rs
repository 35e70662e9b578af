//! A head on the terms and a head on the embedding, pooled.
//!
//! The weights of the pool are fitted out of fold, within the rows that are learned from: both heads are fitted
//! without some of these rows and score them. So whoever holds a stacked head out of some rows, holds its weights
//! out of them, too.

use super::{
    head::{Head, HeadScratch, Tensor, malformed},
    pool::{Pool, pooled_unseen},
};
use crate::{
    HeadKind, HeadSpec, ModelSpec, Progress, Resources,
    training::{
        feature_table::Rows,
        folds,
        train::{self, Fitted, HeldOut},
    },
};
use botops_features::{FeatureKind, FeatureSpec};
use botops_findings::Result;

/// Folds of the cross-fitting that weighs the heads.
const FOLDS: usize = 5;
/// Rows that fix two weights to a few hundredths: folds beyond them are not fitted.
const ENOUGH: usize = 2_000;
/// Keeps the folds apart from those of whoever fits this head without some rows.
const STREAM: u64 = 0x57AC;

/// Returns what each of the two heads learns: the one on the terms, then the one on the embedding.
///
/// `head` is that of the terms, and beside it stands a logistic regression on the embedding, whose `c` is `dense_c`;
/// with a fine-tuned encoder, whose layer is a head already, a linear SVM stands beside that.
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

/// Returns how many fits of both heads [`fit`] takes on `n_samples` rows.
pub(crate) fn n_fits(n_samples: usize) -> usize {
    1 + ENOUGH.div_ceil(n_samples.div_ceil(FOLDS).max(1)).min(FOLDS)
}

/// Fits both heads on `rows` of `x`, whose intents are `y[row]`, and the weights of their pool out of fold.
///
/// The rows that weigh the heads are held out of the heads that score them; what is returned as held out is pooled
/// by weights that never saw the row, either.
///
/// # Errors
/// Those of the two heads.
pub(crate) fn fit(
    x: &Rows<'_>,
    rows: &[u32],
    y: &[u32],
    n_classes: usize,
    spec: &ModelSpec,
    resources: Resources<'_>,
    progress: &dyn Progress,
) -> Result<Fitted> {
    let [of_terms, of_embedding] = parts(spec);
    let fit = |x: &Rows<'_>, rows: &[u32], spec: &ModelSpec| {
        train::fit(x, rows, y, n_classes, spec, resources, progress)
    };
    let sparse = fit(&x.terms(), rows, &of_terms)?;
    let dense = fit(&x.embeddings(), rows, &of_embedding)?;
    let (held, terms_say, embeddings_say) = match dense.held_out {
        // A fine-tuned encoder held rows out already, and to fine-tune it once more for others would cost hours.
        Some(HeldOut { rows: held, scores }) => {
            let others: Vec<u32> = rows.iter().copied().filter(|row| !held.contains(row)).collect();
            let x = x.table.matrix(&others).terms();
            let terms = fit(&x, &others, &of_terms)?.scores(&x, &held);
            (held, terms, scores)
        }
        None => {
            let texts: Vec<&str> =
                rows.iter().map(|&row| x.table.data.texts[row as usize]).collect();
            let intents: Vec<u32> = rows.iter().map(|&row| y[row as usize]).collect();
            let groups = folds::groups(&texts, &intents);
            let folds = folds::assign(&groups, &intents, FOLDS, spec.seed ^ STREAM);
            let (mut held, mut terms, mut embeddings) = (Vec::new(), Vec::new(), Vec::new());
            for fold in 0..n_fits(rows.len()) as u32 - 1 {
                let among = |inside: bool| -> Vec<u32> {
                    let chosen = rows.iter().zip(&folds).filter(|(_, f)| (**f == fold) == inside);
                    chosen.map(|(row, _)| *row).collect()
                };
                let (part, others) = (among(true), among(false));
                let x = x.table.matrix(&others);
                let (x_terms, x_embeddings) = (x.terms(), x.embeddings());
                terms.extend(fit(&x_terms, &others, &of_terms)?.scores(&x_terms, &part));
                let fitted = fit(&x_embeddings, &others, &of_embedding)?;
                embeddings.extend(fitted.scores(&x_embeddings, &part));
                held.extend(part);
            }
            (held, terms, embeddings)
        }
    };
    let truth: Vec<usize> = held.iter().map(|&row| y[row as usize] as usize).collect();
    let pool = Pool::fit(&terms_say, &embeddings_say, n_classes, &truth);
    let scores = pooled_unseen(&terms_say, &embeddings_say, n_classes, &truth);
    let head =
        StackedHead { n_sparse: x.n_sparse as u32, sparse: sparse.head, dense: dense.head, pool };
    Ok(Fitted {
        head: Box::new(head),
        encoder: dense.encoder,
        held_out: Some(HeldOut { rows: held, scores }),
    })
}

/// Two heads on the two parts of one row: columns below `n_sparse` are terms, the others the embedding.
///
/// score_k = a * sparse_k + b * dense_k, the weights those of the [`Pool`].
#[derive(Debug)]
pub(crate) struct StackedHead {
    pub(crate) n_sparse: u32,
    pub(crate) sparse: Box<dyn Head>,
    pub(crate) dense: Box<dyn Head>,
    pub(crate) pool: Pool,
}

/// What the tensors of the two heads are called in a model file: these, and then each head's own name.
const PREFIXES: [&str; 2] = ["sparse.", "dense."];

impl StackedHead {
    /// Reads what [`Head::tensors`] gave; `sparse` and `dense` read the two heads.
    ///
    /// # Errors
    /// `BOT-7003` for weights of the pool that never were, and those of the two heads.
    pub(crate) fn from_tensors(
        tensors: &[Tensor],
        n_sparse: usize,
        sparse: impl FnOnce(&[Tensor]) -> Result<Box<dyn Head>>,
        dense: impl FnOnce(&[Tensor]) -> Result<Box<dyn Head>>,
    ) -> Result<Self> {
        let weights = Tensor::floats(tensors, "pool", &[2])?;
        let sound = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        if !sound || weights.iter().all(|weight| *weight == 0.0) {
            return Err(malformed("has a pool of heads whose weights are not above 0"));
        }
        let [of_sparse, of_dense] = PREFIXES.map(|prefix| Tensor::under(tensors, prefix));
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
        // Terms come first in a row, whatever their order among themselves.
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
            tensors.extend(head.tensors().into_iter().map(|tensor| tensor.called(prefix)));
        }
        tensors
    }
}
