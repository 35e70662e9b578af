//! Softmax over the rows of a matrix of scores.

use super::{activation, simd::vectorised};
use pulp::{Simd, WithSimd};

/// Replaces the first `n_columns` of each row of `scores` by softmax(scale * row), in place.
///
/// Rows begin every `stride` values; `scale` is positive. The largest score is subtracted first, so that no
/// exponential overflows. Each row sums to 1.
pub(in crate::encoder) fn softmax(scores: &mut [f32], stride: usize, n_columns: usize, scale: f32) {
    vectorised(Softmax { scores, stride, n_columns, scale });
}

struct Softmax<'a> {
    scores: &'a mut [f32],
    stride: usize,
    n_columns: usize,
    scale: f32,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scale = simd.splat_f32s(self.scale);
        for row in self.scores.chunks_mut(self.stride) {
            let row = &mut row[..self.n_columns];
            let largest = largest(simd, row);
            // exp(scale * (x - largest))
            let shift = simd.splat_f32s(-largest * self.scale);
            activation::each(
                simd,
                row,
                #[inline(always)]
                |x| activation::exp(simd, simd.mul_add_e_f32s(x, scale, shift)),
            );
            let share = simd.splat_f32s(1.0 / sum(simd, row));
            activation::each(
                simd,
                row,
                #[inline(always)]
                |x| simd.mul_f32s(x, share),
            );
        }
    }
}

/// Returns the largest value of `row`.
#[inline(always)]
fn largest<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let least = simd.splat_f32s(f32::MIN);
    let largest = vectors.iter().fold(least, |largest, vector| simd.max_f32s(largest, *vector));
    rest.iter().fold(simd.reduce_max_f32s(largest), |largest, value| largest.max(*value))
}

/// Returns the sum of `row`: first within lanes, then across lanes, then the rest.
#[inline(always)]
pub(super) fn sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(row);
    let sums =
        vectors.iter().fold(simd.splat_f32s(0.0), |sums, vector| simd.add_f32s(sums, *vector));
    rest.iter().fold(simd.reduce_sum_f32s(sums), |sum, value| sum + value)
}
