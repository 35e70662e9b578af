//! Finds the fallback threshold: the equivalent of a fixed confidence, or the lowest score that guarantees an accuracy.

use super::rounding::storable_below;
use botops_findings::Fault;
use botops_stats::selective::{Answered, fixed_sequence};
use serde::{Deserialize, Serialize};

/// The confidence level of a guarantee.
pub(super) const LEVEL: f64 = 0.95;

/// Number of thresholds to try: they answer 1 %, 2 %, ... 100 % of the half that chooses.
const STEPS: usize = 100;

/// The evidence that answers are right as often as the target accuracy says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// The target share of right answers, in (0, 1).
    pub target_accuracy: f64,
    /// The confidence level: 0.95.
    pub level: f64,
    /// Number of records in the test: out of fold, and not used to choose the score or the order of thresholds. Records
    /// in which the model knows nothing are included; they are never answered.
    pub n_samples: u64,
    /// Number of records that are answered.
    pub n_answered: u64,
    /// Number of wrong answers: another intent, or any answer to an out-of-scope record.
    pub n_wrong: u64,
    /// One-sided lower bound of the accuracy of answers, at `level`; at least `target_accuracy`. Clopper-Pearson, or with
    /// `oos_share` the bound of [`super::traffic`].
    pub accuracy_bound: f64,
    /// The out-of-scope share of the messages that the guarantee is for, if it was stated; else that of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oos_share: Option<f64>,
}

/// A score, and whether an answer would be wrong.
pub(super) type Sample = (f64, bool);

/// Finds the lowest threshold whose answers are right with probability `target` or more.
///
/// The candidates are scores of the half `chooses`, in steps of 1 % of its records. Their sequence starts at the smallest
/// upper bound of the risk in that half (the lower threshold among equals) and goes down. The other half, `tests`, tests
/// them in this order and stops at the first that fails. The order does not depend on the half that tests, so
/// [`fixed_sequence`] applies: for any model and score, the accuracy at the threshold found is `target` or more with 95 %
/// confidence, for messages like the records of the data (with the same share of out-of-scope messages; an answer to
/// one is wrong).
///
/// # Errors
/// `BOT-7060` (exit 4) if the first threshold fails; the message names the target that it reaches.
pub(super) fn find(
    chooses: &[Sample],
    tests: &[Sample],
    target: f64,
) -> Result<(f64, Guarantee), Fault> {
    let thresholds = sequence(chooses);
    let answered: Vec<Answered> = thresholds.iter().map(|&t| Answered::at(t, tests)).collect();
    let guarantee = |answered: Answered| Guarantee {
        target_accuracy: target,
        level: LEVEL,
        n_samples: tests.len() as u64,
        n_answered: answered.n,
        n_wrong: answered.wrong,
        accuracy_bound: storable_below(1.0 - answered.risk_bound(LEVEL)),
        oos_share: None,
    };
    match fixed_sequence(&answered, 1.0 - target, LEVEL) {
        Some(last) => Ok((thresholds[last], guarantee(answered[last]))),
        None => {
            let first = answered.first().copied().unwrap_or(Answered { n: 0, wrong: 0 });
            Err(target_not_reached(&guarantee(first)))
        }
    }
}

/// Returns the thresholds in the order in which they are tested.
fn sequence(chooses: &[Sample]) -> Vec<f64> {
    let scores = chooses.iter().map(|(score, _)| *score).collect();
    from_lowest_risk(scores, |threshold| Answered::at(threshold, chooses).risk_bound(LEVEL))
}

/// Returns thresholds in falling order, in steps of 1 % of `scores`, from the one with the lowest `risk`.
pub(super) fn from_lowest_risk(mut scores: Vec<f64>, risk: impl Fn(f64) -> f64) -> Vec<f64> {
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let last_answered = |step: usize| (scores.len() * step).div_ceil(STEPS) - 1;
    let mut thresholds: Vec<f64> = match scores.is_empty() {
        true => Vec::new(),
        false => (1..=STEPS).map(|step| storable_below(scores[last_answered(step)])).collect(),
    };
    thresholds.dedup();
    let risks: Vec<f64> = thresholds.iter().map(|threshold| risk(*threshold)).collect();
    let lowest = risks.iter().copied().fold(f64::INFINITY, f64::min);
    let start = risks.iter().rposition(|risk| *risk <= lowest).unwrap_or(0);
    thresholds.split_off(start.min(thresholds.len()))
}

fn target_not_reached(best: &Guarantee) -> Fault {
    let Guarantee { target_accuracy, n_samples, n_answered, n_wrong, accuracy_bound, .. } = best;
    // The first threshold does not depend on the target, so its bound is the highest target that can be reached.
    let reachable = (accuracy_bound * 1e3).floor() / 1e3;
    Fault::insufficient(
        "BOT-7060",
        format!(
            "no threshold shows with 95 % confidence that {target_accuracy} of the answered messages are right: the \
             surest {n_answered} of {n_samples} held-out records, {n_wrong} of them answered wrongly, show {reachable:.3}"
        ),
    )
    .hint(match reachable > 0.0 {
        true => format!("set `fallback.target_accuracy: {reachable:.3}` or less"),
        false => "remove `fallback.target_accuracy`".to_owned(),
    })
    .hint("or add records, or correct wrong labels: more records or fewer errors prove a higher accuracy")
}

/// Returns the threshold that declines as many of `scores` as `threshold` declines of `confidences`; both belong to the
/// same records, in any order.
///
/// If there are no records, or all are declined, the threshold is above every score.
pub(super) fn equivalent(threshold: f64, confidences: &[f64], scores: &[f64]) -> f64 {
    let declined = confidences.iter().filter(|confidence| **confidence < threshold).count();
    let mut scores = scores.to_vec();
    scores.sort_unstable_by(f64::total_cmp);
    match (scores.get(declined), scores.last()) {
        (Some(score), _) => storable_below(*score),
        (None, Some(most)) => storable_below(*most) + 1.0,
        (None, None) => f64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_findings::FaultKind;
    use botops_stats::random::Random;

    /// Draws messages with wrong answers at probability (1 - score) / 2; the risk at threshold t is (1 - t) / 4.
    fn draw(random: &mut Random, n: usize) -> Vec<Sample> {
        (0..n)
            .map(|_| {
                let score = random.unit();
                (score, random.unit() < (1.0 - score) / 2.0)
            })
            .collect()
    }

    #[test]
    fn the_target_is_reached_in_nineteen_of_twenty_trainings() {
        let (mut held, mut found, mut share) = (0, 0, 0.0);
        for repeat in 0..300 {
            let mut random = Random::stream(29, repeat);
            let (chooses, tests) = (draw(&mut random, 600), draw(&mut random, 600));
            let Ok((threshold, guarantee)) = find(&chooses, &tests, 0.85) else { continue };
            assert!(guarantee.accuracy_bound >= 0.85);
            found += 1;
            share += 1.0 - threshold;
            held += u32::from(1.0 - (1.0 - threshold) / 4.0 >= 0.85);
        }
        // A training without a threshold has no guarantee. Of 300 trainings at most 15 may miss the target, plus two
        // standard errors of 3.8. The best possible threshold answers 0.6 of the messages.
        assert!(found - held <= 23, "{held} of {found}");
        assert!(found > 250 && share / f64::from(found) > 0.35, "{found} {share}");
    }

    #[test]
    fn the_order_of_the_tests_does_not_depend_on_the_testing_half() {
        let mut random = Random::new(4);
        let (chooses, tests) = (draw(&mut random, 400), draw(&mut random, 400));
        let (threshold, _) = find(&chooses, &tests, 0.9).unwrap();
        assert!(sequence(&chooses).contains(&threshold));
        assert!(sequence(&chooses).is_sorted_by(|a, b| a > b));
        // If every answer is right, the first and last threshold answers all.
        let right: Vec<Sample> = chooses.iter().map(|(score, _)| (*score, false)).collect();
        let lowest = right.iter().map(|(score, _)| *score).fold(1.0, f64::min);
        let (threshold, guarantee) = find(&right, &right, 0.9).unwrap();
        assert!((threshold - lowest).abs() < 1e-8 && threshold <= lowest);
        assert_eq!((guarantee.n_answered, guarantee.n_wrong), (400, 0));
    }

    #[test]
    fn a_target_out_of_reach_names_a_reachable_one() {
        let mut random = Random::new(5);
        let (chooses, tests) = (draw(&mut random, 300), draw(&mut random, 300));
        let fault = find(&chooses, &tests, 0.999).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7060", FaultKind::Insufficient));
        let bound = fault.message().rsplit(' ').next().unwrap().to_owned();
        assert!(fault.hints()[0].contains(&format!("target_accuracy: {bound}`")), "{fault}");
        let reachable: f64 = bound.parse().unwrap();
        assert!((0.8..0.999).contains(&reachable), "{reachable}");
        let (_, guarantee) = find(&chooses, &tests, reachable).unwrap();
        assert!(guarantee.accuracy_bound >= reachable);
        assert!(find(&chooses, &tests, reachable + 0.001).is_err());
        assert_eq!(find(&[], &[], 0.5).unwrap_err().code(), "BOT-7060");
        assert_eq!(find(&[(0.5, true)], &[(0.5, true)], 0.5).unwrap_err().code(), "BOT-7060");
    }

    #[test]
    fn another_score_declines_as_many() {
        let confidences = [0.2, 0.9, 0.34, 0.8, 0.6];
        let logits = [-1.0, 2.0, -0.5, 0.7, 0.1];
        let declined = |threshold: f64| {
            let other = equivalent(threshold, &confidences, &logits);
            logits.iter().filter(|logit| **logit < other).count()
        };
        assert_eq!([0.0, 0.35, 0.7, 0.9, 1.0].map(declined), [0, 2, 3, 4, 5]);
        assert_eq!(equivalent(0.5, &[], &[]), f64::MAX);
    }
}
