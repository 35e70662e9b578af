//! Label noise: the share of wrong labels and the probability that a label is wrong, fitted to out-of-fold scores.

use super::calibration::softmax;

/// A model of labels of which a share is wrong.
///
/// A record has the label g with probability (1 - r) q_g + r (1 - q_g) / (K - 1). Here q is the distribution of its true
/// class, computed from its scores at a temperature, and r is the rate of wrong labels, which are uniform over the
/// K - 1 other classes. Rate and temperature are fitted together by maximum likelihood, so that a few wrong labels do
/// not lower the confidence of the model, and an uncertain model does not make labels look wrong.
///
/// - `rate` is in [0, 0.5]
/// - `temperature` is in [0.05, 20]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelNoise {
    /// The estimated share of wrong labels.
    pub rate: f64,
    /// The divisor of the scores.
    pub temperature: f64,
}

const TEMPERATURES: [f64; 2] = [0.05, 20.0];
const LARGEST_RATE: f64 = 0.5;
/// The number of grid temperatures, each 1.37 times the one before; the best is refined.
const GRID: usize = 20;

impl LabelNoise {
    /// Fits rate and temperature; rate 0 and temperature 1 for no rows or a single class.
    ///
    /// `scores` is `[n_samples, n_classes]` row by row, out of fold; `given` is `[n_samples]`. The log-likelihood is
    /// concave in the rate, so the best rate for a temperature is found by bisection. Temperatures are searched on a
    /// grid, and around the best grid point by golden-section search.
    ///
    /// # Panics
    /// If the lengths do not match, or a class is not below `n_classes`.
    #[must_use]
    pub fn fit(scores: &[f64], n_classes: usize, given: &[usize]) -> Self {
        assert_eq!(scores.len(), n_classes * given.len(), "one score per class and record");
        if given.is_empty() || n_classes < 2 {
            return Self { rate: 0.0, temperature: 1.0 };
        }
        let at = |log: f64| {
            let q = proba_of_given(scores, n_classes, given, log.exp());
            let rate = best_rate(&q, n_classes);
            (log_likelihood(&q, n_classes, rate), rate)
        };
        let [low, high] = TEMPERATURES.map(f64::ln);
        let step = (high - low) / (GRID - 1) as f64;
        let points: Vec<(f64, f64)> =
            (0..GRID).map(|i| low + step * i as f64).map(|log| (log, at(log).0)).collect();
        let best = points.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("the grid has points").0;
        // Golden-section search, to 0.1 % of the temperature.
        let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut a, mut b) = ((best - step).max(low), (best + step).min(high));
        let (mut c, mut d) = (b - ratio * (b - a), a + ratio * (b - a));
        let (mut at_c, mut at_d) = (at(c).0, at(d).0);
        while b - a > 1e-3 {
            if at_c > at_d {
                (b, d, at_d) = (d, c, at_c);
                c = b - ratio * (b - a);
                at_c = at(c).0;
            } else {
                (a, c, at_c) = (c, d, at_d);
                d = a + ratio * (b - a);
                at_d = at(d).0;
            }
        }
        let log = f64::midpoint(a, b);
        Self { rate: at(log).1, temperature: log.exp() }
    }

    /// Returns the probability that a label is wrong, in [0, 1], if its class has the probability `proba_given`.
    ///
    /// r (1 - q) / (K - 1) / ((1 - r) q + r (1 - q) / (K - 1)); 0 if the rate is 0.
    #[must_use]
    pub fn probability_wrong(&self, proba_given: f64, n_classes: usize) -> f64 {
        let wrong = self.rate * (1.0 - proba_given) / (n_classes.max(2) - 1) as f64;
        match (1.0 - self.rate) * proba_given + wrong {
            0.0 => 0.0,
            all => wrong / all,
        }
    }
}

/// Returns the probability of the given class of each row at `temperature`.
fn proba_of_given(scores: &[f64], n_classes: usize, given: &[usize], temperature: f64) -> Vec<f64> {
    let mut proba = vec![0.0; n_classes];
    scores
        .chunks_exact(n_classes)
        .zip(given)
        .map(|(scores, &class)| {
            proba.copy_from_slice(scores);
            softmax(&mut proba, temperature);
            proba[class]
        })
        .collect()
}

/// Returns the mean log-likelihood of labels; `q` are the probabilities of their classes.
fn log_likelihood(q: &[f64], n_classes: usize, rate: f64) -> f64 {
    let others = (n_classes - 1) as f64;
    // A probability that underflowed counts as the smallest positive number.
    let of = |q: &f64| ((1.0 - rate) * q + rate * (1.0 - q) / others).max(f64::MIN_POSITIVE).ln();
    q.iter().map(of).sum::<f64>() / q.len() as f64
}

/// Returns the rate with the highest log-likelihood: where its slope is 0, or an end of the range.
fn best_rate(q: &[f64], n_classes: usize) -> f64 {
    let others = (n_classes - 1) as f64;
    let slope = |rate: f64| -> f64 {
        q.iter()
            .map(|q| {
                let (right, wrong) = (q, (1.0 - q) / others);
                (wrong - right) / ((1.0 - rate) * right + rate * wrong).max(f64::MIN_POSITIVE)
            })
            .sum()
    };
    let (mut low, mut high) = (0.0, LARGEST_RATE);
    if slope(low) <= 0.0 {
        return low;
    }
    if slope(high) >= 0.0 {
        return high;
    }
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Draws scores at temperature 2, truths distributed by them, and labels of which the share `rate` is wrong.
    fn draw(n: usize, n_classes: usize, rate: f64) -> (Vec<f64>, Vec<usize>, Vec<bool>) {
        let mut random = Random::new(5);
        let (mut scores, mut given, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            let own: Vec<f64> =
                (0..n_classes).map(|_| 8.0 * random.unit() * random.unit()).collect();
            let mut proba = own.clone();
            softmax(&mut proba, 1.0);
            let mut left = random.unit();
            let truth = (0..n_classes)
                .find(|&class| {
                    left -= proba[class];
                    left < 0.0
                })
                .unwrap_or(n_classes - 1);
            let is_wrong = random.unit() < rate;
            given.push(match is_wrong {
                true => (truth + 1 + random.below(n_classes - 1)) % n_classes,
                false => truth,
            });
            wrong.push(is_wrong);
            scores.extend(own.iter().map(|score| 2.0 * score));
        }
        (scores, given, wrong)
    }

    #[test]
    fn rate_and_temperature_are_recovered() {
        for rate in [0.0, 0.05, 0.2] {
            let (scores, given, wrong) = draw(20_000, 6, rate);
            let fitted = LabelNoise::fit(&scores, 6, &given);
            assert!((fitted.rate - rate).abs() < 0.01, "{rate}: {fitted:?}");
            assert!((fitted.temperature - 2.0).abs() < 0.1, "{rate}: {fitted:?}");
            // The probabilities add up to about the number of wrong labels.
            let q = proba_of_given(&scores, 6, &given, fitted.temperature);
            let p: Vec<f64> = q.iter().map(|q| fitted.probability_wrong(*q, 6)).collect();
            let n_wrong = wrong.iter().filter(|wrong| **wrong).count() as f64;
            assert!((p.iter().sum::<f64>() - n_wrong).abs() < 0.01 * 20_000.0);
        }
    }

    #[test]
    fn the_probability_equals_a_hand_computed_value() {
        // 0.1 * 0.96 / 3 = 0.032 of 0.9 * 0.04 + 0.032 = 0.068.
        let noise = LabelNoise { rate: 0.1, temperature: 1.0 };
        assert!((noise.probability_wrong(0.04, 4) - 0.032 / 0.068).abs() < 1e-12);
        assert_eq!(noise.probability_wrong(0.0, 4), 1.0);
        assert_eq!(noise.probability_wrong(1.0, 4), 0.0);
        let none = LabelNoise { rate: 0.0, temperature: 1.0 };
        assert_eq!(none.probability_wrong(0.0, 4), 0.0);
    }

    #[test]
    fn without_data_there_is_no_noise() {
        let none = LabelNoise { rate: 0.0, temperature: 1.0 };
        assert_eq!(LabelNoise::fit(&[], 3, &[]), none);
        assert_eq!(LabelNoise::fit(&[1.0, 2.0], 1, &[0, 0]), none);
    }
}
