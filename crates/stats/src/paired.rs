//! Paired tests: McNemar's test and the corrected resampled t-test.

use super::{
    intervals::LEVEL,
    special::{student_quantile, student_two_sided},
};
use serde::{Deserialize, Serialize};
use statrs::function::factorial::ln_binomial;

/// Returns the exact two-sided p-value of McNemar's test, in (0, 1]; 1 if nothing differs.
///
/// `newly_wrong` and `newly_right` count the discordant pairs, which are equally likely under the null hypothesis:
/// 2 P(X <= min) with X ~ Binomial(sum, 1/2), at most 1.
/// Source: McNemar 1947; Dietterich, "Approximate Statistical Tests for Comparing Supervised
/// Classification Learning Algorithms", 1998.
#[must_use]
pub fn mcnemar_exact(newly_wrong: u64, newly_right: u64) -> f64 {
    let (tail, _) = lower_tail(newly_wrong, newly_right);
    (2.0 * tail).min(1.0)
}

/// Returns the mid-p value of McNemar's test, in (0, 1]: the exact one minus the probability of the observed counts.
///
/// 2 P(X <= min) - P(X = min); less conservative than [`mcnemar_exact`], and rarely above the nominal level.
/// Source: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013.
#[must_use]
pub fn mcnemar_mid_p(newly_wrong: u64, newly_right: u64) -> f64 {
    let (tail, observed) = lower_tail(newly_wrong, newly_right);
    (2.0 * tail - observed).min(1.0)
}

/// Returns P(X <= min) and P(X = min) for X ~ Binomial(a + b, 1/2).
fn lower_tail(a: u64, b: u64) -> (f64, f64) {
    let (n, least) = (a + b, a.min(b));
    let observed = (ln_binomial(n, least) - n as f64 * std::f64::consts::LN_2).exp();
    let (mut tail, mut term) = (observed, observed);
    for k in (1..=least).rev() {
        term *= k as f64 / (n - k + 1) as f64;
        tail += term;
        if term < tail * 1e-18 {
            break;
        }
    }
    (tail, observed)
}

/// A mean over resampled splits, with an uncertainty that accounts for their overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResampledMean {
    /// The mean.
    pub mean: f64,
    /// The corrected standard error.
    pub standard_error: f64,
    /// The 95 % interval of the mean.
    pub ci95: [f64; 2],
    /// The two-sided p-value of the hypothesis that the mean is 0.
    pub p: f64,
}

/// Returns the corrected resampled t-test of `values`, one per split; `None` for fewer than two.
///
/// `values` is `[n_splits]`, usually the differences between the scores of two configurations; `test_train_ratio` is
/// n_test / n_train of a split. The models of two splits share most of their training data, so the plain paired test is
/// far too confident. Here standard error^2 = (1 / k + n_test / n_train) s^2 and t = mean / standard error, with k - 1
/// degrees of freedom. If all values are equal, the interval is that value, and p is 0 (1 if they are 0).
///
/// # Panics
/// If `test_train_ratio` is negative or NaN.
///
/// Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
#[must_use]
pub fn corrected_resampled_t(values: &[f64], test_train_ratio: f64) -> Option<ResampledMean> {
    assert!(test_train_ratio >= 0.0, "a ratio of sizes is at least 0, not {test_train_ratio}");
    if values.len() < 2 {
        return None;
    }
    let k = values.len() as f64;
    let mean = values.iter().sum::<f64>() / k;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (k - 1.0);
    let standard_error = ((1.0 / k + test_train_ratio) * variance).sqrt();
    let dof = values.len() as u64 - 1;
    // Equal values differ from their mean only by rounding.
    if standard_error <= f64::EPSILON * mean.abs() {
        let p = if mean == 0.0 { 1.0 } else { 0.0 };
        return Some(ResampledMean { mean, standard_error: 0.0, ci95: [mean, mean], p });
    }
    let radius = student_quantile(LEVEL, dof) * standard_error;
    let p = student_two_sided(mean / standard_error, dof);
    Some(ResampledMean { mean, standard_error, ci95: [mean - radius, mean + radius], p })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn p_values_equal_statsmodels() {
        // statsmodels 0.15: mcnemar([[0, 5], [15, 0]], exact=True); mid-p by scipy's binom
        let fixture = &reference()["mcnemar"];
        let (b, c) = (fixture["b"].as_u64().unwrap(), fixture["c"].as_u64().unwrap());
        close(mcnemar_exact(b, c), fixture["exact"].as_f64().unwrap());
        close(mcnemar_mid_p(b, c), fixture["mid_p"].as_f64().unwrap());
        close(mcnemar_exact(c, b), mcnemar_exact(b, c));
    }

    #[test]
    fn equal_counts_have_a_p_value_of_one() {
        for count in [0, 1, 7, 5_000] {
            close(mcnemar_exact(count, count), 1.0);
            close(mcnemar_mid_p(count, count), 1.0);
        }
    }

    #[test]
    fn one_sided_changes_halve_the_p_value_with_each_record() {
        // By hand: 2 * 0.5^10 and 0.5^10.
        close(mcnemar_exact(0, 10), 2.0_f64.powi(-9));
        close(mcnemar_mid_p(10, 0), 2.0_f64.powi(-10));
    }

    #[test]
    fn large_counts_neither_overflow_nor_underflow() {
        // scipy 1.17: 2 * binom.cdf(2_300, 5_000, 0.5)
        let p = mcnemar_exact(2_300, 2_700);
        assert!((p / 1.645_878_110_344_284_8e-8 - 1.0).abs() < 1e-6, "{p}");
    }

    #[test]
    fn the_corrected_resampled_test_equals_the_reference() {
        // Computed with numpy and scipy: `nadeau_bengio` in tests/fixtures.
        let fixture = &reference()["nadeau_bengio"];
        let deltas: Vec<f64> = serde_json::from_value(fixture["deltas"].clone()).unwrap();
        let ratio = fixture["test_train_ratio"].as_f64().unwrap();
        let found = corrected_resampled_t(&deltas, ratio).unwrap();
        close(found.mean / found.standard_error, fixture["t"].as_f64().unwrap());
        close(found.p, fixture["p_two"].as_f64().unwrap());
        // The interval barely contains 0, and the test barely does not reject: p is 0.0508.
        assert!(found.ci95[0] < 0.0 && found.ci95[0] > -1e-4, "{found:?}");
        let mirrored: Vec<f64> = deltas.iter().map(|delta| -delta).collect();
        let mirrored = corrected_resampled_t(&mirrored, ratio).unwrap();
        close(mirrored.ci95[0], -found.ci95[1]);
    }

    #[test]
    fn overlap_widens_the_test() {
        let values = [0.02, 0.01, 0.03, 0.015, 0.02];
        let plain = corrected_resampled_t(&values, 0.0).unwrap();
        let corrected = corrected_resampled_t(&values, 0.25).unwrap();
        assert!(corrected.p > 3.0 * plain.p, "{corrected:?} {plain:?}");
        // By hand: sqrt((1/5 + 1/4) / (1/5)).
        close(corrected.standard_error / plain.standard_error, 1.5);
    }

    #[test]
    fn equal_values_have_a_point_interval() {
        assert_eq!(corrected_resampled_t(&[0.01], 0.25), None);
        let same = corrected_resampled_t(&[0.0; 5], 0.25).unwrap();
        assert_eq!((same.p, same.ci95), (1.0, [0.0, 0.0]));
        let all_better = corrected_resampled_t(&[0.01; 5], 0.25).unwrap();
        assert_eq!((all_better.p, all_better.standard_error), (0.0, 0.0));
    }
}
