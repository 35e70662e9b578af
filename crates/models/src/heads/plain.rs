//! Fits a head of any kind on one kind of features: every head except a stacked one.

use super::{
    dense, fine_tuned,
    fit_request::FitRequest,
    fitted::{Fitted, HeldOut},
    forest, logistic, naive_bayes, svm,
};
use crate::{HeadKind, ModelSpec};
use botops_features::FeatureKind;
use botops_findings::Result;

/// Fits the head that `request.spec` names.
///
/// # Errors
/// Those of [`super::fitting::fit`].
pub(crate) fn fit(request: FitRequest<'_>) -> Result<Fitted> {
    let FitRequest { rows, n_classes, spec, progress, .. } = request;
    let set = request.training_set();
    let advance = |n| progress.advance(n);
    let class_weight = class_weight(request);
    Ok(match spec.head.kind {
        HeadKind::LinearSvm => {
            Fitted::plain(svm::fit(set, &svm_spec(spec, class_weight), &advance))
        }
        HeadKind::LogisticRegression if uses_linfa(spec) => {
            let head = dense::fit(set, dense_spec(spec))?;
            advance(1);
            Fitted::plain(head)
        }
        HeadKind::LogisticRegression => {
            Fitted::plain(logistic::fit(set, &logistic_spec(spec, class_weight), &advance))
        }
        HeadKind::ComplementNaiveBayes => {
            let head = naive_bayes::fit(set, spec.head.alpha.unwrap_or(1.0), &class_weight);
            advance(1);
            Fitted::plain(head)
        }
        HeadKind::RandomForest => {
            let grown = forest::fit(set, forest_spec(spec), &advance)?;
            // A row that is in every bag has no out-of-bag score.
            let has_vote = |i: &usize| grown.has_vote[*i];
            let unseen: Vec<usize> = (0..rows.len()).filter(has_vote).collect();
            let scores = |&i: &usize| &grown.out_of_bag[i * n_classes..][..n_classes];
            let held_out = HeldOut {
                scores: unseen.iter().flat_map(scores).copied().collect(),
                rows: unseen.iter().map(|&i| rows[i]).collect(),
            };
            Fitted { held_out: Some(held_out), ..Fitted::plain(grown.forest) }
        }
        HeadKind::FineTuned => return fine_tuned::fit(request),
    })
}

/// Fits as [`fit`] does, and returns the scores `[held, n_classes]` of the rows `held`, in their order.
///
/// # Errors
/// Those of [`fit`].
pub(crate) fn fit_and_score(request: FitRequest<'_>, held: &[u32]) -> Result<Vec<f64>> {
    if request.spec.head.kind == HeadKind::LinearSvm {
        // Scoring block by block needs the weights of sixteen intents at a time. The weights of all intents together
        // would be most of the memory.
        let spec = svm_spec(request.spec, class_weight(request));
        let advance = |n| request.progress.advance(n);
        return Ok(svm::fit_and_score(request.training_set(), held, &spec, &advance));
    }
    Ok(fit(request)?.scores(request.x, held))
}

/// Returns the largest number of steps that [`fit`] reports for `spec` and `n_classes` classes.
pub(crate) fn steps(spec: &ModelSpec, n_classes: usize) -> u64 {
    match spec.head.kind {
        HeadKind::LinearSvm => n_classes as u64,
        HeadKind::LogisticRegression if uses_linfa(spec) => 1,
        HeadKind::LogisticRegression => logistic_iterations(spec) as u64,
        HeadKind::RandomForest => forest_spec(spec).n_trees as u64,
        HeadKind::ComplementNaiveBayes | HeadKind::FineTuned => 1,
    }
}

/// Returns whether linfa fits the logistic regression: on embeddings, which are dense, and without class weights, which
/// linfa does not support.
fn uses_linfa(spec: &ModelSpec) -> bool {
    spec.features.kind == FeatureKind::Encoder && spec.head.class_weight.is_none()
}

fn class_weight(request: FitRequest<'_>) -> Vec<f32> {
    let classes = request.training_set().classes();
    request.spec.head.class_weight.weights(classes, request.n_classes)
}

fn dense_spec(spec: &ModelSpec) -> dense::DenseSpec {
    dense::DenseSpec {
        c: spec.head.c.unwrap_or(dense::C),
        max_iterations: logistic_iterations(spec),
        tolerance: spec.head.tolerance.unwrap_or(dense::TOLERANCE),
    }
}

fn logistic_iterations(spec: &ModelSpec) -> usize {
    spec.head.max_iterations.unwrap_or(200)
}

fn svm_spec(spec: &ModelSpec, class_weight: Vec<f32>) -> svm::SvmSpec {
    svm::SvmSpec {
        c: spec.head.c.unwrap_or(1.5),
        class_weight,
        max_iterations: spec.head.max_iterations.unwrap_or(1_000),
        tolerance: spec.head.tolerance.unwrap_or(0.1),
        seed: spec.seed,
    }
}

fn logistic_spec(spec: &ModelSpec, class_weight: Vec<f32>) -> logistic::LogisticSpec {
    logistic::LogisticSpec {
        c: spec.head.c.unwrap_or(30.0),
        class_weight,
        max_iterations: logistic_iterations(spec),
        tolerance: spec.head.tolerance,
        seed: spec.seed,
    }
}

fn forest_spec(spec: &ModelSpec) -> forest::ForestSpec {
    forest::ForestSpec {
        n_trees: spec.head.n_trees.unwrap_or(100),
        max_depth: spec.head.max_depth.unwrap_or(u16::MAX - 1),
        n_features: spec.head.n_features.unwrap_or(2_000),
        seed: spec.seed,
    }
}
