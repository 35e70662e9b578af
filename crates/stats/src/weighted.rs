//! Samples as values with counts: the functions of [`crate::two_sample`], without a list of all numbers.

use crate::{
    special::kolmogorov_survival,
    two_sample::{EXACT_PAIRS, TwoSample, exact_p_value},
};

/// Values in rising order, each once, with their counts.
pub type Weighted<'a> = &'a [(f64, u64)];

/// Returns the number of numbers.
#[must_use]
pub fn total(sample: Weighted<'_>) -> u64 {
    sample.iter().map(|(_, n)| n).sum()
}

/// Tests as [`crate::two_sample::ks_2samp_sorted`] does; an empty sample gives no evidence: statistic 0 and p 1.
#[must_use]
pub fn ks_2samp_weighted(x: Weighted<'_>, y: Weighted<'_>) -> TwoSample {
    let (n, m) = (total(x), total(y));
    if n == 0 || m == 0 {
        return TwoSample { statistic: 0.0, p_value: 1.0, is_exact: false };
    }
    let mut gap = 0_u128;
    steps(x, y, |_, i, j| {
        gap = gap.max((u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n)));
    });
    let statistic = gap as f64 / (n as f64 * m as f64);
    if n.saturating_mul(m) <= EXACT_PAIRS as u64 {
        let p_value = exact_p_value(gap, n as usize, m as usize);
        return TwoSample { statistic, p_value, is_exact: true };
    }
    let effective = (n as f64 * m as f64 / (n as f64 + m as f64)).round_ties_even();
    let p_value = kolmogorov_survival(statistic, effective as u64);
    TwoSample { statistic, p_value, is_exact: false }
}

/// Returns the distance of [`crate::two_sample::wasserstein_sorted`]; `None` if a sample is empty.
#[must_use]
pub fn wasserstein_weighted(x: Weighted<'_>, y: Weighted<'_>) -> Option<f64> {
    let (n, m) = (total(x) as f64, total(y) as f64);
    let mut last = x.first()?.0.min(y.first()?.0);
    let (mut area, mut height) = (0.0, 0.0_f64);
    steps(x, y, |at, i, j| {
        area += height * (at - last);
        height = (i as f64 / n - j as f64 / m).abs();
        last = at;
    });
    Some(area)
}

/// Calls `see` with each value of the pooled sample, rising, and the counts of both samples up to it.
fn steps(x: Weighted<'_>, y: Weighted<'_>, mut see: impl FnMut(f64, u64, u64)) {
    let (mut x, mut y) = (x.iter().peekable(), y.iter().peekable());
    let (mut i, mut j) = (0, 0);
    loop {
        let at = match (x.peek(), y.peek()) {
            (Some((a, _)), Some((b, _))) => a.min(*b),
            (Some((a, _)), None) => *a,
            (None, Some((b, _))) => *b,
            (None, None) => return,
        };
        while let Some((_, n)) = x.next_if(|(value, _)| *value <= at) {
            i += n;
        }
        while let Some((_, n)) = y.next_if(|(value, _)| *value <= at) {
            j += n;
        }
        see(at, i, j);
    }
}

/// Returns the mean, which is finite for finite values even if their sum is not; NaN if empty.
#[must_use]
pub fn mean_weighted(sample: Weighted<'_>) -> f64 {
    let n = total(sample) as f64;
    let mean = sample.iter().map(|(value, k)| value * *k as f64).sum::<f64>() / n;
    match mean.is_finite() {
        true => mean,
        false => sample.iter().map(|(value, k)| value * (*k as f64 / n)).sum(),
    }
}

/// Returns the standard deviation of a population, as [`crate::two_sample::population_sd`]; 0 if empty.
#[must_use]
pub fn sd_weighted(sample: Weighted<'_>) -> f64 {
    if sample.is_empty() {
        return 0.0;
    }
    let n = total(sample) as f64;
    let center = mean_weighted(sample);
    let around = |scale: f64| {
        let square = |value: f64| (value / scale - center / scale).powi(2);
        (sample.iter().map(|(value, k)| *k as f64 * square(*value)).sum::<f64>() / n).sqrt() * scale
    };
    let sd = around(1.0);
    match sd.is_finite() {
        true => sd,
        false => around(sample.iter().fold(0.0, |most: f64, (value, _)| most.max(value.abs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{random::Random, two_sample};

    /// Returns a sample of small integers as a sorted list, and with counts.
    fn sample(n: usize, seed: u64) -> (Vec<f64>, Vec<(f64, u64)>) {
        let mut random = Random::new(seed);
        let values: Vec<f64> = (0..n).map(|_| random.below(12) as f64 - 3.5).collect();
        let values = two_sample::sorted(values);
        let mut counted: Vec<(f64, u64)> = Vec::new();
        for value in &values {
            match counted.last_mut() {
                Some((last, count)) if last == value => *count += 1,
                _ => counted.push((*value, 1)),
            }
        }
        (values, counted)
    }

    #[test]
    fn counted_samples_have_the_statistics_of_their_lists() {
        for (n, m) in [(1, 1), (40, 60), (90, 110), (200, 300), (1_000, 10)] {
            let ((x, counted_x), (y, counted_y)) = (sample(n, 1), sample(m, 2));
            assert_eq!(
                ks_2samp_weighted(&counted_x, &counted_y),
                two_sample::ks_2samp_sorted(&x, &y)
            );
            let distance = two_sample::wasserstein_sorted(&x, &y).unwrap();
            let got = wasserstein_weighted(&counted_x, &counted_y).unwrap();
            assert!((got - distance).abs() < 1e-12, "{got} {distance}");
            assert!((mean_weighted(&counted_x) - two_sample::mean(&x)).abs() < 1e-12);
            assert!((sd_weighted(&counted_x) - two_sample::population_sd(&x)).abs() < 1e-12);
        }
    }

    #[test]
    fn empty_and_huge_samples() {
        let nothing = ks_2samp_weighted(&[], &[(1.0, 2)]);
        assert_eq!((nothing.statistic, nothing.p_value), (0.0, 1.0));
        assert_eq!(wasserstein_weighted(&[], &[(1.0, 2)]), None);
        assert_eq!(sd_weighted(&[]), 0.0);
        let huge = [(-1.5e308, 2), (1.5e308, 2)];
        assert_eq!((mean_weighted(&huge), mean_weighted(&huge[1..])), (0.0, 1.5e308));
        assert!((sd_weighted(&huge) / 1.5e308 - 1.0).abs() < 1e-12);
    }
}
