//! Tensors as slices, and work on rows shared among threads.

use candle_core::{Error, Layout, Result, Storage};
use rayon::prelude::*;

/// The least number of rows per thread; with fewer, packing the matrix costs more than a thread saves.
const FEWEST_ROWS: usize = 64;
/// The number of lanes of a sum, which the processor adds at once.
const LANES: usize = 8;

/// Returns the values of a contiguous tensor in CPU memory, given its `Tensor::storage_and_layout`.
///
/// # Errors
/// If the tensor is on another device or not contiguous.
pub(super) fn values<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((from, to))) => Ok(&storage.as_slice::<f32>()?[from..to]),
        _ => Err(Error::Msg("a tensor is not contiguous or not in CPU memory".into())),
    }
}

/// Returns the number of rows, out of `n_rows`, that a thread takes at a time.
///
/// It depends on the number of threads, so use it only for work with independent rows.
pub(super) fn rows_at_a_time(n_rows: usize) -> usize {
    n_rows.div_ceil(rayon::current_num_threads()).next_multiple_of(8).max(FEWEST_ROWS)
}

/// Calls `work` for pieces of `out` [n_rows, width], with the first row of the piece and its values.
pub(super) fn for_rows(
    out: &mut [f32],
    width: usize,
    work: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    let n_rows = out.len() / width;
    let rows = rows_at_a_time(n_rows);
    if rows >= n_rows {
        work(0, out);
    } else {
        out.par_chunks_mut(rows * width)
            .enumerate()
            .for_each(|(piece, out)| work(piece * rows, out));
    }
}

/// Returns the sum of `f` over the pairs of `a` and `b`; the order of additions depends only on the length.
#[inline]
pub(super) fn sum_of(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_pieces, b_pieces) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 =
        a_pieces.remainder().iter().zip(b_pieces.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a_pieces.zip(b_pieces) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h)) + rest
}
