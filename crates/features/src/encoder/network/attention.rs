//! Scaled dot-product attention within each packed text, forward and backward.

use super::{
    activation::exp_of_negative,
    dropout::Mask,
    linear::{matrix, matrix_mut},
    packed::Span,
    slices::sum_of,
};
use ndarray::{ArrayView2, Axis, Slice, linalg::general_mat_mul};
use rayon::prelude::*;
use std::ops::Range;

/// The attention mask(softmax(Q K^T / sqrt(head_size))) V of each text and head.
///
/// The input is [n_rows, 3 width]: queries, keys and values, each head by head. The output is
/// [n_rows, width]. There is no padding. The backward pass computes the attention weights again instead of
/// keeping them. Threads share the texts.
/// Source: Vaswani et al., "Attention Is All You Need", 2017.
pub(super) struct Attention<'a> {
    pub(super) spans: &'a [Span],
    pub(super) n_heads: usize,
    pub(super) mask: Option<Mask>,
}

/// The attention weights of one head of one text.
#[derive(Default)]
struct Weights {
    /// The softmax, [len, len].
    softmax: Vec<f32>,
    /// The factors of the mask, [len, len]; empty without a mask.
    factors: Vec<f32>,
}

impl Attention<'_> {
    /// Returns the columns of head `head` in the queries, the keys and the values.
    fn columns(&self, width: usize, head: usize) -> [Range<usize>; 3] {
        let size = width / self.n_heads;
        [0, 1, 2].map(|part| part * width + head * size..part * width + (head + 1) * size)
    }

    /// Computes the attention weights of a text and head; `key` is the key of the text.
    fn weigh(&self, qkv: &ArrayView2<'_, f32>, key: u64, head: usize, weights: &mut Weights) {
        let (len, width) = (qkv.nrows(), qkv.ncols() / 3);
        let [q, k, _] = self.columns(width, head);
        let scale = 1.0 / (q.len() as f32).sqrt();
        weights.softmax.resize(len * len, 0.0);
        let mut scores = matrix_mut(&mut weights.softmax, len);
        general_mat_mul(scale, &part(qkv, q), &part(qkv, k).t(), 0.0, &mut scores);
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
    fn rows_of<'o>(&self, mut out: &'o mut [f32], width: usize) -> Vec<(Span, &'o mut [f32])> {
        let mut parts = Vec::with_capacity(self.spans.len());
        for &span in self.spans {
            let (part, rest) = std::mem::take(&mut out).split_at_mut(span.len * width);
            parts.push((span, part));
            out = rest;
        }
        parts
    }

    /// Returns the output, [n_rows, width].
    pub(super) fn forward(&self, qkv: &[f32], width: usize) -> Vec<f32> {
        let mut out = vec![0.0; qkv.len() / 3];
        self.rows_of(&mut out, width).into_par_iter().for_each(|(span, out)| {
            let qkv = rows(qkv, span, 3 * width);
            let mut out = matrix_mut(out, span.len);
            let mut weights = Weights::default();
            for head in 0..self.n_heads {
                self.weigh(&qkv, span.key, head, &mut weights);
                multiply(&mut weights.softmax, &weights.factors);
                let [q, _, v] = self.columns(width, head);
                let weights = matrix(&weights.softmax, span.len);
                let mut out = out.slice_axis_mut(Axis(1), Slice::from(q));
                general_mat_mul(1.0, &weights, &part(&qkv, v), 0.0, &mut out);
            }
        });
        out
    }

    /// Returns the gradient of `qkv` [n_rows, 3 width], given that of the output [n_rows, width].
    pub(super) fn back(&self, qkv: &[f32], dy: &[f32], width: usize) -> Vec<f32> {
        let mut out = vec![0.0; qkv.len()];
        self.rows_of(&mut out, 3 * width).into_par_iter().for_each(|(span, out)| {
            let (qkv, dy) = (rows(qkv, span, 3 * width), rows(dy, span, width));
            let (len, mut out) = (span.len, matrix_mut(out, span.len));
            let (mut weights, mut dropped) = (Weights::default(), Vec::new());
            let mut d = vec![0.0; len * len];
            let mut put = |columns: Range<usize>,
                           scale: f32,
                           a: &ArrayView2<'_, f32>,
                           b: &ArrayView2<'_, f32>| {
                let mut out = out.slice_axis_mut(Axis(1), Slice::from(columns));
                general_mat_mul(scale, a, b, 0.0, &mut out);
            };
            for head in 0..self.n_heads {
                self.weigh(&qkv, span.key, head, &mut weights);
                let [q, k, v] = self.columns(width, head);
                let dy = part(&dy, q.clone());
                dropped.clone_from(&weights.softmax);
                multiply(&mut dropped, &weights.factors);
                // dV = A^T dO, with A the weights after dropout; dA = dO V^T.
                put(v.clone(), 1.0, &matrix(&dropped, len).t(), &dy);
                general_mat_mul(1.0, &dy, &part(&qkv, v).t(), 0.0, &mut matrix_mut(&mut d, len));
                multiply(&mut d, &weights.factors);
                // For a row p of the softmax: ds = p (dp - sum(dp p)).
                for (d, p) in d.chunks_exact_mut(len).zip(weights.softmax.chunks_exact(len)) {
                    let along = sum_of(d, p, |d, p| d * p);
                    for (d, p) in d.iter_mut().zip(p) {
                        *d = p * (*d - along);
                    }
                }
                let (scale, d) = (1.0 / (q.len() as f32).sqrt(), matrix(&d, len));
                let (queries, keys) = (part(&qkv, q.clone()), part(&qkv, k.clone()));
                put(q, scale, &d, &keys);
                put(k, scale, &d.t(), &queries);
            }
        });
        out
    }
}

/// Multiplies `values` by the factors of a mask; `factors` is empty without one.
fn multiply(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}

/// Returns some columns of a matrix.
fn part<'a>(matrix: &'a ArrayView2<'_, f32>, columns: Range<usize>) -> ArrayView2<'a, f32> {
    matrix.slice_axis(Axis(1), Slice::from(columns))
}

/// Returns the rows of a text.
fn rows(values: &[f32], span: Span, width: usize) -> ArrayView2<'_, f32> {
    matrix(&values[span.start * width..][..span.len * width], span.len)
}
