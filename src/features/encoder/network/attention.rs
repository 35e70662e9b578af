//! Scaled dot-product attention of packed texts, each within itself, as one operation.

use super::{
    activation::exp_of_negative,
    dropout::Mask,
    packed::Span,
    slices::{floats, numbers, sum_of},
};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice, linalg::general_mat_mul};
use rayon::prelude::*;
use std::sync::Arc;

/// [n_rows, 3 width] (queries, keys, values; heads side by side in each) to [n_rows, width]:
/// mask(softmax(Q K^T / sqrt(head_size))) V for each text and head.
///
/// There is no padding to compute or to mask, and the weights of the attention are computed again by the
/// backward pass, not kept. Texts are shared out among threads.
/// Source: Vaswani et al., "Attention Is All You Need", 2017.
pub(super) struct Attention {
    pub(super) spans: Arc<[Span]>,
    pub(super) n_heads: usize,
    pub(super) mask: Option<Mask>,
}

/// The attention of one head of one text.
struct Weights {
    /// The softmax, [len, len].
    softmax: Vec<f32>,
    /// The mask's factors, as many; empty without a mask.
    factors: Vec<f32>,
}

impl Attention {
    /// The columns of head `head`: of the queries, the keys, the values.
    fn columns(&self, width: usize, head: usize) -> [std::ops::Range<usize>; 3] {
        let size = width / self.n_heads;
        [0, 1, 2].map(|part| part * width + head * size..part * width + (head + 1) * size)
    }

    fn weigh(&self, qkv: &ArrayView2<'_, f32>, key: u64, head: usize, weights: &mut Weights) {
        let (len, width) = (qkv.nrows(), qkv.ncols() / 3);
        let [q, k, _] = self.columns(width, head);
        let scale = 1.0 / (q.len() as f32).sqrt();
        let (q, k) =
            (qkv.slice_axis(Axis(1), Slice::from(q)), qkv.slice_axis(Axis(1), Slice::from(k)));
        weights.softmax.resize(len * len, 0.0);
        let mut scores = square(&mut weights.softmax, len);
        general_mat_mul(scale, &q, &k.t(), 0.0, &mut scores);
        for row in weights.softmax.chunks_exact_mut(len) {
            let most = row.iter().fold(f32::NEG_INFINITY, |most, &score| most.max(score));
            for score in row.iter_mut() {
                *score = exp_of_negative(*score - most);
            }
            let scale = 1.0 / sum_of(row, row, |e, _| e);
            for weight in row {
                *weight *= scale;
            }
        }
        if let Some(mask) = &self.mask {
            weights.factors.resize(len * len, 0.0);
            mask.fill(key * self.n_heads as u64 + head as u64, &mut weights.factors);
        }
    }

    /// Pairs each text with its rows of `out`, `width` wide.
    fn rows_of<'a>(&self, mut out: &'a mut [f32], width: usize) -> Vec<(Span, &'a mut [f32])> {
        let mut parts = Vec::with_capacity(self.spans.len());
        for &span in self.spans.iter() {
            let (part, rest) = std::mem::take(&mut out).split_at_mut(span.len * width);
            parts.push((span, part));
            out = rest;
        }
        parts
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n_rows, triple) = layout.shape().dims2()?;
        let width = triple / 3;
        let qkv = floats(qkv, layout)?;
        let mut out = vec![0.0; n_rows * width];
        self.rows_of(&mut out, width).into_par_iter().for_each(|(span, out)| {
            let qkv = rows(qkv, span, triple);
            let mut out = whole(out, span.len);
            let mut weights = Weights { softmax: Vec::new(), factors: Vec::new() };
            for head in 0..self.n_heads {
                self.weigh(&qkv, span.key, head, &mut weights);
                multiply(&mut weights.softmax, &weights.factors);
                let [q, _, v] = self.columns(width, head);
                let weights = square_of(&weights.softmax, span.len);
                let v = qkv.slice_axis(Axis(1), Slice::from(v));
                general_mat_mul(
                    1.0,
                    &weights,
                    &v,
                    0.0,
                    &mut out.slice_axis_mut(Axis(1), Slice::from(q)),
                );
            }
        });
        Ok((CpuStorage::F32(out), (n_rows, width).into()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        if !arg.track_op() {
            return Ok(None);
        }
        let (n_rows, triple) = arg.dims2()?;
        let width = triple / 3;
        let grad = grad.contiguous()?;
        let (grad, grad_layout) = grad.storage_and_layout();
        let (storage, layout) = arg.storage_and_layout();
        let (qkv, grad) = (numbers(&storage, layout)?, numbers(&grad, grad_layout)?);
        let mut out = vec![0.0; n_rows * triple];
        self.rows_of(&mut out, triple).into_par_iter().for_each(|(span, out)| {
            let (qkv, grad) = (rows(qkv, span, triple), rows(grad, span, width));
            let (len, mut out) = (span.len, whole(out, span.len));
            let mut weights = Weights { softmax: Vec::new(), factors: Vec::new() };
            let mut d = vec![0.0; len * len];
            let mut dropped = Vec::new();
            for head in 0..self.n_heads {
                self.weigh(&qkv, span.key, head, &mut weights);
                let [q, k, v] = self.columns(width, head);
                let grad = grad.slice_axis(Axis(1), Slice::from(q.clone()));
                dropped.clone_from(&weights.softmax);
                multiply(&mut dropped, &weights.factors);
                // dV = A^T dO, with A the weights after dropout; dA = dO V^T.
                let a = square_of(&dropped, len);
                general_mat_mul(
                    1.0,
                    &a.t(),
                    &grad,
                    0.0,
                    &mut out.slice_axis_mut(Axis(1), Slice::from(v.clone())),
                );
                general_mat_mul(
                    1.0,
                    &grad,
                    &qkv.slice_axis(Axis(1), Slice::from(v)).t(),
                    0.0,
                    &mut square(&mut d, len),
                );
                multiply(&mut d, &weights.factors);
                // Of a row of the softmax p: ds = p (dp - sum(dp p)).
                for (d, p) in d.chunks_exact_mut(len).zip(weights.softmax.chunks_exact(len)) {
                    let along = sum_of(d, p, |d, p| d * p);
                    for (d, p) in d.iter_mut().zip(p) {
                        *d = p * (*d - along);
                    }
                }
                let scale = 1.0 / (q.len() as f32).sqrt();
                let d = square_of(&d, len);
                let (queries, keys) = (
                    qkv.slice_axis(Axis(1), Slice::from(q.clone())),
                    qkv.slice_axis(Axis(1), Slice::from(k.clone())),
                );
                general_mat_mul(
                    scale,
                    &d,
                    &keys,
                    0.0,
                    &mut out.slice_axis_mut(Axis(1), Slice::from(q)),
                );
                general_mat_mul(
                    scale,
                    &d.t(),
                    &queries,
                    0.0,
                    &mut out.slice_axis_mut(Axis(1), Slice::from(k)),
                );
            }
        });
        Ok(Some(Tensor::from_vec(out, (n_rows, triple), arg.device())?))
    }
}

/// Multiplies by the factors of a mask, if there are any.
fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

fn rows(values: &[f32], span: Span, width: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((span.len, width), &values[span.start * width..][..span.len * width])
        .expect("a text's rows are as many as its tokens")
}

fn whole(values: &mut [f32], n_rows: usize) -> ArrayViewMut2<'_, f32> {
    let width = values.len() / n_rows.max(1);
    ArrayViewMut2::from_shape((n_rows, width), values).expect("the rows fill the slice")
}

fn square(values: &mut [f32], len: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((len, len), values).expect("a square of scores")
}

fn square_of(values: &[f32], len: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((len, len), values).expect("a square of scores")
}
