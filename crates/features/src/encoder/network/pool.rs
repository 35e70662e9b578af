//! Pooling of a text's token vectors into one vector, forward and backward.

use super::{super::Pooling, packed::Span};
use std::ops::Range;

/// Returns the rows of a text that are pooled, and the share of each.
fn share(pooling: Pooling, span: Span) -> (Range<usize>, f32) {
    match pooling {
        Pooling::Mean => (span.start..span.start + span.len, 1.0 / span.len as f32),
        Pooling::Cls => (span.start..span.start + 1, 1.0),
    }
}

/// Returns one vector of each text, [n_texts, width], of x [n_rows, width].
pub(super) fn forward(pooling: Pooling, spans: &[Span], x: &[f32], width: usize) -> Vec<f32> {
    let mut y = vec![0.0; spans.len() * width];
    for (y, &span) in y.chunks_exact_mut(width).zip(spans) {
        let (rows, share) = share(pooling, span);
        for row in rows {
            for (y, x) in y.iter_mut().zip(&x[row * width..]) {
                *y += x * share;
            }
        }
    }
    y
}

/// Returns the gradient of x [n_rows, width], given that of the texts' vectors [n_texts, width].
pub(super) fn back(pooling: Pooling, spans: &[Span], dy: &[f32], n_rows: usize) -> Vec<f32> {
    let width = dy.len() / spans.len();
    let mut dx = vec![0.0; n_rows * width];
    for (dy, &span) in dy.chunks_exact(width).zip(spans) {
        let (rows, share) = share(pooling, span);
        for row in rows {
            for (dx, dy) in dx[row * width..].iter_mut().zip(dy) {
                *dx = dy * share;
            }
        }
    }
    dx
}
