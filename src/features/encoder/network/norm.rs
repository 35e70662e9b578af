//! Dropout, residual and layer norm as one operation.

use super::{
    dropout::Mask,
    slices::{floats, numbers, sum_of},
};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Rows that are summed up as one part: fixed, so that threads change no sum.
const ROWS: usize = 64;

/// x and r [n_rows, width], norm [2, width] (its weight g and bias b) to
/// g (s - mean(s)) / sqrt(var(s) + eps) + b, with s = mask(x) + r, each row for itself.
///
/// Only the inputs are kept for the backward pass: s and its moments cost less to compute again than to keep.
/// Source: Ba et al., "Layer Normalization", 2016.
pub(super) struct AddNorm {
    pub(super) eps: f32,
    pub(super) mask: Option<Mask>,
    pub(super) keys: Arc<[u64]>,
}

impl AddNorm {
    /// Writes s, and the mask's factors where there is a mask; returns mean and 1 / standard deviation of s.
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
}

impl CustomOp3 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        r: &CpuStorage,
        r_layout: &Layout,
        norm: &CpuStorage,
        norm_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, width) = x_layout.shape().dims2()?;
        let (x, r) = (floats(x, x_layout)?, floats(r, r_layout)?);
        let (weight, bias) = floats(norm, norm_layout)?.split_at(width);
        let mut y = vec![0.0; x.len()];
        let piece = ROWS * width;
        y.par_chunks_mut(piece)
            .zip(x.par_chunks(piece).zip(r.par_chunks(piece)))
            .enumerate()
            .for_each(|(part, (y, (x, r)))| {
                let mut factors = vec![0.0; width];
                let rows = x.chunks_exact(width).zip(r.chunks_exact(width));
                for ((row, y), (x, r)) in y.chunks_exact_mut(width).enumerate().zip(rows) {
                    let (mean, scale) = self.sum(part * ROWS + row, x, r, y, &mut factors);
                    for ((y, weight), bias) in y.iter_mut().zip(weight).zip(bias) {
                        *y = (*y - mean) * scale * weight + bias;
                    }
                }
            });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        r: &Tensor,
        norm: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, width) = x.dims2()?;
        let grad = grad.contiguous()?;
        let (grad, grad_layout) = grad.storage_and_layout();
        let dy = numbers(&grad, grad_layout)?;
        let (x_storage, x_layout) = x.storage_and_layout();
        let (r_storage, r_layout) = r.storage_and_layout();
        let (norm_storage, norm_layout) = norm.storage_and_layout();
        let (x_values, r_values) = (numbers(&x_storage, x_layout)?, numbers(&r_storage, r_layout)?);
        let weight = &numbers(&norm_storage, norm_layout)?[..width];
        let mut dr = vec![0.0; dy.len()];
        // Without a mask both gradients are the same.
        let mut dx = match self.mask {
            Some(_) => vec![0.0; dy.len()],
            None => Vec::new(),
        };
        let n_parts = dy.len().div_ceil(ROWS * width);
        let dx_parts: Vec<&mut [f32]> = match self.mask {
            Some(_) => dx.chunks_mut(ROWS * width).collect(),
            None => (0..n_parts).map(|_| <&mut [f32]>::default()).collect(),
        };
        let sums: Vec<Vec<f32>> = dr
            .par_chunks_mut(ROWS * width)
            .zip(dx_parts)
            .enumerate()
            .map(|(part, (dr, dx))| {
                let first = part * ROWS;
                let (mut s, mut factors) = (vec![0.0; width], vec![0.0; width]);
                let mut sums = vec![0.0; 2 * width];
                for (row, dr) in dr.chunks_exact_mut(width).enumerate() {
                    let at = (first + row) * width;
                    let (x, r, dy) =
                        (&x_values[at..][..width], &r_values[at..][..width], &dy[at..][..width]);
                    let (mean, scale) = self.sum(first + row, x, r, &mut s, &mut factors);
                    let (d_weight, d_bias) = sums.split_at_mut(width);
                    for i in 0..width {
                        s[i] = (s[i] - mean) * scale;
                        d_weight[i] += dy[i] * s[i];
                        d_bias[i] += dy[i];
                        dr[i] = dy[i] * weight[i];
                    }
                    let n = width as f32;
                    let mean = sum_of(dr, dr, |d, _| d) / n;
                    let along = sum_of(dr, &s, |d, s| d * s) / n;
                    for (d, s) in dr.iter_mut().zip(&s) {
                        *d = (*d - mean - s * along) * scale;
                    }
                    if self.mask.is_some() {
                        let dx = &mut dx[row * width..][..width];
                        for ((dx, d), factor) in dx.iter_mut().zip(dr.iter()).zip(&factors) {
                            *dx = d * factor;
                        }
                    }
                }
                sums
            })
            .collect();
        let d_norm = norm.track_op().then(|| {
            sums.into_iter().fold(vec![0.0; 2 * width], |mut total, part| {
                for (total, part) in total.iter_mut().zip(part) {
                    *total += part;
                }
                total
            })
        });
        let d_norm = d_norm.map(|d| Tensor::from_vec(d, (2, width), norm.device())).transpose()?;
        let dr = Tensor::from_vec(dr, r.shape(), r.device())?;
        let dx = match self.mask {
            Some(_) => Tensor::from_vec(dx, x.shape(), x.device())?,
            None => dr.clone(),
        };
        Ok((x.track_op().then_some(dx), r.track_op().then_some(dr), d_norm))
    }
}
