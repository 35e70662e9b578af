//! Dropout, residual connection and layer norm in one operation, forward and backward.

use super::{dropout::Mask, gradients::Sum, slices::sum_of};
use rayon::prelude::*;

/// The number of rows summed as one part: fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 64;

/// The operation g (s - mean(s)) / sqrt(var(s) + eps) + b with s = mask(x) + r, row by row.
///
/// x and r are [n_rows, width]. Only they are kept for the backward pass: computing s and its moments again
/// costs less than keeping them.
/// Source: Ba et al., "Layer Normalization", 2016.
#[derive(Clone, Copy)]
pub(super) struct AddNorm<'a> {
    /// The weight g and the bias b, [2, width].
    pub(super) norm: &'a [f32],
    pub(super) eps: f32,
    /// Row i of x is row `keys[i]` of the mask.
    pub(super) mask: Option<Mask>,
    pub(super) keys: &'a [u64],
}

/// The gradients of the inputs of [`AddNorm`].
pub(super) struct Back {
    pub(super) dr: Vec<f32>,
    /// `None` without a mask: the same as `dr`.
    pub(super) dx: Option<Vec<f32>>,
}

impl AddNorm<'_> {
    fn width(&self) -> usize {
        self.norm.len() / 2
    }

    /// Writes s, and the factors of the mask if there is one; returns the mean and 1 / standard deviation of s.
    fn sum(
        &self,
        row: usize,
        x: &[f32],
        r: &[f32],
        s: &mut [f32],
        factors: &mut [f32],
    ) -> (f32, f32) {
        match &self.mask {
            None => {
                for ((s, x), r) in s.iter_mut().zip(x).zip(r) {
                    *s = x + r;
                }
            }
            Some(mask) => {
                mask.fill(self.keys[row], factors);
                for (((s, x), r), factor) in s.iter_mut().zip(x).zip(r).zip(factors.iter()) {
                    *s = x * factor + r;
                }
            }
        }
        let n = s.len() as f32;
        let mean = sum_of(s, s, |s, _| s) / n;
        let variance = sum_of(s, s, |s, _| (s - mean) * (s - mean)) / n;
        (mean, 1.0 / (variance + self.eps).sqrt())
    }

    /// Returns the normalized rows.
    pub(super) fn forward(&self, x: &[f32], r: &[f32]) -> Vec<f32> {
        let width = self.width();
        let (weight, bias) = self.norm.split_at(width);
        let mut y = vec![0.0; x.len()];
        let piece = ROWS * width;
        let inputs = x.par_chunks(piece).zip(r.par_chunks(piece));
        y.par_chunks_mut(piece).zip(inputs).enumerate().for_each(|(part, (y, (x, r)))| {
            let mut factors = vec![0.0; width];
            let rows = x.chunks_exact(width).zip(r.chunks_exact(width));
            for ((row, y), (x, r)) in y.chunks_exact_mut(width).enumerate().zip(rows) {
                let (mean, scale) = self.sum(part * ROWS + row, x, r, y, &mut factors);
                for ((y, weight), bias) in y.iter_mut().zip(weight).zip(bias) {
                    *y = (*y - mean) * scale * weight + bias;
                }
            }
        });
        y
    }

    /// Returns the gradients of x and r, and adds that of the norm, [2, width], to `d_norm` if it is trained.
    ///
    /// With n the normalized row and d = g dy: dr = (d - mean(d) - n mean(d n)) / deviation, dx = mask(dr).
    pub(super) fn back(&self, x: &[f32], r: &[f32], dy: &[f32], d_norm: Option<&mut Sum>) -> Back {
        let width = self.width();
        let weight = &self.norm[..width];
        let piece = ROWS * width;
        let mut dr = vec![0.0; dy.len()];
        // Without a mask both gradients are equal.
        let mut dx = vec![0.0; if self.mask.is_some() { dy.len() } else { 0 }];
        let mut dx_parts: Vec<&mut [f32]> = dx.chunks_mut(piece).collect();
        dx_parts.resize_with(dy.len().div_ceil(piece), Default::default);
        let inputs = x.par_chunks(piece).zip(r.par_chunks(piece)).zip(dy.par_chunks(piece));
        let sums: Vec<Vec<f32>> = dr
            .par_chunks_mut(piece)
            .zip(dx_parts)
            .zip(inputs)
            .enumerate()
            .map(|(part, ((dr, dx), ((x, r), dy)))| {
                let (mut n, mut factors) = (vec![0.0; width], vec![0.0; width]);
                let mut sums = vec![0.0; 2 * width];
                let (d_weight, d_bias) = sums.split_at_mut(width);
                for (row, dr) in dr.chunks_exact_mut(width).enumerate() {
                    let [x, r, dy] = [x, r, dy].map(|all| &all[row * width..][..width]);
                    let (mean, scale) = self.sum(part * ROWS + row, x, r, &mut n, &mut factors);
                    for i in 0..width {
                        n[i] = (n[i] - mean) * scale;
                        d_weight[i] += dy[i] * n[i];
                        d_bias[i] += dy[i];
                        dr[i] = dy[i] * weight[i];
                    }
                    let count = width as f32;
                    let mean = sum_of(dr, dr, |d, _| d) / count;
                    let along = sum_of(dr, &n, |d, n| d * n) / count;
                    for (d, n) in dr.iter_mut().zip(&n) {
                        *d = (*d - mean - n * along) * scale;
                    }
                    let dx = dx.get_mut(row * width..).unwrap_or_default();
                    for ((dx, d), factor) in dx.iter_mut().zip(dr.iter()).zip(&factors) {
                        *dx = d * factor;
                    }
                }
                sums
            })
            .collect();
        if let Some(d_norm) = d_norm {
            sums.iter().for_each(|part| d_norm.add(part));
        }
        Back { dr, dx: self.mask.is_some().then_some(dx) }
    }
}
