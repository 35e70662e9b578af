//! Tests that come one after another, such as one a week: the level of each, so that false alarms stay rare over the years.

/// The share of the error rate that is spent before the first discovery.
const FIRST: f64 = 0.5;
/// The factor that makes the sum of [`gamma`] over all t >= 1 one.
const SCALE: f64 = 0.077_208_38;

/// Returns the share of the wealth that is spent on the test `t` steps after it was earned, t >= 1.
///
/// gamma_t = 0.0772 log(max(t, 2)) / (t exp(sqrt(log t))), whose sum is 1.
fn gamma(t: u64) -> f64 {
    let t = t as f64;
    SCALE * t.max(2.0).ln() / (t * t.ln().sqrt().exp())
}

/// Returns the level of test number `t`, from 1, of LORD++ with the false discovery rate `alpha`.
///
/// `discoveries` are the numbers of the earlier tests that alarmed, in rising order. A p-value of at most this level is a
/// discovery. If nothing ever changes, the probability of any alarm over all tests is at most `alpha`.
/// Source: Ramdas, Yang, Wainwright and Jordan, "Online control of the false discovery rate with decaying memory", 2017.
///
/// # Panics
/// If `t` is 0 or `alpha` is not in (0, 1).
#[must_use]
pub fn lord_level(t: u64, discoveries: &[u64], alpha: f64) -> f64 {
    assert!(
        t > 0 && alpha > 0.0 && alpha < 1.0,
        "tests are numbered from 1, and a rate lies in (0, 1)"
    );
    let w0 = FIRST * alpha;
    let earned = |at: u64, wealth: f64| if at < t { wealth * gamma(t - at) } else { 0.0 };
    let mut level = gamma(t) * w0;
    for (i, &at) in discoveries.iter().enumerate() {
        level += earned(at, if i == 0 { alpha - w0 } else { alpha });
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_sum_to_the_wealth_and_discoveries_earn_more() {
        let spent: f64 = (1..=2_000_000).map(|t| lord_level(t, &[], 0.05)).sum();
        // The sum converges slowly: two million tests spend a little more than half of the wealth.
        assert!(spent < 0.025 && spent > 0.013, "{spent}");
        // gamma_1 = 0.0772 ln 2; gamma_2 = 0.0772 ln 2 / (2 exp(sqrt(ln 2))).
        assert!((lord_level(1, &[], 0.05) - 0.025 * 0.077_208_38 * 2_f64.ln()).abs() < 1e-12);
        let second = 0.025 * 0.077_208_38 * 2_f64.ln() / (2.0 * 2_f64.ln().sqrt().exp());
        assert!((lord_level(2, &[], 0.05) - second).abs() < 1e-12);
        assert!(lord_level(52, &[51], 0.05) > 30.0 * lord_level(52, &[], 0.05));
        assert!(lord_level(52, &[50, 51], 0.05) > lord_level(52, &[51], 0.05));
        assert_eq!(lord_level(3, &[3], 0.05), lord_level(3, &[], 0.05));
    }
}
