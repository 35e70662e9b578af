//! Harmful drift: the risk of a model that serves, from verdicts that come late, one after another.
//!
//! Inputs may drift without harm, and a model may get worse although no input moved. The share of wrong answers is the
//! risk; it is harmful if it exceeds the tolerated one. Verdicts are looked at again and again as they arrive, so the bound
//! holds at all times at once: a betting confidence sequence, whose capital can only grow by a factor of 1 / alpha with
//! probability alpha if the risk is tolerated. The interval that is shown is the asymptotic confidence sequence.

use crate::judgements::Judgements;
use botops_labels::OOS;
use botops_predictions::Record;
use botops_stats::sequence::{asymptotic_interval, betting_lower_bound};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The risk, from all verdicts so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Risk {
    /// The verdicts.
    pub n: u64,
    /// The answers without a verdict yet. Verdicts of wrong answers may come earlier than those of right ones, so a large
    /// number makes the risk uncertain in a way that no bound shows.
    pub n_waiting: u64,
    /// The share of wrong answers.
    pub risk: f64,
    /// The lower bound of the risk, valid at all times with probability 1 - `alpha`.
    pub lower: f64,
    /// The asymptotic confidence sequence at 1 - `alpha`, in [0, 1].
    pub interval: [f64; 2],
    /// The tolerated risk.
    pub tolerated: f64,
    /// The probability of a false alarm, over all times.
    pub alpha: f64,
    /// Whether the lower bound has exceeded the tolerated risk, now or earlier.
    pub is_harmful: bool,
    /// The number of the verdict, from 1, at which it did so first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// Returns the risk of a model whose answers were wrong or not, in the order in which the verdicts arrived.
///
/// `tolerated` is in (0, 1): the error rate at the gate and a margin, for example. `n_waiting` are the answers without a
/// verdict. `None` without a verdict.
///
/// # Panics
/// If `tolerated` or `alpha` is not in (0, 1).
#[must_use]
pub fn risk(is_wrong: &[bool], n_waiting: u64, tolerated: f64, alpha: f64) -> Option<Risk> {
    assert!(tolerated > 0.0 && tolerated < 1.0, "a tolerated risk lies in (0, 1)");
    assert!(alpha > 0.0 && alpha < 1.0, "a rate lies in (0, 1)");
    if is_wrong.is_empty() {
        return None;
    }
    let losses: Vec<f64> = is_wrong.iter().map(|&wrong| f64::from(u8::from(wrong))).collect();
    let found = betting_lower_bound(&losses, tolerated, alpha);
    let n = losses.len() as u64;
    let mean = losses.iter().sum::<f64>() / n as f64;
    Some(Risk {
        n,
        n_waiting,
        risk: mean,
        lower: found.lower,
        interval: asymptotic_interval(mean, (mean * (1.0 - mean)).sqrt(), n, alpha)
            .map(|end| end.clamp(0.0, 1.0)),
        tolerated,
        alpha,
        is_harmful: found.since.is_some(),
        since: found.since,
    })
}

/// The verdicts on the records of a window. 17 bytes each.
#[derive(Debug, Default)]
pub(crate) struct VerdictSequence {
    /// The time of each verdict on a record in scope, a hash of its record, and whether the answer was wrong. The hash orders
    /// verdicts of one millisecond without regard to the answer, which the bound demands.
    verdicts: Vec<(i64, u64, bool)>,
    n_waiting: u64,
}

impl VerdictSequence {
    /// Adds a record, and its verdict if it has one. A verdict `oos` says nothing about the intents: it is left out, as from
    /// every accuracy.
    pub(crate) fn add(&mut self, record: &Record, judgements: &Judgements) {
        let key = record.key();
        let Some(label) = judgements.label(&key) else {
            self.n_waiting += 1;
            return;
        };
        if label.intent != OOS {
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            self.verdicts.push((label.at, hasher.finish(), label.intent != record.intent));
        }
    }

    /// Returns the risk; `None` without a verdict in scope.
    pub(crate) fn risk(&mut self, tolerated: f64, alpha: f64) -> Option<Risk> {
        self.verdicts.sort_unstable();
        let is_wrong: Vec<bool> = self.verdicts.iter().map(|(.., wrong)| *wrong).collect();
        risk(&is_wrong, self.n_waiting, tolerated, alpha)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::random::Random;

    fn wrong(random: &mut Random, n: usize, rate: f64) -> Vec<bool> {
        (0..n).map(|_| random.unit() < rate).collect()
    }

    #[test]
    fn a_worse_model_alarms_and_a_tolerated_one_seldom_does() {
        let mut random = Random::new(31);
        let alarms = |random: &mut Random, rate: f64| {
            (0..200)
                .filter(|_| risk(&wrong(random, 1_000, rate), 0, 0.15, 0.05).unwrap().is_harmful)
                .count()
        };
        // At the bound itself, looked at after every verdict.
        let at_bound = alarms(&mut random, 0.15);
        assert!(at_bound <= 18, "{at_bound} of 200");
        let worse = alarms(&mut random, 0.24);
        assert!(worse >= 190, "{worse} of 200");
    }

    #[test]
    fn an_alarm_stays_and_names_its_verdict() {
        let mut answers = vec![true; 60];
        answers.extend([false; 600]);
        let found = risk(&answers, 40, 0.3, 0.05).unwrap();
        assert!(found.is_harmful && found.since.unwrap() < 30, "{found:?}");
        assert!(
            found.risk < 0.1 && found.interval[0] <= found.risk && found.interval[1] >= found.risk
        );
        assert_eq!((found.n, found.n_waiting), (660, 40));
        assert_eq!(risk(&[], 3, 0.3, 0.05), None);
    }
}
