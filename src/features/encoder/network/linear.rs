//! x W^T + b as one operation.

use super::slices::{floats, for_rows, numbers, rows_at_a_time};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice, linalg::general_mat_mul};
use rayon::prelude::*;

/// x [n_rows, inputs], W [outputs, inputs], b [outputs] to x W^T + b [n_rows, outputs].
///
/// Candle's own product needs a transposed view of W, whose gradient it then adds up number by number through
/// strides; this one writes dW = dy^T x where it belongs. Rows are shared out among threads; what a row or a
/// weight comes to does not depend on how.
pub(super) struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n_rows, inputs) = x_layout.shape().dims2()?;
        let (outputs, _) = w_layout.shape().dims2()?;
        let (x, w, b) = (floats(x, x_layout)?, floats(w, w_layout)?, floats(b, b_layout)?);
        let mut y = Vec::with_capacity(n_rows * outputs);
        for _ in 0..n_rows {
            y.extend_from_slice(b);
        }
        let w = matrix(w, outputs, inputs);
        for_rows(&mut y, outputs, |first, y| {
            let rows = y.len() / outputs;
            let x = matrix(&x[first * inputs..][..rows * inputs], rows, inputs);
            general_mat_mul(1.0, &x, &w.t(), 1.0, &mut matrix_mut(y, rows, outputs));
        });
        Ok((CpuStorage::F32(y), (n_rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n_rows, inputs) = x.dims2()?;
        let (outputs, _) = w.dims2()?;
        let grad = grad.contiguous()?;
        let (grad, grad_layout) = grad.storage_and_layout();
        let dy = numbers(&grad, grad_layout)?;
        let dx = match x.track_op() {
            false => None,
            true => {
                let (w, w_layout) = w.storage_and_layout();
                let w = matrix(numbers(&w, w_layout)?, outputs, inputs);
                let mut dx = vec![0.0; n_rows * inputs];
                for_rows(&mut dx, inputs, |first, dx| {
                    let rows = dx.len() / inputs;
                    let dy = matrix(&dy[first * outputs..][..rows * outputs], rows, outputs);
                    general_mat_mul(1.0, &dy, &w, 0.0, &mut matrix_mut(dx, rows, inputs));
                });
                Some(Tensor::from_vec(dx, (n_rows, inputs), x.device())?)
            }
        };
        if !w.track_op() {
            return Ok((dx, None, None));
        }
        let (x_storage, x_layout) = x.storage_and_layout();
        let x_rows = matrix(numbers(&x_storage, x_layout)?, n_rows, inputs);
        let dy_rows = matrix(dy, n_rows, outputs);
        let mut dw = vec![0.0; outputs * inputs];
        let mut db = vec![0.0; outputs];
        let columns = rows_at_a_time(outputs);
        dw.par_chunks_mut(columns * inputs).zip(db.par_chunks_mut(columns)).enumerate().for_each(
            |(piece, (dw, db))| {
                let (first, n) = (piece * columns, db.len());
                let dy_part = dy_rows.slice_axis(Axis(1), Slice::from(first..first + n));
                general_mat_mul(1.0, &dy_part.t(), &x_rows, 0.0, &mut matrix_mut(dw, n, inputs));
                for dy in dy.chunks_exact(outputs) {
                    for (sum, dy) in db.iter_mut().zip(&dy[first..first + n]) {
                        *sum += dy;
                    }
                }
            },
        );
        let dw = Tensor::from_vec(dw, (outputs, inputs), w.device())?;
        let db = Tensor::from_vec(db, outputs, b.device())?;
        Ok((dx, Some(dw), Some(db)))
    }
}

pub(super) fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("rows times columns values")
}

pub(super) fn matrix_mut(
    values: &mut [f32],
    rows: usize,
    columns: usize,
) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("rows times columns values")
}
