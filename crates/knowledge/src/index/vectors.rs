//! Vectors of chunks as 8-bit integers, each with a scale, compared exactly.

use pulp::{Arch, Simd, WithSimd};

/// The vectors of all chunks.
///
/// - `values` is [n_chunks, dim], and value times scale is a coordinate of the embedding scaled to length 1
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Vectors {
    pub(crate) dim: usize,
    pub(crate) values: Vec<i8>,
    pub(crate) scales: Vec<f32>,
}

/// The largest absolute value of a coordinate of a question, as an integer. With 127 of the other side and 1,024
/// dimensions a sum stays within 32 bits.
const QUERY_RANGE: f32 = 8_191.0;

/// The most dimensions of a vector, so that no sum overflows: 127 x 8,191 x 2,048 < 2^31.
pub(crate) const MOST_DIMENSIONS: usize = 2_048;

/// The most vectors of an index: a question is compared with each.
pub(crate) const MOST_VECTORS: usize = 200_000;

/// The vector of a question, as integers with a scale.
pub(crate) struct QueryVector {
    values: Vec<i16>,
    scale: f32,
}

impl QueryVector {
    /// Makes the vector of an embedding of finite values; its length does not matter.
    pub(crate) fn new(embedding: &[f32]) -> Self {
        let (step, scale) = steps(embedding, QUERY_RANGE);
        Self {
            values: embedding.iter().map(|value| (value / step).round() as i16).collect(),
            scale,
        }
    }
}

/// Returns the step of the integers up to `range` that the coordinates of `embedding` are rounded to, and the step that makes
/// the length of the vector 1.
fn steps(embedding: &[f32], range: f32) -> (f32, f32) {
    let largest = embedding.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return (1.0, 1.0);
    }
    let step = largest / range;
    let square: f64 = embedding.iter().map(|value| f64::from(*value).powi(2)).sum();
    (step, (f64::from(step) / square.sqrt()) as f32)
}

impl Vectors {
    /// Appends an embedding of finite values; its length does not matter.
    pub(crate) fn push(&mut self, embedding: &[f32]) {
        debug_assert_eq!(
            embedding.len(),
            self.dim,
            "an embedding has the dimensions of the encoder"
        );
        let (step, scale) = steps(embedding, 127.0);
        self.values.extend(embedding.iter().map(|value| (value / step).round() as i8));
        self.scales.push(scale);
    }

    /// Appends vector `at` of `other`.
    pub(crate) fn push_from(&mut self, other: &Self, at: usize) {
        self.values.extend_from_slice(&other.values[at * self.dim..(at + 1) * self.dim]);
        self.scales.push(other.scales[at]);
    }

    /// Writes the cosine of the angle between each vector and `query` to `out`, which is cleared first.
    ///
    /// Sums of integers are exact, so that the result is the same on every processor.
    pub(crate) fn products(&self, query: &QueryVector, out: &mut Vec<f32>) {
        out.clear();
        if self.dim > 0 {
            let kernel = Products { vectors: self, query, out };
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                Simd::vectorize(simd, kernel);
                return;
            }
            Arch::new().dispatch(kernel);
        }
    }
}

struct Products<'a> {
    vectors: &'a Vectors,
    query: &'a QueryVector,
    out: &'a mut Vec<f32>,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { vectors, query, out } = self;
        out.resize(vectors.scales.len(), 0.0);
        let rows = vectors.values.chunks_exact(vectors.dim).zip(&vectors.scales);
        for (slot, (row, scale)) in out.iter_mut().zip(rows) {
            // The compiler turns this loop into multiplications of pairs of 16-bit integers.
            let mut sum = 0_i32;
            for (a, b) in row.iter().zip(&query.values) {
                sum += i32::from(i16::from(*a)) * i32::from(*b);
            }
            *slot = sum as f32 * scale * query.scale;
        }
    }
}
