//! Expected accuracy from calibrated confidence, without labels.

/// The bounds of the log-odds of a confidence: beyond, a sigmoid would say more than any number of samples can.
const MOST_LOG_ODDS: f64 = 9.0;
/// The weight, in samples, of the belief that a confidence is calibrated as it is.
const PRIOR: f64 = 1.0;

/// Returns the expected share of right predictions and its standard deviation, given the probability of each prediction to be
/// right: the mean p, and sqrt(sum p (1 - p)) / n, of a Poisson-binomial variable. `[0, 0]` for none.
///
/// It says nothing about errors of the probabilities themselves.
#[must_use]
pub fn expected_accuracy(probabilities: &[f64]) -> [f64; 2] {
    let cells: Vec<(f64, f64)> = probabilities.iter().map(|&p| (p, 1.0)).collect();
    expected_accuracy_of(&cells)
}

/// Returns [`expected_accuracy`] of probabilities with a number of predictions each.
#[must_use]
pub fn expected_accuracy_of(cells: &[(f64, f64)]) -> [f64; 2] {
    let (mut sum, mut variance, mut n) = (0.0, 0.0, 0.0);
    for &(p, count) in cells {
        sum += count * p;
        variance += count * p * (1.0 - p);
        n += count;
    }
    if n == 0.0 { [0.0, 0.0] } else { [sum / n, variance.sqrt() / n] }
}

/// Returns the log-odds of a confidence, within ±9.
#[must_use]
pub fn log_odds(confidence: f64) -> f64 {
    let odds = confidence / (1.0 - confidence);
    odds.ln().clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)
}

/// Predictions of equal log-odds, of which some are right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcomes {
    /// Their log-odds.
    pub log_odds: f64,
    /// The weight of the right ones.
    pub right: f64,
    /// The weight of the wrong ones.
    pub wrong: f64,
}

/// A map from confidence to the probability that the prediction is right: sigmoid(a + b log-odds).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recalibration {
    /// The intercept; 0 if the confidence is calibrated.
    pub a: f64,
    /// The slope; 1 if the confidence is calibrated.
    pub b: f64,
}

impl Recalibration {
    /// The confidence as it is.
    pub const IDENTITY: Self = Self { a: 0.0, b: 1.0 };

    /// Fits the map by maximum likelihood, with a penalty worth one sample that pulls it to [`Self::IDENTITY`], so that it exists
    /// for any outcomes.
    ///
    /// Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, on log-odds.
    #[must_use]
    pub fn fit(outcomes: &[Outcomes]) -> Self {
        let mut it = Self::IDENTITY;
        let mut loss = it.loss(outcomes);
        for _ in 0..50 {
            // The gradient and the Hessian of the penalized negative log likelihood.
            let (mut ga, mut gb) = (PRIOR * it.a, PRIOR * (it.b - 1.0));
            let (mut haa, mut hab, mut hbb) = (PRIOR, 0.0, PRIOR);
            for outcome in outcomes {
                let weight = outcome.right + outcome.wrong;
                let p = it.probability_of(outcome.log_odds);
                let (gap, curvature) = (weight * p - outcome.right, weight * p * (1.0 - p));
                ga += gap;
                gb += gap * outcome.log_odds;
                haa += curvature;
                hab += curvature * outcome.log_odds;
                hbb += curvature * outcome.log_odds * outcome.log_odds;
            }
            let determinant = haa * hbb - hab * hab;
            let (da, db) =
                ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
            let mut step = 1.0;
            let (next, next_loss) = loop {
                let next = Self { a: it.a - step * da, b: it.b - step * db };
                let next_loss = next.loss(outcomes);
                if next_loss <= loss || step < 1e-6 {
                    break (next, next_loss);
                }
                step *= 0.5;
            };
            let change = (next.a - it.a).abs() + (next.b - it.b).abs();
            if next_loss > loss {
                break;
            }
            (it, loss) = (next, next_loss);
            if change < 1e-9 {
                break;
            }
        }
        it
    }

    fn loss(self, outcomes: &[Outcomes]) -> f64 {
        let penalty = 0.5 * PRIOR * (self.a * self.a + (self.b - 1.0).powi(2));
        let softplus = |x: f64| if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
        let loss = |it: &Outcomes| {
            let x = self.a + self.b * it.log_odds;
            it.right * softplus(-x) + it.wrong * softplus(x)
        };
        penalty + outcomes.iter().map(loss).sum::<f64>()
    }

    /// Returns the probability that a prediction with these log-odds is right.
    #[inline]
    #[must_use]
    pub fn probability_of(self, log_odds: f64) -> f64 {
        1.0 / (1.0 + (-(self.a + self.b * log_odds)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{random::Random, reference};

    #[test]
    fn the_expected_accuracy_equals_the_reference_value() {
        let fixture = &reference()["cbpe_accuracy"];
        let p: Vec<f64> = serde_json::from_value(fixture["max_calibrated_prob"].clone()).unwrap();
        let [mean, deviation] = expected_accuracy(&p);
        assert!((mean - fixture["expected_accuracy"].as_f64().unwrap()).abs() < 1e-9);
        assert!((deviation - fixture["sd_poisson_binomial"].as_f64().unwrap()).abs() < 1e-9);
        let cells: Vec<(f64, f64)> = p.iter().map(|&p| (p, 3.0)).collect();
        let [many, narrow] = expected_accuracy_of(&cells);
        assert!((many - mean).abs() < 1e-12 && (narrow * 3.0_f64.sqrt() - deviation).abs() < 1e-12);
        assert_eq!(expected_accuracy(&[]), [0.0, 0.0]);
    }

    #[test]
    fn the_fit_finds_the_map_that_made_the_outcomes() {
        let truth = Recalibration { a: -0.7, b: 0.6 };
        let mut random = Random::new(5);
        let outcomes: Vec<Outcomes> = (0..20_000)
            .map(|_| {
                let log_odds = log_odds(random.unit());
                let is_right = random.unit() < truth.probability_of(log_odds);
                let right = f64::from(u8::from(is_right));
                Outcomes { log_odds, right, wrong: 1.0 - right }
            })
            .collect();
        let found = Recalibration::fit(&outcomes);
        assert!((found.a - truth.a).abs() < 0.06 && (found.b - truth.b).abs() < 0.04, "{found:?}");
        // At the optimum, the fitted probabilities add up to the right ones, but for the penalty.
        let sum: f64 = outcomes.iter().map(|it| found.probability_of(it.log_odds)).sum();
        let right: f64 = outcomes.iter().map(|it| it.right).sum();
        assert!((sum - right).abs() < 1.0, "{sum} is not {right}");
    }

    #[test]
    fn outcomes_without_a_failure_or_without_any_have_a_fit() {
        assert_eq!(Recalibration::fit(&[]), Recalibration::IDENTITY);
        let sure = Recalibration::fit(&[Outcomes { log_odds: 2.0, right: 900.0, wrong: 0.0 }]);
        assert!(sure.a.is_finite() && sure.b.is_finite() && sure.probability_of(2.0) > 0.98);
        let none = Recalibration::fit(&[Outcomes { log_odds: 2.0, right: 0.0, wrong: 900.0 }]);
        assert!(none.probability_of(2.0) < 0.02);
        assert!((log_odds(1.0), log_odds(0.0)) == (9.0, -9.0));
    }
}
