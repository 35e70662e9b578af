//! A linear head: one row of weights for each feature, scores as their sum.

use super::head::{Head, HeadScratch, Tensor, malformed};
use crate::findings::Result;

/// Classes are padded to a multiple of this, so that a row of weights is whole vector registers.
const PAD: usize = 8;

/// Weights `[n_features, n_classes]` and intercepts `[n_classes]`; score_k = intercept_k + sum_j x_j weight_jk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LinearHead {
    n_classes: usize,
    stride: usize,
    weights: Vec<f32>,
    intercept: Vec<f32>,
}

impl LinearHead {
    /// Takes `weight(feature, class)` and `intercept(class)` for the weights.
    pub(super) fn new(
        n_features: usize,
        n_classes: usize,
        weight: impl Fn(usize, usize) -> f32,
        intercept: impl Fn(usize) -> f32,
    ) -> Self {
        let stride = n_classes.next_multiple_of(PAD);
        let mut weights = vec![0.0; n_features * stride];
        for (feature, row) in weights.chunks_exact_mut(stride).enumerate() {
            for (class, value) in row[..n_classes].iter_mut().enumerate() {
                *value = weight(feature, class);
            }
        }
        let mut intercepts = vec![0.0; stride];
        for (class, value) in intercepts[..n_classes].iter_mut().enumerate() {
            *value = intercept(class);
        }
        Self { n_classes, stride, weights, intercept: intercepts }
    }

    /// Reads what [`Head::tensors`] gave.
    pub(super) fn from_tensors(
        tensors: &[Tensor],
        n_features: usize,
        n_classes: usize,
    ) -> Result<Self> {
        let weights = Tensor::floats(tensors, "weights", &[n_features, n_classes])?;
        let intercept = Tensor::floats(tensors, "intercept", &[n_classes])?;
        if weights.iter().chain(intercept).any(|value| !value.is_finite()) {
            return Err(malformed("has a weight that is not finite"));
        }
        let stride = n_classes.next_multiple_of(PAD);
        let mut padded = vec![0.0; n_features * stride];
        for (to, from) in padded.chunks_exact_mut(stride).zip(weights.chunks_exact(n_classes)) {
            to[..n_classes].copy_from_slice(from);
        }
        let mut intercepts = intercept.to_vec();
        intercepts.resize(stride, 0.0);
        Ok(Self { n_classes, stride, weights: padded, intercept: intercepts })
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
            let start = feature as usize * self.stride;
            let weights = &self.weights[start..start + self.stride];
            for (sums, weights) in sums.chunks_exact_mut(PAD).zip(weights.chunks_exact(PAD)) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
        for (score, sum) in scores.iter_mut().zip(sums) {
            *score = f64::from(*sum);
        }
    }

    fn contribution(&self, column: u32, value: f32, class: usize) -> Option<f64> {
        Some(f64::from(value * self.weights[column as usize * self.stride + class]))
    }

    fn intercept(&self, class: usize) -> Option<f64> {
        Some(f64::from(self.intercept[class]))
    }

    fn tensors(&self) -> Vec<Tensor> {
        let weights = self
            .weights
            .chunks_exact(self.stride)
            .flat_map(|row| row[..self.n_classes].iter().copied())
            .collect();
        let n_features = self.weights.len() / self.stride;
        vec![
            Tensor::of_floats(
                "intercept",
                vec![self.n_classes],
                self.intercept[..self.n_classes].to_vec(),
            ),
            Tensor::of_floats("weights", vec![n_features, self.n_classes], weights),
        ]
    }
}
