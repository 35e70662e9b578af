//! Two samples of vectors: the maximum mean discrepancy with a Gaussian kernel, and its permutation test.

use super::random::Random;
use rayon::prelude::*;

/// The permutations that are drawn side by side.
const BATCH: usize = 32;

/// The result of a permutation test of the maximum mean discrepancy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Discrepancy {
    /// The unbiased estimate of MMD squared; it may be negative. The largest possible value is 2.
    pub mmd2: f64,
    /// The median of the squared distances of all pairs, which is the width of the kernel.
    pub median_squared: f64,
    /// (b + 1) / (B + 1) for b of B permutations with at least this estimate.
    pub p_value: f64,
    /// The mean and the standard deviation of the estimate over the permutations.
    pub null: [f64; 2],
}

/// Tests whether two samples of vectors come from one distribution.
///
/// `x` and `y` are `[n_samples, width]`, one row after another. The kernel is exp(-|a - b|^2 / m), with m the median of
/// the squared distances over all pairs of the pooled sample. The estimate leaves out pairs of a vector with itself.
/// `n_permutations` permutations of the labels are drawn from `seed`; the result does not depend on the number of
/// threads. Memory: 4 bytes for each pair of vectors. `None` if a sample has fewer than two vectors, or if all vectors
/// are equal or one is not finite.
/// Source: Gretton, Borgwardt, Rasch, Schölkopf and Smola, "A kernel two-sample test", JMLR 13, 2012.
///
/// # Panics
/// If `width` is 0, or a sample is not made of whole rows.
#[must_use]
pub fn mmd2_test(
    x: &[f32],
    y: &[f32],
    width: usize,
    n_permutations: usize,
    seed: u64,
) -> Option<Discrepancy> {
    assert!(width > 0, "a vector has a coordinate");
    assert!(
        x.len().is_multiple_of(width) && y.len().is_multiple_of(width),
        "a sample is made of whole rows"
    );
    let (n, m) = (x.len() / width, y.len() / width);
    if n < 2 || m < 2 || x.iter().chain(y).any(|value| !value.is_finite()) {
        return None;
    }
    let rows: Vec<&[f32]> = x.chunks_exact(width).chain(y.chunks_exact(width)).collect();
    let kernel = Kernel::new(&rows)?;
    let observed: Vec<bool> = (0..n + m).map(|i| i >= n).collect();
    let mmd2 = kernel.mmd2(&observed, n, m);
    let batches = n_permutations.div_ceil(BATCH);
    let drawn: Vec<f64> = (0..batches)
        .into_par_iter()
        .flat_map_iter(|batch| {
            let mut random = Random::stream(seed, batch as u64);
            let mut labels = observed.clone();
            let kernel = &kernel;
            let count = BATCH.min(n_permutations - batch * BATCH);
            (0..count)
                .map(move |_| {
                    random.shuffle(&mut labels);
                    kernel.mmd2(&labels, n, m)
                })
                .collect::<Vec<f64>>()
        })
        .collect();
    let count = drawn.len().max(1) as f64;
    let mean = drawn.iter().sum::<f64>() / count;
    let sd = (drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    // Permutations that give the same partition differ by rounding.
    let slack = 1e-9 * mmd2.abs().max(1.0);
    let reached = drawn.iter().filter(|value| **value >= mmd2 - slack).count();
    Some(Discrepancy {
        mmd2,
        median_squared: kernel.median_squared,
        p_value: (reached + 1) as f64 / (drawn.len() + 1) as f64,
        null: [mean, sd],
    })
}

/// The kernel of all pairs of the pooled sample, with zeros on the diagonal.
struct Kernel {
    values: Vec<f32>,
    n: usize,
    median_squared: f64,
    /// The sum over all pairs, and the sum of each row.
    total: f64,
    sums: Vec<f64>,
}

impl Kernel {
    fn new(rows: &[&[f32]]) -> Option<Self> {
        let n = rows.len();
        let squared: Vec<f32> = (0..n)
            .into_par_iter()
            .flat_map_iter(|i| {
                let row = rows[i];
                rows.iter()
                    .map(move |other| row.iter().zip(*other).map(|(a, b)| (a - b) * (a - b)).sum())
            })
            .collect();
        let mut pairs: Vec<f32> =
            (0..n).flat_map(|i| squared[i * n + i + 1..(i + 1) * n].iter().copied()).collect();
        let middle = pairs.len() / 2;
        let is_even = pairs.len().is_multiple_of(2);
        let (below, &mut high, _) = pairs.select_nth_unstable_by(middle, f32::total_cmp);
        let median = match below.iter().copied().max_by(f32::total_cmp) {
            Some(low) if is_even => f64::midpoint(f64::from(low), f64::from(high)),
            _ => f64::from(high),
        };
        if median <= 0.0 {
            return None;
        }
        let mut values: Vec<f32> =
            squared.par_iter().map(|d| (-f64::from(*d) / median).exp() as f32).collect();
        (0..n).for_each(|i| values[i * n + i] = 0.0);
        let sums: Vec<f64> = values
            .chunks_exact(n)
            .map(|row| row.iter().map(|value| f64::from(*value)).sum())
            .collect();
        let total = sums.iter().sum();
        Some(Self { values, n, median_squared: median, total, sums })
    }

    /// Returns the unbiased estimate for a partition into `n` and `m` vectors; `is_second` marks those of the second.
    fn mmd2(&self, is_second: &[bool], n: usize, m: usize) -> f64 {
        // The sum over pairs within the second sample; the other sums follow from those of the rows.
        let second: Vec<usize> = (0..self.n).filter(|&i| is_second[i]).collect();
        let mask: Vec<f32> = is_second.iter().map(|&second| f32::from(u8::from(second))).collect();
        let mut within = 0.0;
        let mut of_second = 0.0;
        for &i in &second {
            let row = &self.values[i * self.n..(i + 1) * self.n];
            within += f64::from(dot(row, &mask));
            of_second += self.sums[i];
        }
        let between = of_second - within;
        let first = self.total - within - 2.0 * between;
        let (n, m) = (n as f64, m as f64);
        first / (n * (n - 1.0)) + within / (m * (m - 1.0)) - 2.0 * between / (n * m)
    }
}

/// Returns the sum of products, eight at a time.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(key: &str) -> serde_json::Value {
        crate::reference()["mmd2_unbiased_rbf"][key].clone()
    }

    fn rows(key: &str) -> Vec<f32> {
        let rows: Vec<Vec<f32>> = serde_json::from_value(fixture(key)).unwrap();
        rows.concat()
    }

    #[test]
    fn the_estimate_equals_the_reference_value() {
        let found = mmd2_test(&rows("X"), &rows("Y"), 2, 10_000, 17).unwrap();
        assert_eq!(found.median_squared, fixture("median_sq").as_f64().unwrap());
        // The kernel is kept in single precision.
        assert!((found.mmd2 - fixture("mmd2").as_f64().unwrap()).abs() < 1e-6, "{found:?}");
        let exact = fixture("p_all_70_partitions").as_f64().unwrap();
        assert!((found.p_value - exact).abs() < 0.006, "{found:?}");
        assert!(found.null[0].abs() < 0.05, "the estimate is unbiased: {found:?}");
    }

    #[test]
    fn a_shift_is_found_and_equal_samples_are_not() {
        let mut random = Random::new(4);
        let mut draw = |n: usize, shift: f64| -> Vec<f32> {
            (0..n * 4).map(|_| (random.normal() + shift) as f32).collect()
        };
        let (x, y, moved) = (draw(60, 0.0), draw(50, 0.0), draw(50, 0.8));
        let shifted = mmd2_test(&x, &moved, 4, 500, 1).unwrap();
        assert!(shifted.p_value < 0.01 && shifted.mmd2 > 0.05, "{shifted:?}");
        let same = mmd2_test(&x, &y, 4, 500, 1).unwrap();
        assert!(same.p_value > 0.05, "{same:?}");
        assert_eq!(same, mmd2_test(&x, &y, 4, 500, 1).unwrap());
    }

    #[test]
    fn the_false_alarm_rate_is_that_of_the_level() {
        let mut random = Random::new(6);
        let alarms = (0..300)
            .filter(|_| {
                let mut draw =
                    |n: usize| -> Vec<f32> { (0..n * 2).map(|_| random.unit() as f32).collect() };
                let (x, y) = (draw(20), draw(15));
                mmd2_test(&x, &y, 2, 199, 3).unwrap().p_value <= 0.05
            })
            .count();
        assert!((4..=28).contains(&alarms), "{alarms} of 300");
    }

    #[test]
    fn samples_that_cannot_be_compared_give_nothing() {
        assert_eq!(mmd2_test(&[1.0], &[1.0, 2.0], 1, 10, 0), None);
        assert_eq!(mmd2_test(&[1.0, 1.0], &[1.0, 1.0], 1, 10, 0), None);
        assert_eq!(mmd2_test(&[1.0, f32::NAN], &[1.0, 2.0], 1, 10, 0), None);
    }
}
