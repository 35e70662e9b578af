//! Tests on pairs: the same samples judged twice.

use statrs::function::factorial::ln_binomial;

/// Returns the exact two-sided p-value of McNemar's test, in (0, 1]; 1 when nothing differs.
///
/// `newly_wrong` and `newly_right` are the discordant pairs; under the null each is a fair coin:
/// 2 P(X <= min) with X ~ Binomial(sum, 1/2), at most 1.
/// Source: McNemar 1947; Dietterich, "Approximate Statistical Tests for Comparing Supervised
/// Classification Learning Algorithms", 1998.
#[must_use]
pub fn mcnemar_exact(newly_wrong: u64, newly_right: u64) -> f64 {
    let (tail, _) = lower_tail(newly_wrong, newly_right);
    (2.0 * tail).min(1.0)
}

/// Returns the mid-p value of McNemar's test, in (0, 1]: exact, less the probability of what was observed.
///
/// 2 P(X <= min) - P(X = min); less conservative than [`mcnemar_exact`], and rarely above its level.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::reference;

    fn close(found: f64, wanted: f64) {
        assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
    }

    #[test]
    fn five_against_fifteen_is_as_in_statsmodels() {
        // statsmodels 0.15: mcnemar([[0, 5], [15, 0]], exact=True); mid-p by scipy's binom
        let fixture = &reference()["mcnemar"];
        let (b, c) = (fixture["b"].as_u64().unwrap(), fixture["c"].as_u64().unwrap());
        close(mcnemar_exact(b, c), fixture["exact"].as_f64().unwrap());
        close(mcnemar_mid_p(b, c), fixture["mid_p"].as_f64().unwrap());
        close(mcnemar_exact(c, b), mcnemar_exact(b, c));
    }

    #[test]
    fn no_difference_is_no_evidence() {
        for count in [0, 1, 7, 5_000] {
            close(mcnemar_exact(count, count), 1.0);
            close(mcnemar_mid_p(count, count), 1.0);
        }
    }

    #[test]
    fn one_sided_changes_halve_with_each_record() {
        // By hand: 2 * 0.5^10 and 0.5^10.
        close(mcnemar_exact(0, 10), 2.0_f64.powi(-9));
        close(mcnemar_mid_p(10, 0), 2.0_f64.powi(-10));
    }

    #[test]
    fn large_counts_neither_overflow_nor_vanish() {
        // scipy 1.17: 2 * binom.cdf(2_300, 5_000, 0.5)
        let p = mcnemar_exact(2_300, 2_700);
        assert!((p / 1.645_878_110_344_284_8e-8 - 1.0).abs() < 1e-6, "{p}");
    }
}
