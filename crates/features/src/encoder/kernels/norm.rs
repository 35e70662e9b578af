//! Layer normalization.

use super::{simd::vectorised, softmax::sum};
use pulp::{Simd, WithSimd};

/// The weight and bias of a layer norm, each [hidden_size].
pub(in crate::encoder) struct Norm {
    pub(in crate::encoder) weight: Vec<f32>,
    pub(in crate::encoder) bias: Vec<f32>,
    pub(in crate::encoder) epsilon: f32,
}

impl Norm {
    /// Replaces each row x of `rows` [.., hidden_size] by (x - mean) / sqrt(variance + epsilon) * weight + bias.
    ///
    /// The variance is that of the population, computed from the deviations (Ba et al., "Layer Normalization", 2016).
    pub(in crate::encoder) fn apply(&self, rows: &mut [f32]) {
        vectorised(Apply { norm: self, rows });
    }
}

struct Apply<'a> {
    norm: &'a Norm,
    rows: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Norm { weight, bias, epsilon } = self.norm;
        let share = 1.0 / weight.len() as f32;
        let (weights, weights_left) = S::as_simd_f32s(weight);
        let (biases, biases_left) = S::as_simd_f32s(bias);
        for row in self.rows.chunks_exact_mut(weight.len()) {
            let mean = sum(simd, row) * share;
            let means = simd.splat_f32s(mean);
            let (vectors, rest) = S::as_mut_simd_f32s(row);
            let mut squares = simd.splat_f32s(0.0);
            for vector in vectors.iter_mut() {
                *vector = simd.sub_f32s(*vector, means);
                squares = simd.mul_add_e_f32s(*vector, *vector, squares);
            }
            let mut square = simd.reduce_sum_f32s(squares);
            for value in rest.iter_mut() {
                *value -= mean;
                square += *value * *value;
            }
            let scale = 1.0 / (square * share + epsilon).sqrt();
            let scales = simd.splat_f32s(scale);
            for ((vector, weight), bias) in vectors.iter_mut().zip(weights).zip(biases) {
                *vector = simd.mul_add_e_f32s(simd.mul_f32s(*vector, scales), *weight, *bias);
            }
            for ((value, weight), bias) in rest.iter_mut().zip(weights_left).zip(biases_left) {
                *value = *value * scale * weight + bias;
            }
        }
    }
}
