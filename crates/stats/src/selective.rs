//! Selective classification: risk against coverage, and thresholds with a bounded risk.

use super::intervals::upper_bound;
use statrs::function::beta::beta_reg;

/// Returns the area under the risk-coverage curve, in [0, 1]; NaN for no samples.
///
/// Samples are (score, whether the answer is wrong) and are answered in order of falling scores:
/// AURC = mean over i = 1..n of the share of wrong answers among the first i. Samples with equal scores each count as
/// their mean, so that their order does not matter.
/// Source: Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", `NeurIPS` 2017.
#[must_use]
pub fn area_under_risk_coverage(samples: &[(f64, bool)]) -> f64 {
    RiskCoverage::of(samples).area(&vec![1; samples.len()])
}

/// Samples sorted by score, for repeated measurements with different weights.
#[derive(Debug, Clone)]
pub struct RiskCoverage {
    /// The samples, highest score first.
    order: Vec<usize>,
    /// The end of each run of equal scores in `order`.
    ties: Vec<usize>,
    wrong: Vec<bool>,
}

impl RiskCoverage {
    /// Sorts `samples`, which are (score, whether the answer is wrong); scores are finite (NaN sorts first).
    #[must_use]
    pub fn of(samples: &[(f64, bool)]) -> Self {
        let mut order: Vec<usize> = (0..samples.len()).collect();
        order.sort_by(|&a, &b| samples[b].0.total_cmp(&samples[a].0));
        let score = |rank: usize| samples[order[rank]].0;
        let mut ties: Vec<usize> =
            (1..order.len()).filter(|&rank| score(rank - 1) != score(rank)).collect();
        ties.push(order.len());
        Self { order, ties, wrong: samples.iter().map(|(_, wrong)| *wrong).collect() }
    }

    /// Returns [`area_under_risk_coverage`] with sample i counted `counts[i]` times; NaN if all counts are 0.
    ///
    /// # Panics
    /// If `counts` is shorter than the samples.
    #[must_use]
    pub fn area(&self, counts: &[u32]) -> f64 {
        let (mut seen, mut wrong, mut sum) = (0_u64, 0.0, 0.0);
        let mut start = 0;
        for &end in &self.ties {
            let (mut n, mut errors) = (0_u64, 0_u64);
            for &sample in &self.order[start..end] {
                let count = u64::from(counts[sample]);
                n += count;
                errors += count * u64::from(self.wrong[sample]);
            }
            let each = errors as f64 / n.max(1) as f64;
            for _ in 0..n {
                seen += 1;
                wrong += each;
                sum += wrong / seen as f64;
            }
            start = end;
        }
        sum / seen as f64
    }
}

/// The number of answers at a threshold, and of wrong ones among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The number of answered samples.
    pub n: u64,
    /// The number of wrong answers, at most `n`.
    pub wrong: u64,
}

impl Answered {
    /// Counts the samples with a score of at least `threshold`; samples are (score, whether the answer is wrong).
    #[must_use]
    pub fn at(threshold: f64, samples: &[(f64, bool)]) -> Self {
        let answered = samples.iter().filter(|(score, _)| *score >= threshold);
        answered.fold(Self { n: 0, wrong: 0 }, |sum, (_, wrong)| Self {
            n: sum.n + 1,
            wrong: sum.wrong + u64::from(*wrong),
        })
    }

    /// Returns whether [`Self::risk_bound`] at `level` is at most `most`; much faster than computing the bound.
    ///
    /// # Panics
    /// If `most` is outside [0, 1].
    #[must_use]
    pub fn holds(self, most: f64, level: f64) -> bool {
        // The bound is a quantile of a beta distribution, so comparing its distribution function at `most` is enough.
        self.wrong < self.n
            && beta_reg(self.wrong as f64 + 1.0, (self.n - self.wrong) as f64, most) >= level
    }

    /// Returns the one-sided upper Clopper-Pearson bound of the share of wrong answers at `level`; 1 for no answers.
    #[must_use]
    pub fn risk_bound(self, level: f64) -> f64 {
        upper_bound(self.wrong, self.n, level)
    }
}

/// Tests a fixed sequence of hypotheses and returns the index of the last rejected one; `None` if the first is accepted.
///
/// Hypothesis i is that the risk at threshold i is above `most`. It is rejected if [`Answered::holds`], and testing
/// stops at the first one that is not rejected. The order must be fixed before any of these samples is read. A false
/// rejection then requires rejecting the first true hypothesis, in one test at level 1 - `level`. So with probability of
/// at least `level`, the risk at the returned index is at most `most`, regardless of the number of hypotheses.
///
/// Source: Bauer, "Multiple testing in clinical trials", Statistics in Medicine 1991; Angelopoulos et al., "Learn
/// then Test", 2021.
///
/// # Panics
/// If `level` is outside (0, 1).
#[must_use]
pub fn fixed_sequence(answered: &[Answered], most: f64, level: f64) -> Option<usize> {
    answered.iter().take_while(|answered| answered.holds(most, level)).count().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_area_is_the_mean_risk_over_the_coverages() {
        // numpy 2.4: e[score == v] = e[score == v].mean() for each v; (cumsum(e) / arange(1, 9)).mean()
        let scores = [0.95, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5, 0.3];
        let wrong = [false, false, false, true, false, true, false, true];
        let samples: Vec<(f64, bool)> = scores.into_iter().zip(wrong).collect();
        assert!((area_under_risk_coverage(&samples) - 0.201_339_285_714_285_72).abs() < 1e-12);
        let mut swapped = samples.clone();
        swapped.swap(2, 3);
        swapped.reverse();
        assert!((area_under_risk_coverage(&swapped) - 0.201_339_285_714_285_72).abs() < 1e-12);
        // Each sample twice equals each sample counted twice.
        let twice: Vec<(f64, bool)> = samples.iter().chain(&samples).copied().collect();
        let counted = RiskCoverage::of(&samples).area(&[2; 8]);
        assert!((area_under_risk_coverage(&twice) - counted).abs() < 1e-12);
        assert!(area_under_risk_coverage(&[]).is_nan());
        // By hand: of two samples, the last or the first is wrong.
        assert!((area_under_risk_coverage(&[(0.9, false), (0.1, true)]) - 0.25).abs() < 1e-12);
        assert!((area_under_risk_coverage(&[(0.9, true), (0.1, false)]) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn scores_at_or_above_the_threshold_are_answered() {
        let samples = [(0.5, false), (0.5, true), (0.4, true), (0.9, false)];
        assert_eq!(Answered::at(0.5, &samples), Answered { n: 3, wrong: 1 });
        assert_eq!(Answered::at(1.0, &samples), Answered { n: 0, wrong: 0 });
        assert_eq!(Answered { n: 0, wrong: 0 }.risk_bound(0.95), 1.0);
        for (n, wrong) in [(29, 0), (50, 3), (200, 12), (10, 10), (0, 0), (1, 0)] {
            let answered = Answered { n, wrong };
            let bound = answered.risk_bound(0.95);
            assert!(!answered.holds(bound - 1e-9, 0.95), "{answered:?}");
            assert_eq!(answered.holds((bound + 1e-9).min(1.0), 0.95), wrong < n, "{answered:?}");
        }
    }

    #[test]
    fn the_sequence_ends_before_the_first_accepted_hypothesis() {
        // scipy 1.17: beta.ppf(.95, 1, 29) 0.0981, beta.ppf(.95, 4, 47) 0.1478, beta.ppf(.95, 13, 188) 0.0954
        let answered = [(29, 0), (50, 3), (200, 12)].map(|(n, wrong)| Answered { n, wrong });
        assert_eq!(fixed_sequence(&answered, 0.15, 0.95), Some(2));
        assert_eq!(fixed_sequence(&answered, 0.1, 0.95), Some(0));
        assert_eq!(fixed_sequence(&answered, 0.05, 0.95), None);
        assert_eq!(fixed_sequence(&[], 0.5, 0.95), None);
    }

    #[test]
    fn the_risk_is_bounded_in_nineteen_of_twenty_samples() {
        // An answer with score s is wrong with probability (1 - s) / 2, and s is uniform. The risk at threshold t is
        // (1 - t) / 4, so it is at most 0.1 from t = 0.6 on: at half of the 20 thresholds.
        let thresholds: Vec<f64> = (0..20).map(|i| 0.8 - 0.02 * f64::from(i)).collect();
        let mut broken = 0;
        let mut found = 0;
        for repeat in 0..2_000 {
            let mut random = Random::stream(11, repeat);
            let samples: Vec<(f64, bool)> = (0..1_000)
                .map(|_| {
                    let score = random.unit();
                    (score, random.unit() < (1.0 - score) / 2.0)
                })
                .collect();
            let answered: Vec<Answered> =
                thresholds.iter().map(|&t| Answered::at(t, &samples)).collect();
            if let Some(last) = fixed_sequence(&answered, 0.1, 0.95) {
                found += 1;
                broken += u32::from((1.0 - thresholds[last]) / 4.0 > 0.1 + 1e-12);
            }
        }
        // 5 % of 2,000 is 100, and three standard errors are 29. The lower limits show that the test is not vacuous.
        assert!(broken <= 129, "{broken} of 2000");
        assert!(broken >= 20 && found > 1_000, "{broken} {found}");
    }
}
