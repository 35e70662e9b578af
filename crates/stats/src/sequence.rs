//! Confidence sequences of a mean: bounds that hold at all times at once, so that data may be looked at as it arrives.

/// The variance parameter of the asymptotic sequence: it is narrowest after about 100 to 1,000 values.
const RHO: f64 = 0.1;
/// The largest share of the capital that is bet.
const MOST_BET: f64 = 0.5;

/// Returns the radius of the asymptotic confidence sequence after `t` values with the standard deviation `sigma`.
///
/// sigma sqrt(2 (t rho^2 + 1) / (t^2 rho^2) ln(sqrt(t rho^2 + 1) / alpha)). Infinite for `t` = 0.
/// Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
/// sequences", 2024.
#[must_use]
pub fn asymptotic_radius(t: u64, sigma: f64, alpha: f64, rho: f64) -> f64 {
    let t = t as f64;
    let grown = t * rho * rho + 1.0;
    sigma * (2.0 * grown / (t * t * rho * rho) * (grown.sqrt() / alpha).ln()).sqrt()
}

/// Returns the asymptotic confidence sequence of a mean: `[lower, upper]`.
#[must_use]
pub fn asymptotic_interval(mean: f64, sigma: f64, t: u64, alpha: f64) -> [f64; 2] {
    let radius = asymptotic_radius(t, sigma, alpha, RHO);
    [mean - radius, mean + radius]
}

/// A lower bound by betting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowerBound {
    /// The lower bound of the mean after all values.
    pub lower: f64,
    /// The number of the value, from 1, at which the bound first exceeded the tolerated mean.
    pub since: Option<u64>,
}

/// Returns the lower bound, at 1 - `alpha` at all times at once, of the mean of values in [0, 1], by betting against small
/// means.
///
/// The capital against the mean m is the product of 1 + b_i (x_i - m), where the bet b_i depends on earlier values only,
/// by the predictable plug-in rule; it is at most half of what could be lost. The means with a capital of 1 / `alpha` or
/// more are excluded. `tolerated`, in (0, 1), is the mean that [`LowerBound::since`] refers to. No assumption is made on the
/// distribution except that the mean, given the earlier values, does not change.
/// Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024.
#[must_use]
pub fn betting_lower_bound(values: &[f64], tolerated: f64, alpha: f64) -> LowerBound {
    let goal = (1.0 / alpha).ln();
    // Bets before they are limited by the mean that they are against.
    let mut bets = Vec::with_capacity(values.len());
    let (mut sum, mut squares) = (0.5, 0.25);
    for (i, value) in values.iter().enumerate() {
        let t = i as f64 + 1.0;
        let variance: f64 = squares / t;
        bets.push((2.0 * goal / (variance * t * (t + 1.0).ln())).sqrt());
        sum += value;
        let mean = sum / (t + 1.0);
        squares += (value - mean).powi(2);
    }
    let gain = |mean: f64, i: usize| {
        let bet = bets[i].min(MOST_BET / mean);
        (bet * (values[i] - mean)).ln_1p()
    };
    let mut capital = 0.0;
    let since = (0..values.len()).find(|&i| {
        capital += gain(tolerated, i);
        capital >= goal
    });
    let reaches = |mean: f64| (0..values.len()).map(|i| gain(mean, i)).sum::<f64>() >= goal;
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if reaches(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    LowerBound { lower: low, since: since.map(|i| i as u64 + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_radius_equals_the_reference_values() {
        let fixture = crate::reference();
        for row in fixture["asymptotic_cs_radius"]["rows"].as_array().unwrap() {
            let number = |key: &str| row[key].as_f64().unwrap();
            let t = row["t"].as_u64().unwrap();
            let found = asymptotic_radius(t, number("sigma"), number("alpha"), number("rho"));
            assert!((found - number("radius")).abs() < 1e-9, "{found} at {row}");
        }
    }

    #[test]
    fn the_lower_bound_is_below_the_mean_at_all_times_and_comes_near_it() {
        let mut random = Random::new(21);
        let (mut over, mut sum) = (0, 0.0);
        for _ in 0..200 {
            let values: Vec<f64> =
                (0..800).map(|_| f64::from(u8::from(random.unit() < 0.2))).collect();
            let found = betting_lower_bound(&values, 0.2, 0.1);
            over += u32::from(found.since.is_some());
            sum += found.lower;
        }
        assert!(over <= 30, "{over} of 200 exceeded the mean at some time");
        assert!((0.13..0.2).contains(&(sum / 200.0)), "{}", sum / 200.0);
        let none = betting_lower_bound(&[], 0.2, 0.1);
        assert!(none.lower < 1e-6 && none.since.is_none());
    }
}
