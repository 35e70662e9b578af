//! The power law of error over sample size, which extrapolates a learning curve.

/// A power law: error(n) = floor + scale * n^-rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerLaw {
    /// The error that remains with any amount of data, >= 0.
    pub floor: f64,
    /// The error above the floor at size 1, >= 0.
    pub scale: f64,
    /// The exponent, > 0.
    pub rate: f64,
}

/// The candidate rates, in units of [`STEP`]. Rate 1 halves the error above the floor with twice the data.
const RATES: std::ops::RangeInclusive<u32> = 1..=200;
/// The step between candidate rates.
const STEP: f64 = 0.01;

impl PowerLaw {
    /// Fits (size, error) points by least squares; `None` for fewer than three points, a size that is not above 0, or a
    /// number that is not finite.
    ///
    /// For each rate from 0.01 to 2 in steps of 0.01, the best floor and scale, neither below 0, are a linear problem.
    /// Source: Cortes, Jackel, Solla, Vapnik and Denker, "Learning Curves: Asymptotic Values and Rate of
    /// Convergence", NIPS 1993.
    #[must_use]
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let sound = |(n, error): &(f64, f64)| *n > 0.0 && n.is_finite() && error.is_finite();
        if points.len() < 3 || !points.iter().all(sound) {
            return None;
        }
        RATES
            .map(|rate| Self::at(f64::from(rate) * STEP, points))
            .map(|law| (law.squares(points), law))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, law)| law)
    }

    /// Returns the predicted error at size `n`.
    #[must_use]
    pub fn error(&self, n: f64) -> f64 {
        self.floor + self.scale * n.powf(-self.rate)
    }

    fn at(rate: f64, points: &[(f64, f64)]) -> Self {
        let count = points.len() as f64;
        let x = |n: f64| n.powf(-rate);
        let mean_x = points.iter().map(|(n, _)| x(*n)).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let (mut xy, mut xx) = (0.0, 0.0);
        for &(n, y) in points {
            xy += (x(n) - mean_x) * (y - mean_y);
            xx += (x(n) - mean_x).powi(2);
        }
        let scale = if xx > 0.0 { (xy / xx).max(0.0) } else { 0.0 };
        let floor = mean_y - scale * mean_x;
        if floor >= 0.0 {
            return Self { floor, scale, rate };
        }
        let (xy, xx) =
            points.iter().fold((0.0, 0.0), |(xy, xx), &(n, y)| (xy + x(n) * y, xx + x(n) * x(n)));
        Self { floor: 0.0, scale: (xy / xx).max(0.0), rate }
    }

    fn squares(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|&(n, y)| (self.error(n) - y).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_of_exact_points_is_recovered() {
        let law = PowerLaw { floor: 0.05, scale: 3.0, rate: 0.6 };
        let points = [100.0, 200.0, 400.0, 800.0, 1_600.0].map(|n| (n, law.error(n)));
        let found = PowerLaw::fit(&points).unwrap();
        assert!((found.rate - 0.6).abs() < 1e-9 && (found.floor - 0.05).abs() < 1e-9, "{found:?}");
        assert!((found.error(3_200.0) - law.error(3_200.0)).abs() < 1e-9);
    }

    #[test]
    fn predicted_errors_are_never_negative() {
        // A straight line that falls with n: an unconstrained fit would cross 0.
        let points = [(1.0, 0.4), (2.0, 0.2), (3.0, 0.05), (4.0, 0.01)];
        let found = PowerLaw::fit(&points).unwrap();
        assert!(found.floor >= 0.0 && found.error(1e9) >= 0.0, "{found:?}");
    }

    #[test]
    fn rising_errors_give_a_flat_law_and_two_points_give_none() {
        let found = PowerLaw::fit(&[(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]).unwrap();
        assert!((found.error(100.0) - 0.2).abs() < 1e-9, "{found:?}");
        assert_eq!(PowerLaw::fit(&[(1.0, 0.1), (2.0, 0.2)]), None);
        assert_eq!(PowerLaw::fit(&[(0.0, 0.1), (1.0, 0.1), (2.0, 0.2)]), None);
    }
}
