//! A linear head: one row of weights for each feature, scores as their sum.

use super::head::{Head, HeadScratch, Tensor, malformed};
use botops_findings::Result;
use std::sync::Arc;

/// Weights `[n_features, n_classes]` and intercepts `[n_classes]`; score_k = intercept_k + sum_j x_j weight_jk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearHead {
    n_classes: usize,
    /// Shared with the tensors of a model file, so that a head is written and read without a copy of it.
    weights: Arc<Vec<f32>>,
    intercept: Vec<f32>,
}

impl LinearHead {
    /// Makes a head of weights `[n_features, n_classes]` and intercepts `[n_classes]`.
    pub(crate) fn of(weights: Vec<f32>, intercept: Vec<f32>) -> Self {
        let n_classes = intercept.len();
        assert!(weights.len().is_multiple_of(n_classes.max(1)), "whole rows of weights");
        Self { n_classes, weights: Arc::new(weights), intercept }
    }

    /// Takes `weight(feature, class)` and `intercept(class)` for the weights.
    pub(crate) fn new(
        n_features: usize,
        n_classes: usize,
        weight: impl Fn(usize, usize) -> f32,
        intercept: impl Fn(usize) -> f32,
    ) -> Self {
        let mut weights = Vec::with_capacity(n_features * n_classes);
        for feature in 0..n_features {
            weights.extend((0..n_classes).map(|class| weight(feature, class)));
        }
        Self::of(weights, (0..n_classes).map(intercept).collect())
    }

    /// Reads what [`Head::tensors`] gave.
    pub(crate) fn from_tensors(
        tensors: &[Tensor],
        n_features: usize,
        n_classes: usize,
    ) -> Result<Self> {
        let weights = Tensor::shared_floats(tensors, "weights", &[n_features, n_classes])?;
        let intercept = Tensor::floats(tensors, "intercept", &[n_classes])?.to_vec();
        if weights.iter().chain(&intercept).any(|value| !value.is_finite()) {
            return Err(malformed("has a weight that is not finite"));
        }
        Ok(Self { n_classes, weights, intercept })
    }
}

impl Head for LinearHead {
    fn n_classes(&self) -> usize {
        self.n_classes
    }

    fn scores(&self, row: &[(u32, f32)], scratch: &mut HeadScratch, scores: &mut [f64]) {
        let sums = &mut scratch.sums;
        sums.clear();
        sums.extend_from_slice(&self.intercept);
        for &(feature, value) in row {
            add_scaled(sums, value, &self.weights[feature as usize * self.n_classes..]);
        }
        for (score, sum) in scores.iter_mut().zip(sums) {
            *score = f64::from(*sum);
        }
    }

    fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64> {
        Some(f64::from(value * self.weights[column as usize * self.n_classes + class]))
    }

    fn intercept(&self, class: usize) -> Option<f64> {
        Some(f64::from(self.intercept[class]))
    }

    fn tensors(&self) -> Vec<Tensor> {
        let n_features = self.weights.len() / self.n_classes;
        let shape = vec![n_features, self.n_classes];
        vec![
            Tensor::of_floats("intercept", vec![self.n_classes], self.intercept.clone()),
            Tensor::of_shared("weights", shape, Arc::clone(&self.weights)),
        ]
    }
}

/// Adds `scale` times the beginning of `what` to `to`, four numbers at a time.
#[inline]
pub(crate) fn add_scaled(to: &mut [f32], scale: f32, what: &[f32]) {
    let what = &what[..to.len()];
    let (to_fours, to_rest) = to.as_chunks_mut::<4>();
    let (what_fours, what_rest) = what.as_chunks::<4>();
    for (to, what) in to_fours.iter_mut().zip(what_fours) {
        for (to, what) in to.iter_mut().zip(what) {
            *to += scale * what;
        }
    }
    for (to, what) in to_rest.iter_mut().zip(what_rest) {
        *to += scale * what;
    }
}
