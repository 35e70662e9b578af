//! Matrix products with a packed right side: C = f(A B + start).

use super::{activation::activate, simd::vectorised};
use crate::encoder::Activation;
use pulp::{Simd, WithSimd};

/// The number of columns computed together.
pub(in crate::encoder) const LANES: usize = 16;

/// [`LANES`] consecutive values of a row of B, in one cache line.
///
/// B [depth, n_columns] is packed as panels of [`LANES`] columns. A panel holds the lines of its `depth` rows,
/// one after another; missing columns of the last panel are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(in crate::encoder) struct Line(pub(in crate::encoder) [f32; LANES]);

impl Line {
    pub(in crate::encoder) const ZERO: Self = Self([0.0; LANES]);
}

/// The initial value of C; lines hold one value per column.
#[derive(Clone, Copy)]
pub(in crate::encoder) enum Start<'a> {
    /// Zero.
    Zero,
    /// A bias.
    Bias(&'a [Line]),
    /// The old value of C plus a bias.
    Residual(&'a [Line]),
}

/// The operands of one product.
pub(in crate::encoder) struct Product<'a> {
    /// A [n_rows, depth]; a row begins every `a_stride` values.
    pub(in crate::encoder) a: &'a [f32],
    pub(in crate::encoder) a_stride: usize,
    pub(in crate::encoder) n_rows: usize,
    /// B, packed.
    pub(in crate::encoder) panels: &'a [Line],
    pub(in crate::encoder) depth: usize,
    pub(in crate::encoder) n_columns: usize,
    /// C [n_rows, n_columns]; a row begins every `c_stride` values.
    pub(in crate::encoder) c: &'a mut [f32],
    pub(in crate::encoder) c_stride: usize,
    pub(in crate::encoder) start: Start<'a>,
    /// The function f, applied to each complete value.
    pub(in crate::encoder) activation: Option<Activation>,
}

/// The number of rows of A and C that stay in the level-2 cache while all panels are read.
const ROW_BLOCK: usize = 252;
/// The number of rows of a panel that stay in the level-1 cache while all rows of A are read: 24 KiB of lines.
const DEPTH_BLOCK: usize = 384;
/// The number of rows computed together: 6 rows of two 8-wide vectors use 12 of the 16 registers of AVX2.
const TILE_ROWS: usize = 6;

impl Product<'_> {
    /// Computes C.
    ///
    /// Each value is the start plus the products in the order of `depth`, independent of the tiles.
    pub(in crate::encoder) fn compute(self) {
        vectorised(self);
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The number of vectors in a line, as a constant for each vector width.
        match S::F32_LANES {
            1 => blocks::<S, 16>(simd, self),
            2 => blocks::<S, 8>(simd, self),
            4 => blocks::<S, 4>(simd, self),
            8 => blocks::<S, 2>(simd, self),
            _ => blocks::<S, 1>(simd, self),
        }
    }
}

#[inline(always)]
fn blocks<S: Simd, const VECTORS: usize>(simd: S, product: Product<'_>) {
    let Product { a, a_stride, n_rows, panels, depth, n_columns, c, c_stride, start, activation } =
        product;
    for first_row in (0..n_rows).step_by(ROW_BLOCK) {
        let rows = first_row..n_rows.min(first_row + ROW_BLOCK);
        for (index, panel) in panels.chunks_exact(depth).take(n_columns.div_ceil(LANES)).enumerate()
        {
            let columns = index * LANES..n_columns.min((index + 1) * LANES);
            for (block, lines) in panel.chunks(DEPTH_BLOCK).enumerate() {
                let before = block * DEPTH_BLOCK;
                let from = match (block, start) {
                    (0, Start::Zero) => TileStart { bias: Line::ZERO, adds: false },
                    (0, Start::Bias(bias)) => TileStart { bias: bias[index], adds: false },
                    (0, Start::Residual(bias)) => TileStart { bias: bias[index], adds: true },
                    _ => TileStart { bias: Line::ZERO, adds: true },
                };
                // Tiles of similar height, such as 5, 5 and 4 for 14 rows: a tile of 2 takes as long as one of 4.
                let mut n_tiles = rows.len().div_ceil(TILE_ROWS);
                let mut row = rows.start;
                while row < rows.end {
                    let height = (rows.end - row).div_ceil(n_tiles);
                    let a = &a[row * a_stride + before..];
                    let c = &mut c[row * c_stride + columns.start..];
                    let (sizes, width) = ((a_stride, c_stride), columns.len());
                    match height {
                        1 => tile::<S, 1, VECTORS>(simd, a, lines, c, sizes, width, from),
                        2 => tile::<S, 2, VECTORS>(simd, a, lines, c, sizes, width, from),
                        3 => tile::<S, 3, VECTORS>(simd, a, lines, c, sizes, width, from),
                        4 => tile::<S, 4, VECTORS>(simd, a, lines, c, sizes, width, from),
                        5 => tile::<S, 5, VECTORS>(simd, a, lines, c, sizes, width, from),
                        _ => tile::<S, 6, VECTORS>(simd, a, lines, c, sizes, width, from),
                    }
                    (row, n_tiles) = (row + height, n_tiles - 1);
                }
            }
            if let Some(activation) = activation {
                for row in rows.clone() {
                    let values = &mut c[row * c_stride + columns.start..][..columns.len()];
                    activate(simd, activation, values);
                }
            }
        }
    }
}

/// The initial sums of a tile: the bias, plus the old values of C if `adds` is set.
#[derive(Clone, Copy)]
struct TileStart {
    bias: Line,
    adds: bool,
}

/// Computes ROWS rows of one panel, given the strides of A and C; `width` is the number of columns.
#[inline(always)]
fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    a: &[f32],
    lines: &[Line],
    c: &mut [f32],
    (a_stride, c_stride): (usize, usize),
    width: usize,
    from: TileStart,
) {
    let mut held = [from.bias; ROWS];
    if from.adds {
        for (row, held) in held.iter_mut().enumerate() {
            let c = &c[row * c_stride..][..width];
            held.0.iter_mut().zip(c).for_each(|(held, c)| *held += c);
        }
    }
    add_products::<S, ROWS, VECTORS>(simd, a, a_stride, lines, &mut held);
    for (row, held) in held.iter().enumerate() {
        let c = &mut c[row * c_stride..][..width];
        if width == LANES {
            c.copy_from_slice(&held.0);
        } else {
            c.copy_from_slice(&held.0[..width]);
        }
    }
}

/// Adds ROWS rows of A times `lines` to `held`, the sums of a tile.
///
/// The loops over the sums are short, so that the compiler unrolls them and keeps the sums in registers.
#[inline(always)]
#[expect(
    clippy::manual_memcpy,
    reason = "a copy of slices would move the sums out of the registers"
)]
fn add_products<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    a: &[f32],
    a_stride: usize,
    lines: &[Line],
    held: &mut [Line; ROWS],
) {
    let a_rows: [&[f32]; ROWS] = std::array::from_fn(|row| &a[row * a_stride..][..lines.len()]);
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for row in 0..ROWS {
        let (held, _) = S::as_simd_f32s(&held[row].0);
        for vector in 0..VECTORS {
            sums[row][vector] = held[vector];
        }
    }
    for (depth, line) in lines.iter().enumerate() {
        let (line, _) = S::as_simd_f32s(&line.0);
        let b: [S::f32s; VECTORS] = std::array::from_fn(|vector| line[vector]);
        for row in 0..ROWS {
            let a = simd.splat_f32s(a_rows[row][depth]);
            for vector in 0..VECTORS {
                sums[row][vector] = simd.mul_add_e_f32s(a, b[vector], sums[row][vector]);
            }
        }
    }
    for row in 0..ROWS {
        let (held, _) = S::as_mut_simd_f32s(&mut held[row].0);
        for vector in 0..VECTORS {
            held[vector] = sums[row][vector];
        }
    }
}
