//! A linear head: scores are weighted sums of the features.

use super::head::{Head, HeadScratch, Tensor, malformed};
use botops_findings::Result;
use std::sync::Arc;

/// The largest possible score of a row of length 1. Trained heads stay below 1e4, and `f32` overflows at 3e38.
const LARGEST_SCORE: f64 = 1e30;

/// Weights `[n_features, n_classes]` and intercepts `[n_classes]`; score_k = intercept_k + sum_j x_j weight_jk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearHead {
    n_classes: usize,
    /// Shared with the tensors of a model file, so writing and reading a head does not copy them.
    weights: Arc<Vec<f32>>,
    intercept: Vec<f32>,
}

impl LinearHead {
    /// Makes a head from weights `[n_features, n_classes]` and intercepts `[n_classes]`.
    pub(crate) fn of(weights: Vec<f32>, intercept: Vec<f32>) -> Self {
        let n_classes = intercept.len();
        assert!(
            weights.len().is_multiple_of(n_classes.max(1)),
            "every feature has a weight for each class"
        );
        Self { n_classes, weights: Arc::new(weights), intercept }
    }

    /// Makes a head whose weights are `weight(feature, class)` and whose intercepts are `intercept(class)`.
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

    /// Reads the tensors that [`Head::tensors`] returned.
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

    fn is_bounded(&self) -> bool {
        // |sum_j x_j w_jk| is at most the length of the weights of class k, for a row of length 1.
        let mut squares = vec![0.0_f64; self.n_classes];
        for row in self.weights.chunks_exact(self.n_classes.max(1)) {
            for (square, weight) in squares.iter_mut().zip(row) {
                *square += f64::from(*weight).powi(2);
            }
        }
        squares
            .iter()
            .zip(&self.intercept)
            .all(|(square, intercept)| square.sqrt() + f64::from(intercept.abs()) < LARGEST_SCORE)
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

/// Adds `scale` times the first values of `from` to `to`, four at a time.
#[inline]
fn add_scaled(to: &mut [f32], scale: f32, from: &[f32]) {
    let from = &from[..to.len()];
    let (to_fours, to_rest) = to.as_chunks_mut::<4>();
    let (from_fours, from_rest) = from.as_chunks::<4>();
    for (to, from) in to_fours.iter_mut().zip(from_fours) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += scale * from;
        }
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to += scale * from;
    }
}
