//! E-values for a canary: evidence that stays valid if it is checked after every observation.
//!
//! Each failure (or each conversation) belongs to the challenger or to the primary. If the challenger's share of traffic
//! is `w` and it fails `r` times as often, a failure belongs to the challenger with probability
//! s(r) = w r / (w r + 1 - w). All e-values here depend only on the counts of both sides at each weight
//! ([`SplitCounts`]). Counts are integers, so neither the order nor the batching of observations changes the result.
//!
//! An e-process starts at 1, and its expectation under the tested hypothesis is at most 1 at any stopping time. So
//! P(it ever reaches 1/alpha) <= alpha (Ville's inequality).

use super::special::{ln_gamma, log_sum_exp};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::{collections::BTreeMap, sync::LazyLock};

/// The number of relative risks in the grid, which have equal prior probabilities.
pub const GRID_POINTS: usize = 64;

/// The ratio of the last risk in the grid to the tested risk, or its inverse.
pub const GRID_REACH: f64 = 16.0;

const BILLION: f64 = 1e9;
const BILLIONTHS: u32 = 1_000_000_000;

/// The counts on both sides of a traffic split, by the challenger's share at the time.
///
/// - weights are in (0, 1) and rounded to nine decimals, so that they can be serialized exactly
/// - observations at a weight of 0 or 1 are not evidence and are dropped
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SplitCounts(BTreeMap<u32, [u64; 2]>);

impl<'de> Deserialize<'de> for SplitCounts {
    /// Reads the keys as strings, which they are in JSON: inside a tagged enum, serde does not turn them into numbers.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = BTreeMap::<String, [u64; 2]>::deserialize(deserializer)?;
        let read = |(key, counts): (String, [u64; 2])| match key.parse::<u32>() {
            Ok(billionths) if (1..BILLIONTHS).contains(&billionths) => Ok((billionths, counts)),
            _ => Err(de::Error::custom(format!("`{key}` is not a weight in billionths"))),
        };
        stored.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl SplitCounts {
    /// Adds one observation at `weight`.
    pub fn observe(&mut self, weight: f64, is_canary: bool) {
        self.add(weight, u64::from(is_canary), u64::from(!is_canary));
    }

    /// Adds counts at `weight`; does nothing for a weight outside (0, 1) or NaN.
    pub fn add(&mut self, weight: f64, canary: u64, primary: u64) {
        let billionths = (weight * BILLION).round();
        if !(1.0..BILLION).contains(&billionths) || (canary == 0 && primary == 0) {
            return;
        }
        let counts = self.0.entry(billionths as u32).or_default();
        counts[0] = counts[0].saturating_add(canary);
        counts[1] = counts[1].saturating_add(primary);
    }

    /// Iterates over (weight, challenger count, primary count), by rising weight.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64, u64)> + '_ {
        self.0.iter().map(|(&w, &[canary, primary])| (f64::from(w) / BILLION, canary, primary))
    }

    /// Returns the sums over all weights: [challenger, primary].
    #[must_use]
    pub fn totals(&self) -> [u64; 2] {
        self.0.values().fold([0, 0], |sum, counts| {
            [sum[0].saturating_add(counts[0]), sum[1].saturating_add(counts[1])]
        })
    }

    /// Returns whether there are no observations.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the same totals with all counts on the primary, the best possible outcome for the challenger.
    #[must_use]
    pub fn all_on_primary(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|(&w, counts)| (w, [0, counts[0].saturating_add(counts[1])]))
                .collect(),
        )
    }
}

/// Returns the log e-value against the hypothesis that the challenger fails at most `null_risk` times as often.
///
/// `failures` counts failed units by weight. e = mean over 64 risks r_j = r0 * 16^(j/64), j = 1..64, of the product over
/// failures of s(r_j)/s(r0) on the challenger and (1-s(r_j))/(1-s(r0)) on the primary; the log is 0 (e = 1) without
/// failures. It is valid for changing weights, under optional stopping, and for the whole hypothesis r <= r0, if the arm
/// of each unit was drawn with its weight and each unit counts once.
/// Source: relative-risk mixture after Lindon and Malek, "Anytime-valid inference for multinomial count data", 2022.
///
/// # Panics
/// If `null_risk` is not positive and finite.
#[must_use]
pub fn log_e_worse(failures: &SplitCounts, null_risk: f64) -> f64 {
    log_e_grid(failures, null_risk, GRID_REACH, &equal_priors())
}

/// Returns the log e-value against the hypothesis that the challenger fails at least `tolerated_risk` times as often.
///
/// As [`log_e_worse`], with a grid of lower risks: r_j = r0 / 16^(j/64).
///
/// # Panics
/// If `tolerated_risk` is not positive and finite.
#[must_use]
pub fn log_e_better(failures: &SplitCounts, tolerated_risk: f64) -> f64 {
    log_e_grid(failures, tolerated_risk, 1.0 / GRID_REACH, &equal_priors())
}

/// Returns the log e-value against the hypothesis that each unit fails with a probability of at most `limit`.
///
/// `failures` of `units` failed; `units` below `failures` count as `failures`. e = mean over 64 odds ratios
/// r_j = 16^(j/64) of (q_j / limit)^failures ((1 - q_j) / (1 - limit))^(units - failures), where
/// q_j = limit r_j / (limit r_j + 1 - limit) > limit; the log is 0 (e = 1) without units.
///
/// It is valid for the whole hypothesis and under optional stopping, if each unit counts once. Given everything before
/// it, a unit that fails with probability p multiplies term j by p q_j / limit + (1 - p) (1 - q_j) / (1 - limit) in
/// expectation. That rises with p, because q_j > limit, and is 1 at p = limit; so it is at most 1 for p <= limit, and a
/// mean of such products is an e-process. The probability p may change from unit to unit within the hypothesis. A failure
/// that is seen only after its unit was counted makes e smaller until then, so the bound still holds.
/// Source: mixture of likelihood ratios, Robbins, "Statistical methods related to the law of the iterated logarithm",
/// 1970.
///
/// # Panics
/// If `limit` is not in (0, 1).
#[must_use]
pub fn log_e_above(failures: u64, units: u64, limit: f64) -> f64 {
    log_e_worse(&against_limit(failures, units, limit), 1.0)
}

/// Returns the log e-value against the hypothesis that each unit fails with a probability of at least `limit`.
///
/// As [`log_e_above`], with odds ratios r_j = 1 / 16^(j/64), so that q_j < limit and the expectation falls with p. A
/// failure that is seen only after its unit was counted makes e too large until then: use it for information.
///
/// # Panics
/// If `limit` is not in (0, 1).
#[must_use]
pub fn log_e_below(failures: u64, units: u64, limit: f64) -> f64 {
    log_e_better(&against_limit(failures, units, limit), 1.0)
}

/// Returns failures and other units as the two sides of a split whose share is `limit`: an odds ratio is to a limit what
/// a relative risk is to a share of the traffic.
fn against_limit(failures: u64, units: u64, limit: f64) -> SplitCounts {
    assert!(limit > 0.0 && limit < 1.0, "a limit is a probability between 0 and 1");
    let mut counts = SplitCounts::default();
    counts.add(limit, failures, units.saturating_sub(failures));
    counts
}

fn equal_priors() -> [f64; GRID_POINTS] {
    [-(GRID_POINTS as f64).ln(); GRID_POINTS]
}

/// The centre of the prior of [`log_e_harm`]: a challenger that is worse usually fails about this many times as often.
const HARM_CENTRE: f64 = 3.0;
/// The standard deviation of the logarithm of the risk in the prior of [`log_e_harm`].
const HARM_SPREAD: f64 = 0.45;
/// The part of the prior of [`log_e_harm`] that is spread evenly over the grid.
const HARM_EVEN: f64 = 0.25;

/// Returns the log e-value against the hypothesis that the challenger fails at most as often, most powerful for the risks
/// at which rollouts go wrong.
///
/// As [`log_e_worse`] at a risk of 1 and with the same grid, but only a quarter of the prior is spread evenly; the rest is
/// proportional to a normal density of the logarithm of the risk, around ln 3 with standard deviation 0.45. Any prior that
/// is fixed before the data gives an e-process: for each risk of the grid the product has an expectation of at most 1 under
/// every risk up to 1, and so has a weighted mean of the products. It is never below [`log_e_worse`] by more than ln 4. To
/// roll back 9 % failures against 3 % takes a tenth fewer conversations.
#[must_use]
pub fn log_e_harm(failures: &SplitCounts) -> f64 {
    static PRIOR: LazyLock<[f64; GRID_POINTS]> = LazyLock::new(|| {
        let density: [f64; GRID_POINTS] = std::array::from_fn(|j| {
            let ln_risk = GRID_REACH.ln() * (j + 1) as f64 / GRID_POINTS as f64;
            let z = (ln_risk - HARM_CENTRE.ln()) / HARM_SPREAD;
            -z * z / 2.0
        });
        let total = log_sum_exp(&density);
        let even = HARM_EVEN / GRID_POINTS as f64;
        density.map(|density| (even + (1.0 - HARM_EVEN) * (density - total).exp()).ln())
    });
    log_e_grid(failures, 1.0, GRID_REACH, &PRIOR)
}

/// `priors` are the logs of the prior probabilities of the risks.
fn log_e_grid(
    failures: &SplitCounts,
    null_risk: f64,
    reach: f64,
    priors: &[f64; GRID_POINTS],
) -> f64 {
    assert!(null_risk > 0.0 && null_risk.is_finite(), "a relative risk is positive");
    if failures.is_empty() {
        return 0.0;
    }
    let terms: Vec<f64> = (1..=GRID_POINTS)
        .map(|j| {
            let ratio = reach.powf(j as f64 / GRID_POINTS as f64);
            priors[j - 1]
                + failures
                    .iter()
                    .map(|(weight, canary, primary)| {
                        // With d(r) = w r + 1 - w, s(r)/s(r0) is (r/r0) d(r0)/d(r), and
                        // (1-s(r))/(1-s(r0)) is d(r0)/d(r).
                        let odds = |risk: f64| weight * risk + 1.0 - weight;
                        let common = (odds(null_risk) / odds(null_risk * ratio)).ln();
                        canary as f64 * (ratio.ln() + common) + primary as f64 * common
                    })
                    .sum::<f64>()
        })
        .collect();
    log_sum_exp(&terms)
}

/// Returns the log e-value against the hypothesis that units were split as configured (sample-ratio mismatch).
///
/// `units` counts all units by weight. At one weight, with x canary units, y primary units and prior strength c, it is
/// the Dirichlet-multinomial Bayes factor B(c w + x, c (1-w) + y) / B(c w, c (1-w)) / (w^x (1-w)^y). This is a product
/// over units of predicted / configured probability, in which the prediction uses only earlier units at that weight.
/// The result is the sum of the logs over all weights. Each unit multiplies the e-value by a factor of expectation 1,
/// regardless of how its weight was chosen and how often weights change, so it remains an e-process.
/// Source: Lindon and Malek 2022.
///
/// # Panics
/// If `concentration` is not positive.
#[must_use]
pub fn log_e_sample_ratio(units: &SplitCounts, concentration: f64) -> f64 {
    assert!(concentration > 0.0, "the strength of a prior is positive");
    units
        .iter()
        .map(|(weight, canary, primary)| {
            let (x, y) = (canary as f64, primary as f64);
            let (a, b) = (concentration * weight, concentration * (1.0 - weight));
            ln_gamma(a + b) - ln_gamma(a + b + x + y) + ln_gamma(a + x) - ln_gamma(a)
                + ln_gamma(b + y)
                - ln_gamma(b)
                - x * weight.ln()
                - y * (1.0 - weight).ln()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use serde_json::Value;

    fn fixture(key: &str) -> Value {
        let all: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/reference_values.json"))
                .unwrap();
        all[key].clone()
    }

    #[test]
    fn every_step_of_both_sides_equals_the_reference() {
        let expected = fixture("e_grid_relative_risk");
        let failures: Vec<(f64, u8)> = serde_json::from_value(expected["fails"].clone()).unwrap();
        assert_eq!(failures.len(), 12);
        let mut counts = SplitCounts::default();
        for (i, &(weight, canary)) in failures.iter().enumerate() {
            counts.observe(weight, canary == 1);
            for (got, key) in [
                (log_e_worse(&counts, 1.0), "log_e_rollback_rr_le_1"),
                (log_e_better(&counts, 2.0), "log_e_promote_rr_ge_2"),
            ] {
                let expected = expected[key][i].as_f64().unwrap();
                assert!(
                    (got - expected).abs() < 1e-9,
                    "step {i} of {key}: {got} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn harm_is_a_mean_of_likelihood_ratios_weighted_by_its_prior() {
        // One failure on the challenger at a weight of one half: the mean of s(r) / s(1) = 2 r / (r + 1).
        let mut counts = SplitCounts::default();
        counts.observe(0.5, true);
        let (mut even, mut sum, mut total) = (0.0, 0.0, 0.0);
        for j in 1..=64 {
            let risk = 16_f64.powf(f64::from(j) / 64.0);
            let weight = (-((risk / 3.0).ln() / 0.45).powi(2) / 2.0).exp();
            even += 2.0 * risk / (risk + 1.0) / 64.0;
            sum += weight * 2.0 * risk / (risk + 1.0);
            total += weight;
        }
        let expected = (0.25 * even + 0.75 * sum / total).ln();
        assert!((log_e_harm(&counts) - expected).abs() < 1e-12);
        // Equal risks at many failures are evidence for no harm, and twice the risk is evidence for it.
        let of = |canary, primary| {
            let mut counts = SplitCounts::default();
            counts.add(0.5, canary, primary);
            log_e_harm(&counts)
        };
        assert!(of(100, 100) < 0.0 && of(134, 66) > log_e_worse(&counts, 1.0).max(8.0));
    }

    #[test]
    fn order_and_batching_do_not_change_the_counts() {
        let mut one_by_one = SplitCounts::default();
        for (weight, is_canary) in [(0.05, true), (0.5, false), (0.05, false), (0.05, true)] {
            one_by_one.observe(weight, is_canary);
        }
        let mut batched = SplitCounts::default();
        batched.add(0.5, 0, 1);
        batched.add(0.05, 2, 1);
        assert_eq!(one_by_one, batched);
        assert_eq!(batched.totals(), [2, 2]);
        let text = serde_json::to_string(&batched).unwrap();
        assert_eq!(text, r#"{"50000000":[2,1],"500000000":[0,1]}"#);
        assert_eq!(serde_json::from_str::<SplitCounts>(&text).unwrap(), batched);
    }

    #[test]
    fn counts_are_read_inside_a_tagged_enum_and_only_with_weights_as_keys() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        enum Change {
            Counted { counts: SplitCounts },
        }
        let mut counts = SplitCounts::default();
        counts.add(0.05, 2, 1);
        let change = Change::Counted { counts };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
        for key in ["0", "1000000000", "-1", "half", "4294967296"] {
            let text = format!("{{\"{key}\":[1,1]}}");
            assert!(serde_json::from_str::<SplitCounts>(&text).is_err(), "{key}");
        }
    }

    #[test]
    fn weights_outside_the_open_interval_are_dropped() {
        let mut counts = SplitCounts::default();
        for weight in [0.0, 1.0, -0.5, 1.5, f64::NAN, f64::INFINITY, 1e-12] {
            counts.add(weight, 5, 5);
        }
        assert!(counts.is_empty());
        assert_eq!(log_e_worse(&counts, 1.0), 0.0);
        assert_eq!(log_e_better(&counts, 1.5), 0.0);
        assert_eq!(log_e_sample_ratio(&counts, 100.0), 0.0);
    }

    #[test]
    fn evidence_of_extreme_counts_is_finite() {
        let mut counts = SplitCounts::default();
        counts.add(0.3, u64::MAX, u64::MAX);
        counts.add(0.3, u64::MAX, 0);
        counts.add(0.999_999_999, u64::MAX, 1);
        for log_e in [
            log_e_worse(&counts, 1.0),
            log_e_better(&counts, 1.5),
            log_e_sample_ratio(&counts, 100.0),
        ] {
            assert!(log_e.is_finite(), "{log_e}");
        }
    }

    #[test]
    fn each_failure_multiplies_by_an_expectation_of_at_most_one_over_the_whole_null() {
        // The step from n to n + 1 failures, from random states, for r in the hypothesis.
        let share = |w: f64, r: f64| w * r / (w * r + 1.0 - w);
        let mut random = Random::new(3);
        let mut counts = SplitCounts::default();
        for step in 0..60 {
            let weight = [0.05, 0.25, 0.5, 0.9][step % 4];
            let expectation = |risk: f64, log_e: &dyn Fn(&SplitCounts) -> f64| {
                let before = log_e(&counts);
                let next = |is_canary| {
                    let mut next = counts.clone();
                    next.observe(weight, is_canary);
                    (log_e(&next) - before).exp()
                };
                let s = share(weight, risk);
                s * next(true) + (1.0 - s) * next(false)
            };
            for risk in [0.1, 0.5, 0.9, 1.0] {
                let mean = expectation(risk, &|c| log_e_worse(c, 1.0));
                assert!(mean <= 1.0 + 1e-12, "worse at risk {risk}: {mean}");
                let mean = expectation(risk, &log_e_harm);
                assert!(mean <= 1.0 + 1e-12, "harm at risk {risk}: {mean}");
            }
            for risk in [1.5, 2.0, 5.0, 20.0] {
                let mean = expectation(risk, &|c| log_e_better(c, 1.5));
                assert!(mean <= 1.0 + 1e-12, "better at risk {risk}: {mean}");
            }
            counts.observe(weight, random.unit() < weight);
        }
    }

    #[test]
    fn sample_ratio_equals_the_reference() {
        for row in fixture("srm_dirichlet_multinomial")["rows"].as_array().unwrap() {
            let number = |key: &str, i: usize| row[key][i].as_f64().unwrap();
            let mut units = SplitCounts::default();
            // The fixture lists the primary first; the canary's weight is 0.1.
            units.add(number("w", 1), number("x", 1) as u64, number("x", 0) as u64);
            let got = log_e_sample_ratio(&units, row["conc"].as_f64().unwrap());
            let expected = row["log_e"].as_f64().unwrap();
            assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
        }
    }

    #[test]
    fn sample_ratio_stays_an_e_process_while_weights_change() {
        // Each unit multiplies by predicted / configured probability, whose mean is 1.
        let mut units = SplitCounts::default();
        let mut random = Random::new(8);
        for step in 0..200 {
            let weight = [0.05, 0.25, 0.05, 0.5][step / 13 % 4];
            let before = log_e_sample_ratio(&units, 100.0);
            let after = |is_canary| {
                let mut next = units.clone();
                next.observe(weight, is_canary);
                (log_e_sample_ratio(&next, 100.0) - before).exp()
            };
            let mean = weight * after(true) + (1.0 - weight) * after(false);
            assert!((mean - 1.0).abs() < 1e-9, "{mean}");
            units.observe(weight, random.unit() < weight);
        }
    }

    #[test]
    fn each_unit_multiplies_by_an_expectation_of_at_most_one_within_a_limit() {
        let mut random = Random::new(5);
        for limit in [0.000_1, 0.01, 0.2, 0.9] {
            let (mut failures, mut units) = (0, 0);
            for _ in 0..60 {
                let expectation = |p: f64, log_e: &dyn Fn(u64, u64, f64) -> f64| {
                    let before = log_e(failures, units, limit);
                    let ratio =
                        |failed: u64| (log_e(failures + failed, units + 1, limit) - before).exp();
                    p * ratio(1) + (1.0 - p) * ratio(0)
                };
                for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
                    let (below, above) = (limit * share, limit + (1.0 - limit) * share);
                    let mean = expectation(below, &log_e_above);
                    assert!(mean <= 1.0 + 1e-9, "above {limit} at {below}: {mean}");
                    let mean = expectation(above, &log_e_below);
                    assert!(mean <= 1.0 + 1e-9, "below {limit} at {above}: {mean}");
                }
                units += 1;
                failures += u64::from(random.unit() < limit);
            }
        }
    }

    #[test]
    fn evidence_against_a_limit_equals_a_sum_by_hand() {
        // 3 failures of 50 against 2 %, and 1 of 400 against it, as a direct sum in plain arithmetic.
        let by_hand = |failures: i32, units: i32, reach: f64| {
            let terms = (1..=64).map(|j| {
                let ratio = reach.powf(f64::from(j) / 64.0);
                let q = 0.02 * ratio / (0.02 * ratio + 0.98);
                (q / 0.02).powi(failures) * ((1.0 - q) / 0.98).powi(units - failures)
            });
            (terms.sum::<f64>() / 64.0).ln()
        };
        assert!((log_e_above(3, 50, 0.02) - by_hand(3, 50, 16.0)).abs() < 1e-9);
        assert!((log_e_below(1, 400, 0.02) - by_hand(1, 400, 1.0 / 16.0)).abs() < 1e-9);
        assert!(log_e_above(3, 50, 0.02) > 0.5 && log_e_below(3, 50, 0.02) < 0.0);
        assert_eq!((log_e_above(0, 0, 0.02), log_e_below(0, 0, 0.02)), (0.0, 0.0));
        // A failure whose unit was not counted is a unit.
        assert_eq!(log_e_above(4, 2, 0.02), log_e_above(4, 4, 0.02));
        assert!(log_e_above(u64::MAX, u64::MAX, 0.02).is_finite());
    }

    #[test]
    fn a_limit_that_is_kept_is_seldom_called_exceeded_however_often_one_looks() {
        // 600 runs of 1,500 units with a look after each; the standard error at 5 % is 0.9 %.
        let exceeded = |p: f64| {
            let mut random = Random::new(21);
            let mut stopped = 0;
            for _ in 0..600 {
                let mut failures = 0;
                for units in 1..=1_500_u64 {
                    let failed = random.unit() < p;
                    failures += u64::from(failed);
                    // Only a failure raises the evidence.
                    if failed && log_e_above(failures, units, 0.02) >= 20_f64.ln() {
                        stopped += 1;
                        break;
                    }
                }
            }
            f64::from(stopped) / 600.0
        };
        assert!(exceeded(0.02) <= 0.05);
        assert!(exceeded(0.01) <= 0.01);
        assert!(exceeded(0.06) >= 0.99);
    }

    #[test]
    fn all_on_primary_is_the_best_outcome_for_the_challenger() {
        let mut counts = SplitCounts::default();
        counts.add(0.25, 3, 4);
        counts.add(0.5, 2, 1);
        let best = counts.all_on_primary();
        assert_eq!(best.totals(), [0, 10]);
        assert!(log_e_better(&best, 1.5) > log_e_better(&counts, 1.5));
    }
}
