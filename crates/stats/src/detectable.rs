//! The smallest change that two samples could have shown, and the size of a score by sampling alone.
//!
//! A score is compared with a threshold. Its noise floor is the value that sampling alone exceeds at a rate, and its
//! detectable change is the smallest true value that exceeds the threshold with a given power.

use super::{
    random::Random,
    special::{kolmogorov_survival, normal_quantile, normal_survival},
};

/// The draws of the distribution of [`wasserstein_noise`], and their seed.
const DRAWS: usize = 400;
const SEED: u64 = 29;

/// Returns the noncentrality at which a noncentral chi-squared variable exceeds `threshold` with probability `power`.
///
/// 0 if a central one does, and for no degrees of freedom. Sankaran's second normal approximation, which is accurate to
/// about 0.001 in probability.
/// Source: Sankaran, "Approximations to the non-central chi-square distribution", 1963.
///
/// # Panics
/// If `power` is not in (0, 1), or `threshold` is not finite.
#[must_use]
pub fn chi2_detectable(dof: u32, threshold: f64, power: f64) -> f64 {
    assert!(power > 0.0 && power < 1.0 && threshold.is_finite(), "a power lies in (0, 1)");
    let reached = |noncentrality: f64| exceeds(threshold, f64::from(dof), noncentrality) >= power;
    if dof == 0 || threshold <= 0.0 || reached(0.0) {
        return 0.0;
    }
    bisect(threshold.max(1.0), reached)
}

/// Returns P(X > x) of a noncentral chi-squared variable by Sankaran's approximation.
fn exceeds(x: f64, dof: f64, noncentrality: f64) -> f64 {
    let (k, l) = (dof, noncentrality);
    let h = 1.0 - 2.0 * (k + l) * (k + 3.0 * l) / (3.0 * (k + 2.0 * l).powi(2));
    let p = (k + 2.0 * l) / (k + l).powi(2);
    let m = (h - 1.0) * (1.0 - 3.0 * h);
    let center = 1.0 + h * p * (h - 1.0 - 0.5 * (2.0 - h) * m * p);
    let z = ((x / (k + l)).powf(h) - center) / (h * (2.0 * p).sqrt() * (1.0 + 0.5 * m * p));
    normal_survival(z)
}

/// Returns the Kolmogorov-Smirnov distance of two samples that sampling alone exceeds with probability `alpha`.
///
/// `n` and `m` are the sizes of the samples. 1 for an empty sample, and if no distance is that improbable. Ties make it
/// conservative.
///
/// # Panics
/// If `alpha` is not in (0, 1).
#[must_use]
pub fn ks_noise(n: u64, m: u64, alpha: f64) -> f64 {
    assert!(alpha > 0.0 && alpha < 1.0, "a rate lies in (0, 1)");
    if n == 0 || m == 0 {
        return 1.0;
    }
    let effective = (n as f64 * m as f64 / (n as f64 + m as f64)).round_ties_even().max(1.0);
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if kolmogorov_survival(middle, effective as u64) <= alpha {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Returns a Kolmogorov-Smirnov distance that is observed above `threshold` with at least the probability `power`;
/// `None` if it would be above 1.
///
/// At the place of the largest distance the difference of the two shares is nearly normal, with a standard deviation of
/// at most sqrt(1/n + 1/m) / 2; the largest observed distance is no smaller than that.
///
/// # Panics
/// If `power` is not in (0, 1).
#[must_use]
pub fn ks_detectable(n: u64, m: u64, threshold: f64, power: f64) -> Option<f64> {
    let sd = 0.5 * (1.0 / n as f64 + 1.0 / m as f64).sqrt();
    let distance = threshold + normal_quantile(power) * sd;
    (distance <= 1.0).then_some(distance)
}

/// Returns the Wasserstein distance of two samples of `n` and `m` values that sampling alone exceeds with probability
/// `alpha`, in the unit of `quantiles`.
///
/// `quantiles` are evenly spaced quantiles of the values, in rising order, from the smallest to the largest. Scaled by
/// 1 / sqrt(1/n + 1/m), the distance tends to the area under the absolute values of a Brownian bridge over the quantiles;
/// its distribution is drawn with a fixed seed. 0 for fewer than two quantiles.
/// Source: del Barrio, Giné and Matrán, "Central limit theorems for the Wasserstein distance", 1999.
///
/// # Panics
/// If `alpha` is not in (0, 1).
#[must_use]
pub fn wasserstein_noise(quantiles: &[f64], n: u64, m: u64, alpha: f64) -> f64 {
    assert!(alpha > 0.0 && alpha < 1.0, "a rate lies in (0, 1)");
    let steps = quantiles.len().saturating_sub(1);
    if steps == 0 || n == 0 || m == 0 {
        return 0.0;
    }
    let mut random = Random::new(SEED);
    let mut areas: Vec<f64> = (0..DRAWS)
        .map(|_| {
            // A walk in half steps; the bridge in the middle of each step stands for the step.
            let halves = 2 * steps;
            let (mut at, mut walk) = (0.0, Vec::with_capacity(halves));
            for _ in 0..halves {
                at += random.normal() / (halves as f64).sqrt();
                walk.push(at);
            }
            let bridge = |i: usize| walk[2 * i] - (i as f64 + 0.5) / steps as f64 * at;
            (0..steps).map(|i| bridge(i).abs() * (quantiles[i + 1] - quantiles[i])).sum()
        })
        .collect();
    areas.sort_unstable_by(f64::total_cmp);
    let rank = ((1.0 - alpha) * DRAWS as f64).ceil() as usize;
    areas[rank.clamp(1, DRAWS) - 1] * (1.0 / n as f64 + 1.0 / m as f64).sqrt()
}

/// Returns the smallest shift of all values whose Kolmogorov-Smirnov distance is at least `distance`, in the unit of
/// `quantiles` (see [`wasserstein_noise`]): the narrowest range that holds this share of the values.
///
/// 0 if a single value has this share: any shift is as large. `None` for fewer than two quantiles, or no such range.
#[must_use]
pub fn least_shift(quantiles: &[f64], distance: f64) -> Option<f64> {
    let steps = quantiles.len().saturating_sub(1);
    let width = (distance * steps as f64).ceil() as usize;
    if steps == 0 || width > steps {
        return None;
    }
    quantiles.windows(width + 1).map(|w| w[width] - w[0]).min_by(f64::total_cmp)
}

/// Returns the smallest number above 0 at which `reached` holds, to 9 digits; `reached` is monotone.
fn bisect(mut high: f64, reached: impl Fn(f64) -> bool) -> f64 {
    while !reached(high) && high < 1e300 {
        high *= 2.0;
    }
    let mut low = 0.0;
    while high - low > 1e-9 * high {
        let middle = 0.5 * (low + high);
        if reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        special::chi2_quantile,
        two_sample::{ks_2samp, sorted, wasserstein_sorted},
    };

    #[test]
    fn noncentralities_equal_those_of_scipy() {
        // scipy 1.17: brentq(lambda l: stats.ncx2.sf(stats.chi2.ppf(0.95, k), k, l) - 0.9, 0, 200)
        for (dof, expected) in [(1, 10.5074), (3, 14.1715), (9, 19.8291), (76, 43.9489)] {
            let found = chi2_detectable(dof, chi2_quantile(0.95, dof), 0.9);
            assert!((found / expected - 1.0).abs() < 0.01, "{dof}: {found} is not {expected}");
        }
        assert_eq!(chi2_detectable(0, 3.0, 0.9), 0.0);
        assert_eq!(chi2_detectable(50, 1.0, 0.9), 0.0);
    }

    #[test]
    fn a_detectable_distance_is_found_with_its_power() {
        let (n, m) = (400_u64, 300_u64);
        let noise = ks_noise(n, m, 0.05);
        assert!((noise / (1.3581 * (1.0 / 400.0 + 1.0 / 300.0_f64).sqrt()) - 1.0).abs() < 0.03);
        let distance = ks_detectable(n, m, noise, 0.9).unwrap();
        let mut random = Random::new(3);
        let mut draw =
            |n: u64, shift: f64| (0..n).map(|_| random.unit() + shift).collect::<Vec<_>>();
        let rate = |hits: usize| hits as f64 / 300.0;
        let over = |draw: &mut dyn FnMut(u64, f64) -> Vec<f64>, shift: f64| {
            (0..300).filter(|_| ks_2samp(&draw(n, 0.0), &draw(m, shift)).statistic > noise).count()
        };
        // For uniform values the distance is the shift.
        assert!(rate(over(&mut draw, distance)) >= 0.9);
        assert!(rate(over(&mut draw, 0.4 * distance)) < 0.6);
        assert!(rate(over(&mut draw, 0.0)) <= 0.09);
        assert_eq!(ks_detectable(4, 4, 0.9, 0.9), None);
        assert_eq!(ks_noise(0, 9, 0.05), 1.0);
    }

    #[test]
    fn the_noise_of_the_wasserstein_distance_is_exceeded_at_its_rate() {
        let mut random = Random::new(5);
        let mut draw = |n: usize| {
            sorted((0..n).map(|_| random.unit() + random.unit() + random.unit()).collect())
        };
        let all = draw(20_000);
        let quantiles: Vec<f64> = (0..=50).map(|i| all[(i * 19_999) / 50]).collect();
        let noise = wasserstein_noise(&quantiles, 300, 200, 0.05);
        let over = (0..400)
            .filter(|_| wasserstein_sorted(&draw(300), &draw(200)).unwrap() > noise)
            .count();
        assert!((8..=34).contains(&over), "{over} of 400");
        assert_eq!(wasserstein_noise(&[1.0], 9, 9, 0.05), 0.0);
    }

    #[test]
    fn a_shift_is_measured_by_the_narrowest_range() {
        let quantiles: Vec<f64> = (0..=100).map(|i| f64::from(i) / 10.0).collect();
        assert!((least_shift(&quantiles, 0.2).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(least_shift(&[0.0, 0.0, 0.0, 4.0], 0.5), Some(0.0));
        assert_eq!(least_shift(&quantiles, 1.1), None);
        assert_eq!(least_shift(&[], 0.1), None);
    }
}
