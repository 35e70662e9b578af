//! Linear layers x W^T + b, forward and backward.

use super::{
    gradients::Sum,
    slices::{for_rows, rows_at_a_time},
};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice, linalg::general_mat_mul};
use rayon::prelude::*;

/// A linear layer with W [outputs, inputs] and b [outputs].
///
/// Threads share the rows; the results do not depend on the number of threads.
#[derive(Clone, Copy)]
pub(super) struct Linear<'a> {
    w: &'a [f32],
    b: &'a [f32],
}

impl<'a> Linear<'a> {
    pub(super) fn new(w: &'a [f32], b: &'a [f32]) -> Self {
        Self { w, b }
    }

    fn outputs(&self) -> usize {
        self.b.len()
    }

    fn inputs(&self) -> usize {
        self.w.len() / self.b.len()
    }

    /// Returns x W^T + b [n_rows, outputs] of x [n_rows, inputs].
    pub(super) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let n_rows = x.len() / inputs;
        let mut y = Vec::with_capacity(n_rows * outputs);
        for _ in 0..n_rows {
            y.extend_from_slice(self.b);
        }
        let w = matrix(self.w, outputs);
        for_rows(&mut y, outputs, |first, y| {
            let rows = y.len() / outputs;
            let x = matrix(&x[first * inputs..][..rows * inputs], rows);
            general_mat_mul(1.0, &x, &w.t(), 1.0, &mut matrix_mut(y, rows));
        });
        y
    }

    /// Returns the gradient of the input, dy W [n_rows, inputs], of dy [n_rows, outputs].
    pub(super) fn back(&self, dy: &[f32]) -> Vec<f32> {
        let mut dx = vec![0.0; dy.len() / self.outputs() * self.inputs()];
        self.add_back(dy, 0.0, &mut dx);
        dx
    }

    /// Replaces dx [n_rows, inputs] by `keep` * dx + dy W, of dy [n_rows, outputs].
    pub(super) fn add_back(&self, dy: &[f32], keep: f32, dx: &mut [f32]) {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let w = matrix(self.w, outputs);
        for_rows(dx, inputs, |first, dx| {
            let rows = dx.len() / inputs;
            let dy = matrix(&dy[first * outputs..][..rows * outputs], rows);
            general_mat_mul(1.0, &dy, &w, keep, &mut matrix_mut(dx, rows));
        });
    }
}

/// Adds dy^T x to the gradient of the weight, and the sum of the rows of dy to that of the bias.
///
/// `dy` is [n_rows, outputs], `x` [n_rows, inputs].
pub(super) fn add_gradients(dy: &[f32], x: &[f32], weight: &mut Sum, bias: &mut Sum) {
    let (keep, dw) = weight.begin();
    let (_, db) = bias.begin_at_zero();
    let (outputs, inputs) = (db.len(), dw.len() / db.len());
    let n_rows = dy.len() / outputs;
    let (x, dy_rows) = (matrix(x, n_rows), matrix(dy, n_rows));
    let columns = rows_at_a_time(outputs);
    dw.par_chunks_mut(columns * inputs).zip(db.par_chunks_mut(columns)).enumerate().for_each(
        |(piece, (dw, db))| {
            let columns = piece * columns..piece * columns + db.len();
            let dy_part = dy_rows.slice_axis(Axis(1), Slice::from(columns.clone()));
            general_mat_mul(1.0, &dy_part.t(), &x, keep, &mut matrix_mut(dw, db.len()));
            for dy in dy.chunks_exact(outputs) {
                for (sum, dy) in db.iter_mut().zip(&dy[columns.clone()]) {
                    *sum += dy;
                }
            }
        },
    );
}

/// Returns `values` as a matrix of `n_rows` rows.
pub(super) fn matrix(values: &[f32], n_rows: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((n_rows, values.len() / n_rows), values)
        .expect("all rows have the same width")
}

/// Returns `values` as a mutable matrix of `n_rows` rows.
pub(super) fn matrix_mut(values: &mut [f32], n_rows: usize) -> ArrayViewMut2<'_, f32> {
    let width = values.len() / n_rows;
    ArrayViewMut2::from_shape((n_rows, width), values).expect("all rows have the same width")
}
