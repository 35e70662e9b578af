//! Two samples of numbers: the Kolmogorov-Smirnov test, and the Wasserstein distance.

use super::special::kolmogorov_survival;

/// The largest number of pairs (n * m) for which the p-value is exact.
pub const EXACT_PAIRS: usize = 10_000;

/// The result of a two-sample Kolmogorov-Smirnov test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoSample {
    /// The largest distance between the empirical distribution functions, in [0, 1].
    pub statistic: f64,
    /// P(at least this distance) if both samples come from one distribution.
    pub p_value: f64,
    /// Whether the p-value is exact (over all orders of the pooled sample).
    pub is_exact: bool,
}

/// Tests whether `x` and `y` come from one distribution (two-sided Kolmogorov-Smirnov).
///
/// Samples may be in any order. statistic = max over t of |F_x(t) - F_y(t)|. The p-value is exact for
/// n * m <= [`EXACT_PAIRS`], otherwise that of one sample of size round(n m / (n + m)). Ties make it conservative. An
/// empty sample, or one with NaN, gives no evidence: statistic 0 and p 1.
/// Source: Hodges, "The significance probability of the Smirnov two-sample test", 1958;
/// `scipy.stats.ks_2samp`.
#[must_use]
pub fn ks_2samp(x: &[f64], y: &[f64]) -> TwoSample {
    ks_2samp_sorted(&sorted(x.to_vec()), &sorted(y.to_vec()))
}

/// Tests as [`ks_2samp`] does, on samples that [`sorted`] returned.
#[must_use]
pub fn ks_2samp_sorted(x: &[f64], y: &[f64]) -> TwoSample {
    let nothing = TwoSample { statistic: 0.0, p_value: 1.0, is_exact: false };
    let (n, m) = (x.len(), y.len());
    if n == 0 || m == 0 || has_nan(x) || has_nan(y) {
        return nothing;
    }
    let gap = largest_gap(x, y);
    let statistic = gap as f64 / (n as f64 * m as f64);
    if n.saturating_mul(m) <= EXACT_PAIRS {
        return TwoSample { statistic, p_value: exact_p_value(gap, n, m), is_exact: true };
    }
    let effective = (n as f64 * m as f64 / (n as f64 + m as f64)).round_ties_even();
    TwoSample {
        statistic,
        p_value: kolmogorov_survival(statistic, effective as u64),
        is_exact: false,
    }
}

/// Returns `values` in rising order. NaN stands at the ends.
#[must_use]
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Returns the Wasserstein distance of order 1: the area between the empirical distribution functions of two samples
/// of finite values that [`sorted`] returned. It has the unit of the values.
///
/// W = sum of |F_x(t) - F_y(t)| (t' - t) over neighboring values t < t' of the pooled sample. `None` if a sample is
/// empty, or has NaN.
/// Source: Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", 1974;
/// `scipy.stats.wasserstein_distance`.
#[must_use]
pub fn wasserstein_sorted(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.is_empty() || y.is_empty() || has_nan(x) || has_nan(y) {
        return None;
    }
    let (n, m) = (x.len(), y.len());
    let (mut i, mut j, mut area) = (0, 0, 0.0);
    let mut last = x[0].min(y[0]);
    while i < n || j < m {
        let next = x.get(i).copied().unwrap_or(f64::INFINITY);
        let at = next.min(y.get(j).copied().unwrap_or(f64::INFINITY));
        area += (i as f64 / n as f64 - j as f64 / m as f64).abs() * (at - last);
        last = at;
        while i < n && x[i] <= at {
            i += 1;
        }
        while j < m && y[j] <= at {
            j += 1;
        }
    }
    Some(area)
}

/// Returns the mean, which is finite for finite values even if their sum is not; NaN if empty.
#[must_use]
pub fn mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if mean.is_infinite() { values.iter().map(|value| value / n).sum() } else { mean }
}

/// Returns the standard deviation of a population: the root of the mean squared distance from the mean; 0 if empty.
///
/// It is finite for finite values even if the squares are not.
#[must_use]
pub fn population_sd(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let n = values.len() as f64;
    let center = mean(values);
    let around = |scale: f64| {
        let squares = values.iter().map(|value| (value / scale - center / scale).powi(2));
        (squares.sum::<f64>() / n).sqrt() * scale
    };
    let sd = around(1.0);
    if sd.is_finite() {
        return sd;
    }
    around(values.iter().fold(0.0, |most: f64, value| most.max(value.abs())))
}

/// Returns whether sorted values hold NaN, which stands at the ends.
fn has_nan(sorted: &[f64]) -> bool {
    [sorted.first(), sorted.last()].into_iter().flatten().any(|value| value.is_nan())
}

/// Returns max |i m - j n| over the steps of the distribution functions of sorted samples: the distance times n m, as
/// an integer.
fn largest_gap(x: &[f64], y: &[f64]) -> u128 {
    let (n, m) = (x.len(), y.len());
    let (mut i, mut j, mut gap) = (0, 0, 0_u128);
    while i < n && j < m {
        let at = x[i].min(y[j]);
        while i < n && x[i] <= at {
            i += 1;
        }
        while j < m && y[j] <= at {
            j += 1;
        }
        gap = gap.max((i as u128 * m as u128).abs_diff(j as u128 * n as u128));
    }
    gap
}

/// Returns the share of the orders of n and m items in which |i m - j n| reaches `gap`.
///
/// The last of i + j items is an x with probability i / (i + j). So the share c(i, j) of orders that have reached the gap
/// is 1 beyond it, and otherwise i/(i+j) c(i-1, j) + j/(i+j) c(i, j-1), which has no cancellation.
pub(crate) fn exact_p_value(gap: u128, n: usize, m: usize) -> f64 {
    let beyond =
        |i: usize, j: usize| (i as u128 * m as u128).abs_diff(j as u128 * n as u128) >= gap;
    let mut row = vec![0.0_f64; m + 1];
    for i in 0..=n {
        for j in 0..=m {
            row[j] = if beyond(i, j) {
                1.0
            } else if i + j == 0 {
                0.0
            } else {
                let left = if j > 0 { row[j - 1] * j as f64 } else { 0.0 };
                let above = if i > 0 { row[j] * i as f64 } else { 0.0 };
                (left + above) / (i + j) as f64
            };
        }
    }
    row[m].min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_of_huge_numbers_are_finite() {
        let huge = [-1.5e308, -1.5e308, 1.5e308, 1.5e308];
        assert_eq!((mean(&huge[2..]), mean(&huge)), (1.5e308, 0.0));
        assert!((population_sd(&huge) / 1.5e308 - 1.0).abs() < 1e-12);
        assert_eq!((mean(&[1.0, 2.0]), population_sd(&[1.0, 3.0])), (1.5, 1.0));
        assert!(population_sd(&[f64::INFINITY, 1.0]).is_nan());
    }

    #[test]
    fn exact_and_asymptotic_values_equal_the_reference() {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        let expected = &all["ks_2samp"];
        let sample =
            |key: &str| -> Vec<f64> { serde_json::from_value(expected[key].clone()).unwrap() };
        let (x, y) = (sample("x"), sample("y"));
        for got in [ks_2samp(&x, &y), ks_2samp(&y, &x)] {
            assert!(got.is_exact);
            assert!((got.statistic - expected["d"].as_f64().unwrap()).abs() < 1e-9);
            assert!((got.p_value - expected["p_exact"].as_f64().unwrap()).abs() < 1e-9);
        }
        // The asymptotic value of scipy is that of one sample of size round(12 * 10 / 22) = 5.
        let asymptotic = kolmogorov_survival(expected["d"].as_f64().unwrap(), 5);
        assert!((asymptotic - expected["p_asymp"].as_f64().unwrap()).abs() < 1e-9, "{asymptotic}");
    }

    #[test]
    fn large_samples_agree_with_scipy() {
        // scipy 1.17.1: ks_2samp(x, y, method="asymp"), x and y the quantiles below
        let quantiles = |n: usize, power: f64| -> Vec<f64> {
            (0..n).map(|i| ((i as f64 + 0.5) / n as f64).powf(power)).collect()
        };
        for (n, m, power, d, p) in [
            (300, 200, 1.1, 0.038333333333333386, 0.9917658641924729),
            (1_000, 400, 1.15, 0.05300000000000005, 0.38446170827339055),
        ] {
            let got = ks_2samp(&quantiles(n, 1.0), &quantiles(m, power));
            assert!(!got.is_exact);
            assert!((got.statistic - d).abs() < 1e-12, "{got:?}");
            assert!((got.p_value - p).abs() < 1e-4, "{got:?}");
        }
    }

    #[test]
    fn tied_values_are_one_step() {
        // scipy 1.17.1: ks_2samp(x, y, method="exact")
        let x = [1., 1., 2., 3., 3., 3., 4., 5., 8., 9.];
        let y = [2., 2., 3., 5., 5., 6., 7., 7., 8., 9., 9., 12.];
        let got = ks_2samp(&x, &y);
        assert!((got.statistic - 0.45).abs() < 1e-12, "{got:?}");
        assert!((got.p_value - 0.15975974489906378).abs() < 1e-9, "{got:?}");
    }

    #[test]
    fn the_wasserstein_distance_equals_the_reference() {
        let all = crate::reference();
        let sample = |key: &str| -> Vec<f64> {
            sorted(serde_json::from_value(all["ks_2samp"][key].clone()).unwrap())
        };
        let (x, y) = (sample("x"), sample("y"));
        let expected = &all["wasserstein"];
        for got in [wasserstein_sorted(&x, &y), wasserstein_sorted(&y, &x)] {
            assert!((got.unwrap() - expected["w1"].as_f64().unwrap()).abs() < 1e-9, "{got:?}");
        }
        let in_sd = wasserstein_sorted(&x, &y).unwrap() / population_sd(&x);
        assert!((in_sd - expected["w1_norm_by_ref_std"].as_f64().unwrap()).abs() < 1e-9, "{in_sd}");
        // A shift of every value by 3 is a distance of 3. Ties and sizes do not matter.
        let near = |got: Option<f64>, wanted: f64| assert!((got.unwrap() - wanted).abs() < 1e-12);
        near(wasserstein_sorted(&[1.0, 1.0, 2.0, 9.0], &[4.0, 4.0, 5.0, 12.0]), 3.0);
        near(wasserstein_sorted(&[0.0], &[1.0, 1.0, 4.0]), 2.0);
        near(wasserstein_sorted(&x, &x), 0.0);
        assert_eq!(wasserstein_sorted(&[], &[1.0]), None);
        assert_eq!(wasserstein_sorted(&sorted(vec![1.0, f64::NAN]), &[1.0]), None);
        assert_eq!(population_sd(&[]), 0.0);
    }

    #[test]
    fn disjoint_samples_have_the_smallest_possible_p_value() {
        // 2 of the C(10, 5) = 252 orders.
        let got = ks_2samp(&[1., 2., 3., 4., 5.], &[6., 7., 8., 9., 10.]);
        assert_eq!(got.statistic, 1.0);
        assert!((got.p_value - 2.0 / 252.0).abs() < 1e-15);
        assert_eq!(ks_2samp(&[1.0; 5], &[1.0; 9]).p_value, 1.0);
        assert_eq!(ks_2samp(&[], &[1.0]).p_value, 1.0);
        assert_eq!(ks_2samp(&[f64::NAN], &[1.0]).p_value, 1.0);
    }
}
