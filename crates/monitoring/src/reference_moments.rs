//! The moments of embeddings, in whole numbers, so that merging is exact.

use serde::{Deserialize, Serialize};

/// The parts of 1 in which values and squares are counted.
const UNIT: f64 = 1_048_576.0;
/// The largest value; larger ones count as it. Embeddings have length 1.
const LARGEST: f64 = 8.0;

/// The sums of embeddings and of their squares, dimension by dimension, in units of 2^-20.
///
/// Whole numbers add up to the same sum in every order, which floats do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// The number of embeddings.
    n: u64,
    /// The sum of each dimension.
    sums: Vec<i64>,
    /// The sum of the squares of each dimension.
    squares: Vec<i64>,
}

impl Moments {
    /// Makes the moments of no embedding of `dim` dimensions.
    #[must_use]
    pub fn new(dim: usize) -> Self {
        Self { n: 0, sums: vec![0; dim], squares: vec![0; dim] }
    }

    /// Adds an embedding. One with another number of dimensions does not count.
    pub fn add(&mut self, embedding: &[f32]) {
        if embedding.len() != self.sums.len() {
            return;
        }
        self.n += 1;
        for ((value, sum), square) in embedding.iter().zip(&mut self.sums).zip(&mut self.squares) {
            let value = f64::from(*value);
            let value = if value.is_nan() { 0.0 } else { value.clamp(-LARGEST, LARGEST) };
            *sum = sum.saturating_add((value * UNIT).round() as i64);
            *square = square.saturating_add((value * value * UNIT).round() as i64);
        }
    }

    /// Adds the embeddings of `other`, if they have as many dimensions.
    pub fn merge(&mut self, other: &Self) {
        if other.sums.len() != self.sums.len() {
            return;
        }
        self.n = self.n.saturating_add(other.n);
        for (sums, others) in [(&mut self.sums, &other.sums), (&mut self.squares, &other.squares)] {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum = sum.saturating_add(*other));
        }
    }

    /// Returns the number of embeddings.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Returns the mean of each dimension; zeros without embeddings.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        let n = self.n.max(1) as f64;
        self.sums.iter().map(|sum| *sum as f64 / UNIT / n).collect()
    }

    /// Returns the variance of each dimension, that of a population; zeros without embeddings.
    #[must_use]
    pub fn variance(&self) -> Vec<f64> {
        let n = self.n.max(1) as f64;
        let square = self.squares.iter().map(|square| *square as f64 / UNIT / n);
        square.zip(self.mean()).map(|(square, mean)| (square - mean * mean).max(0.0)).collect()
    }

    pub(crate) fn is_consistent(&self) -> bool {
        self.sums.len() == self.squares.len() && !self.squares.iter().any(|square| *square < 0)
    }
}
