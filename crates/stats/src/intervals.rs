//! Intervals for a proportion: `[lower, upper]` from `successes` of `n`.

use statrs::function::{beta::beta_reg, erf::erfc_inv};

/// The level of all intervals in reports.
pub const LEVEL: f64 = 0.95;

/// Returns the Wilson score interval, within [0, 1]; [0, 1] when `n` is 0.
///
/// With p = successes / n and z the normal quantile of (1 + level) / 2:
/// (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
/// Without a success the lower end is exactly 0, and without a failure the upper end is exactly 1.
///
/// # Panics
/// If `successes > n`, or `level` is outside (0, 1).
///
/// Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.
#[must_use]
pub fn wilson(successes: u64, n: u64, level: f64) -> [f64; 2] {
    check(successes, n, level);
    if n == 0 {
        return [0.0, 1.0];
    }
    wilson_weighted(successes as f64 / n as f64, n as f64, level)
}

/// Returns the Wilson score interval of a weighted share `p` that is worth `n` samples of equal weight, within [0, 1]; [0, 1]
/// when `n` is 0.
///
/// With weights w, `p` is sum w x / sum w, and `n` = (sum w)² / sum w² (Kish): between 1 and the number of samples.
/// With equal weights it is [`wilson`].
///
/// # Panics
/// If `p` or `level` is out of range, or `n` is negative.
///
/// Source: Kish, "Survey Sampling", 1965, section 11.7.
#[must_use]
pub fn wilson_weighted(p: f64, n: f64, level: f64) -> [f64; 2] {
    assert!((0.0..=1.0).contains(&p) && n >= 0.0, "a share and a size");
    assert!(level > 0.0 && level < 1.0, "a level is between 0 and 1");
    if n == 0.0 {
        return [0.0, 1.0];
    }
    let z = std::f64::consts::SQRT_2 * erfc_inv(1.0 - level);
    let z2 = z * z;
    let center = p + z2 / (2.0 * n);
    let radius = z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    [
        if p == 0.0 { 0.0 } else { ((center - radius) / scale).max(0.0) },
        if p == 1.0 { 1.0 } else { ((center + radius) / scale).min(1.0) },
    ]
}

/// Returns the Clopper-Pearson ("exact") interval, within [0, 1]; [0, 1] when `n` is 0.
///
/// [B(α/2; k, n-k+1), B(1-α/2; k+1, n-k)] with B the beta quantile, k successes, α = 1 - level.
/// It covers any true proportion with a probability of at least `level`.
///
/// # Panics
/// As [`wilson`].
///
/// Source: Clopper and Pearson, Biometrika 1934.
#[must_use]
pub fn clopper_pearson(successes: u64, n: u64, level: f64) -> [f64; 2] {
    check(successes, n, level);
    let (k, rest) = (successes as f64, (n - successes) as f64);
    let tail = (1.0 - level) / 2.0;
    [
        if successes == 0 { 0.0 } else { beta_quantile(k, rest + 1.0, tail) },
        if successes == n { 1.0 } else { beta_quantile(k + 1.0, rest, 1.0 - tail) },
    ]
}

/// Returns the one-sided upper Clopper-Pearson bound at `level`, within [0, 1]; 1 if `n` is 0.
///
/// B(level; k+1, n-k) with B the beta quantile, k successes. It is at least the true proportion with a probability of at
/// least `level`, and equals the upper end of [`clopper_pearson`] at 2 level - 1.
///
/// # Panics
/// As [`wilson`].
#[must_use]
pub fn upper_bound(successes: u64, n: u64, level: f64) -> f64 {
    check(successes, n, level);
    if successes == n {
        return 1.0;
    }
    beta_quantile(successes as f64 + 1.0, (n - successes) as f64, level)
}

/// Returns the Jeffreys interval, within [0, 1]; [0, 1] when `n` is 0.
///
/// [B(α/2; k+½, n-k+½), B(1-α/2; k+½, n-k+½)]; the lower end is 0 without a success, and the upper end is 1 without a
/// failure.
///
/// # Panics
/// As [`wilson`].
///
/// Source: Brown, Cai and `DasGupta`, "Interval Estimation for a Binomial Proportion", 2001.
#[must_use]
pub fn jeffreys(successes: u64, n: u64, level: f64) -> [f64; 2] {
    check(successes, n, level);
    let (a, b) = (successes as f64 + 0.5, (n - successes) as f64 + 0.5);
    let tail = (1.0 - level) / 2.0;
    [
        if successes == 0 { 0.0 } else { beta_quantile(a, b, tail) },
        if successes == n { 1.0 } else { beta_quantile(a, b, 1.0 - tail) },
    ]
}

fn check(successes: u64, n: u64, level: f64) {
    assert!(successes <= n, "{successes} successes of {n}");
    assert!(level > 0.0 && level < 1.0, "a level is in (0, 1), not {level}");
}

/// Returns x with I_x(a, b) = `probability`, by bisection, which is slower than series inversion but always converges.
fn beta_quantile(a: f64, b: f64, probability: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if beta_reg(a, b, middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;

    fn assert_close(found: [f64; 2], expected: [f64; 2]) {
        let close = |i: usize| (found[i] - expected[i]).abs() < 1e-9;
        assert!(close(0) && close(1), "{found:?} is not {expected:?}");
    }

    #[test]
    fn intervals_equal_statsmodels() {
        // statsmodels 0.15: proportion_confint(87, 100, method="wilson" | "jeffreys" | "beta")
        let fixture = &reference()["wilson"];
        let pair = |key: &str| [0, 1].map(|i| fixture[key][i].as_f64().unwrap());
        assert_close(wilson(87, 100, LEVEL), pair("ci95"));
        assert_close(jeffreys(87, 100, LEVEL), pair("jeffreys"));
        assert_close(clopper_pearson(87, 100, LEVEL), pair("clopper_pearson"));
        assert_close(wilson(0, 10, LEVEL), pair("k0"));
    }

    #[test]
    fn a_weighted_share_of_fewer_equal_samples_is_wider() {
        assert_close(wilson_weighted(0.87, 100.0, LEVEL), wilson(87, 100, LEVEL));
        let (few, many) = (wilson_weighted(0.87, 20.5, LEVEL), wilson(87, 100, LEVEL));
        assert!(few[0] < many[0] && few[1] > many[1]);
        assert_eq!(wilson_weighted(0.0, 3.0, LEVEL)[0], 0.0);
        assert_eq!(wilson_weighted(1.0, 3.0, LEVEL)[1], 1.0);
        assert_eq!(wilson_weighted(0.5, 0.0, LEVEL), [0.0, 1.0]);
    }

    #[test]
    fn intervals_without_successes_or_failures_end_at_0_or_1() {
        for interval in [wilson, jeffreys, clopper_pearson] {
            assert_eq!(interval(0, 10, LEVEL)[0], 0.0);
            assert_eq!(interval(10, 10, LEVEL)[1], 1.0);
            let (none, all) = (interval(0, 10, LEVEL), interval(10, 10, LEVEL));
            assert!((none[1] - (1.0 - all[0])).abs() < 1e-12, "not mirrored: {none:?} {all:?}");
            assert_eq!(interval(0, 0, LEVEL), [0.0, 1.0]);
        }
    }

    #[test]
    fn the_upper_bound_equals_scipy() {
        // scipy 1.17: stats.beta.ppf(.95, k + 1, n - k); for k = 0 it is 1 - .05 ** (1/n)
        for (k, n, expected) in [
            (3, 50, 0.147_837_176_364_181_23),
            (0, 29, 0.098_144_627_677_295_7),
            (12, 200, 0.095_401_417_729_877_34),
        ] {
            assert!((upper_bound(k, n, 0.95) - expected).abs() < 1e-9);
            assert!((upper_bound(k, n, 0.95) - clopper_pearson(k, n, 0.9)[1]).abs() < 1e-12);
        }
        assert_eq!(upper_bound(4, 4, 0.95), 1.0);
        assert_eq!(upper_bound(0, 0, 0.95), 1.0);
    }

    #[test]
    fn a_higher_level_is_wider() {
        // scipy 1.17: stats.beta.ppf([0.005, 0.995], [3, 4], [8, 7])
        let wide = clopper_pearson(3, 10, 0.99);
        assert!(wide[0] < clopper_pearson(3, 10, 0.95)[0]);
        assert!(wide[1] > clopper_pearson(3, 10, 0.95)[1]);
        assert_close(wide, [0.03700722109623209, 0.7351139852871307]);
    }
}
