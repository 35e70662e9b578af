//! Divergences between two sets of counts: effect sizes, and their size by sampling alone.

use super::special::{chi2_quantile, chi2_survival};

/// Returns the population stability index with Jeffreys pseudo-counts; 0 for no bins.
///
/// `reference` and `current` are `[n_bins]` counts of the same bins, in the same order.
/// PSI = sum of (p - q) ln(p / q) with p = (c + 1/2) / (n + K/2) on either side, so it is finite for empty bins.
/// Source: Siddiqi 2006; Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn psi(reference: &[u64], current: &[u64]) -> f64 {
    assert_eq!(reference.len(), current.len(), "both sides have the same bins");
    let smooth = |counts: &[u64]| {
        let n: u64 = counts.iter().sum();
        let denominator = n as f64 + 0.5 * counts.len() as f64;
        counts.iter().map(|&c| (c as f64 + 0.5) / denominator).collect::<Vec<_>>()
    };
    let (p, q) = (smooth(reference), smooth(current));
    p.iter().zip(&q).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// Returns the PSI that sampling alone exceeds with probability `alpha`, if the distribution did not change.
///
/// `n_reference` and `n_current` are numbers of rows, `n_bins` is the number of compared bins.
/// (1/n + 1/m) * chi2 quantile of 1 - `alpha` at K - 1 degrees of freedom; infinite for an empty side.
/// The approximation is good from an expected count of about 5 per bin on both sides. Source: Yurdakul and Naranjo 2020.
#[must_use]
pub fn psi_noise(n_reference: u64, n_current: u64, n_bins: usize, alpha: f64) -> f64 {
    sampling_scale(n_reference, n_current) * chi2_quantile(1.0 - alpha, dof(n_bins))
}

/// Returns the p-value of a PSI: P(chi2 at K - 1 >= PSI / (1/n + 1/m)); 1 for an empty side.
///
/// Source: Yurdakul and Naranjo 2020.
#[must_use]
pub fn psi_p_value(psi: f64, n_reference: u64, n_current: u64, n_bins: usize) -> f64 {
    let scale = sampling_scale(n_reference, n_current);
    if scale.is_infinite() { 1.0 } else { chi2_survival(psi / scale, dof(n_bins)) }
}

fn sampling_scale(n_reference: u64, n_current: u64) -> f64 {
    1.0 / n_reference as f64 + 1.0 / n_current as f64
}

fn dof(n_bins: usize) -> u32 {
    u32::try_from(n_bins.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// Returns the Jensen-Shannon distance, in [0, sqrt(ln 2)]; 0 if either side is empty.
///
/// `reference` and `current` are `[n_bins]` counts of the same bins, in the same order.
/// The square root of (KL(p, m) + KL(q, m)) / 2 with m = (p + q) / 2, natural logarithm, no pseudo-counts.
/// Source: Lin, "Divergence measures based on the Shannon entropy", 1991.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn js_distance(reference: &[u64], current: &[u64]) -> f64 {
    assert_eq!(reference.len(), current.len(), "both sides have the same bins");
    let n = reference.iter().sum::<u64>() as f64;
    let m = current.iter().sum::<u64>() as f64;
    if n == 0.0 || m == 0.0 {
        return 0.0;
    }
    let half = |p: f64, middle: f64| if p > 0.0 { p * (p / middle).ln() / 2.0 } else { 0.0 };
    let divergence: f64 = reference
        .iter()
        .zip(current)
        .map(|(&r, &c)| {
            let (p, q) = (r as f64 / n, c as f64 / m);
            half(p, (p + q) / 2.0) + half(q, (p + q) / 2.0)
        })
        .sum();
    // Rounding may make the divergence of equal shares slightly negative.
    divergence.max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json")).unwrap()
    }

    fn counts(value: &serde_json::Value) -> Vec<u64> {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn close(got: f64, expected: &serde_json::Value) {
        let expected = expected.as_f64().unwrap();
        assert!((got - expected).abs() <= 1e-9, "{got} is not {expected}");
    }

    #[test]
    fn psi_and_its_noise_equal_the_reference_values() {
        let all = fixture();
        let psi_values = &all["psi"];
        let (r, c) = (counts(&psi_values["ref"]), counts(&psi_values["cur"]));
        let value = psi(&r, &c);
        close(value, &psi_values["jeffreys_half"]);
        close(psi_noise(1_000, 1_000, 6, 0.05), &psi_values["crit_05_chi2"]);
        close(psi_p_value(value, 1_000, 1_000, 6), &psi_values["p_value_chi2_approx"]);
    }

    #[test]
    fn js_distance_equals_the_reference_value_in_natural_logarithms() {
        let all = fixture();
        let (r, c) = (counts(&all["psi"]["ref"]), counts(&all["psi"]["cur"]));
        close(js_distance(&r, &c), &all["divergences"]["js_distance_ln"]);
    }

    #[test]
    fn equal_shares_have_distance_zero_and_disjoint_ones_the_largest() {
        assert_eq!(js_distance(&[10, 20, 30], &[100, 200, 300]), 0.0);
        let disjoint = js_distance(&[7, 0], &[0, 3]);
        assert!((disjoint - 2_f64.ln().sqrt()).abs() < 1e-15);
        assert_eq!(js_distance(&[0, 0], &[1, 2]), 0.0);
        assert_eq!(psi(&[], &[]), 0.0);
        assert!(psi_noise(0, 10, 3, 0.05).is_infinite());
        assert_eq!(psi_p_value(0.5, 0, 10, 3), 1.0);
    }
}
