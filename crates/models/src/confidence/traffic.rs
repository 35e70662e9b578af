//! Thresholds for traffic whose share of out-of-scope messages differs from that of the records, and thresholds that
//! decline a share of the out-of-scope messages.

use super::{
    rounding::{storable, storable_below},
    threshold::{Guarantee, LEVEL, from_lowest_risk},
};
use botops_findings::{Fault, Result};
use botops_stats::intervals::{clopper_pearson, upper_bound};
use serde::{Deserialize, Serialize};

/// The fewest out-of-scope records that a share to decline is measured on.
const FEWEST_OOS: usize = 10;

/// A record that was scored by a model that never saw it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    /// Its score; negative infinity if the model knows nothing in it, because it is never answered.
    pub(super) score: f64,
    pub(super) in_scope: bool,
    /// Whether an answer would be wrong: another intent, or any answer to an out-of-scope record.
    pub(super) wrong: bool,
}

/// The records above a threshold.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n_in_scope: u64,
    answered: u64,
    wrong: u64,
    n_oos: u64,
    oos_answered: u64,
}

impl Counts {
    fn at(threshold: f64, records: &[Scored]) -> Self {
        let mut counts = Self::default();
        for record in records {
            let answered = u64::from(record.score >= threshold);
            if record.in_scope {
                counts.n_in_scope += 1;
                counts.answered += answered;
                counts.wrong += answered * u64::from(record.wrong);
            } else {
                counts.n_oos += 1;
                counts.oos_answered += answered;
            }
        }
        counts
    }

    /// Returns a lower bound of the accuracy of answers if `oos_share` of the messages are out of scope, at [`LEVEL`].
    ///
    /// The accuracy is (1 - s) a r / ((1 - s) a + s o), with s the share, a and o the answered shares in and out of scope,
    /// and r the share of right answers in scope. It rises with a and r and falls with o, so bounds of the three give a
    /// bound of the accuracy. Each is a one-sided Clopper-Pearson bound that fails in a third of 1 - [`LEVEL`] (Bonferroni).
    fn accuracy_bound(self, oos_share: f64) -> f64 {
        if oos_share == 0.0 {
            return 1.0 - upper_bound(self.wrong, self.answered, LEVEL);
        }
        let level = 1.0 - (1.0 - LEVEL) / 3.0;
        let right = 1.0 - upper_bound(self.wrong, self.answered, level);
        let declined = upper_bound(self.n_in_scope - self.answered, self.n_in_scope, level);
        let in_scope = (1.0 - oos_share) * (1.0 - declined);
        let out_of_scope = oos_share * upper_bound(self.oos_answered, self.n_oos, level);
        match in_scope + out_of_scope > 0.0 {
            true => right * in_scope / (in_scope + out_of_scope),
            false => 0.0,
        }
    }
}

/// Finds the lowest threshold whose answers are right with probability `target` or more if `oos_share` of the messages are
/// out of scope.
///
/// As [`super::threshold::find`]: `chooses` determines the thresholds and their order, `tests` tests them in this order and
/// stops at the first that fails. Only the bound differs.
///
/// # Errors
/// `BOT-7060` (exit 4) if the first threshold fails; the message names the target that it reaches.
pub(super) fn find(
    chooses: &[Scored],
    tests: &[Scored],
    target: f64,
    oos_share: f64,
) -> Result<(f64, Guarantee)> {
    let scores = chooses.iter().map(|record| record.score).filter(|score| score.is_finite());
    let thresholds = from_lowest_risk(scores.collect(), |threshold| {
        1.0 - Counts::at(threshold, chooses).accuracy_bound(oos_share)
    });
    let guarantee = |threshold: f64| {
        let counts = Counts::at(threshold, tests);
        Guarantee {
            target_accuracy: target,
            level: LEVEL,
            n_samples: tests.len() as u64,
            n_answered: counts.answered + counts.oos_answered,
            n_wrong: counts.wrong + counts.oos_answered,
            accuracy_bound: storable_below(counts.accuracy_bound(oos_share)),
            oos_share: Some(oos_share),
        }
    };
    let passed = thresholds
        .iter()
        .map(|&threshold| (threshold, guarantee(threshold)))
        .take_while(|(_, guarantee)| guarantee.accuracy_bound >= target);
    match passed.last() {
        Some(found) => Ok(found),
        None => {
            let first = thresholds.first().copied().unwrap_or(f64::INFINITY);
            Err(not_reached(&guarantee(first), Counts::at(first, tests)))
        }
    }
}

fn not_reached(best: &Guarantee, counts: Counts) -> Fault {
    let reachable = (best.accuracy_bound * 1e3).floor() / 1e3;
    let message = format!(
        "no threshold shows with 95 % confidence that {} of the answered messages are right if {} of the messages are out \
         of scope: the surest {} of {} held-out records, {} of them answered wrongly, with {} of {} out-of-scope records \
         answered, show {reachable:.3}",
        best.target_accuracy,
        best.oos_share.unwrap_or_default(),
        best.n_answered,
        best.n_samples,
        best.n_wrong,
        counts.oos_answered,
        counts.n_oos,
    );
    Fault::insufficient("BOT-7060", message)
        .hint(match reachable > 0.0 {
            true => format!("set `fallback.target_accuracy: {reachable:.3}` or less"),
            false => "remove `fallback.target_accuracy`".to_owned(),
        })
        .hint("or label more out-of-scope records `oos`: few of them prove little about many messages")
}

/// The share of out-of-scope records that a threshold declines.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OosDeclined {
    /// The share to decline, in (0, 1).
    pub min: f64,
    /// Number of out-of-scope records, scored by models that never saw them.
    pub n_oos: u64,
    /// Number of these that the threshold declines.
    pub n_declined: u64,
    /// The 95 % Clopper-Pearson interval of the declined share. It holds although the threshold was chosen on the same
    /// records, because the threshold is the score at a rank that was fixed before.
    pub ci95: [f64; 2],
    /// Number of in-scope records.
    pub n_in_scope: u64,
    /// Number of in-scope records that the threshold declines.
    pub n_in_scope_declined: u64,
}

/// Finds the lowest threshold that declines the share `min` of the out-of-scope records.
///
/// # Errors
/// `BOT-7061` (exit 4) with fewer than 10 out-of-scope records.
pub(super) fn declining(records: &[Scored], min: f64) -> Result<(f64, OosDeclined)> {
    let mut scores: Vec<f64> =
        records.iter().filter(|record| !record.in_scope).map(|record| record.score).collect();
    if scores.len() < FEWEST_OOS {
        let n = scores.len();
        let message = format!(
            "`fallback.min_oos_declined` is measured on out-of-scope records, and the data has {n}: at least {FEWEST_OOS} \
             are needed"
        );
        return Err(Fault::insufficient("BOT-7061", message)
            .hint(format!("label out-of-scope records `{}`", botops_labels::OOS))
            .hint("or state a `threshold`, or a `target_accuracy` with the `oos_share` of the traffic"));
    }
    scores.sort_unstable_by(f64::total_cmp);
    // A product such as 0.8 * 30 may be slightly above the whole number.
    let rank = ((min * scores.len() as f64 - 1e-9).ceil() as usize).clamp(1, scores.len());
    let last_declined = scores[rank - 1];
    let threshold = match last_declined.is_finite() {
        true => storable(storable_below(last_declined) + 1e-9),
        // Records in which the model knows nothing are declined at any threshold.
        false => scores.iter().copied().find(|score| score.is_finite()).map_or(0.0, storable_below),
    };
    let counts = Counts::at(threshold, records);
    let n_declined = counts.n_oos - counts.oos_answered;
    Ok((
        threshold,
        OosDeclined {
            min,
            n_oos: counts.n_oos,
            n_declined,
            ci95: clopper_pearson(n_declined, counts.n_oos, LEVEL).map(storable),
            n_in_scope: counts.n_in_scope,
            n_in_scope_declined: counts.n_in_scope - counts.answered,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_findings::FaultKind;
    use botops_stats::random::Random;

    /// Draws records: in scope, an answer is wrong at probability (1 - score) / 2; out-of-scope scores are fourth powers, so lower.
    fn draw(random: &mut Random, n: usize, oos_share: f64) -> Vec<Scored> {
        (0..n)
            .map(|_| {
                let in_scope = random.unit() >= oos_share;
                let unit = random.unit();
                let score = if in_scope { unit } else { unit.powi(4) };
                let wrong = !in_scope || random.unit() < (1.0 - score) / 2.0;
                Scored { score, in_scope, wrong }
            })
            .collect()
    }

    /// Returns the true accuracy of answers at `t`, of messages drawn by [`draw`].
    fn accuracy(t: f64, oos_share: f64) -> f64 {
        let in_scope = (1.0 - oos_share) * (1.0 - t);
        let out = oos_share * (1.0 - t.powf(0.25));
        in_scope * (1.0 - (1.0 - t) / 4.0) / (in_scope + out)
    }

    #[test]
    fn the_target_holds_for_the_stated_share_of_out_of_scope_messages() {
        let (mut held, mut found, mut plain_held) = (0, 0, 0);
        for repeat in 0..200 {
            let mut random = Random::stream(31, repeat);
            // The records have few out-of-scope messages, the traffic many.
            let (chooses, tests) = (draw(&mut random, 3_000, 0.05), draw(&mut random, 3_000, 0.05));
            let Ok((threshold, guarantee)) = find(&chooses, &tests, 0.72, 0.2) else { continue };
            assert_eq!(guarantee.oos_share, Some(0.2));
            assert!(guarantee.accuracy_bound >= 0.72);
            found += 1;
            held += u32::from(accuracy(threshold, 0.2) >= 0.72);
            let plain = |records: &[Scored]| -> Vec<(f64, bool)> {
                records.iter().map(|record| (record.score, record.wrong)).collect()
            };
            let (threshold, _) =
                super::super::threshold::find(&plain(&chooses), &plain(&tests), 0.72).unwrap();
            plain_held += u32::from(accuracy(threshold, 0.2) >= 0.72);
        }
        // At most 10 of 200 may miss the target, plus two standard errors of 3.1. Without the share, all miss it.
        assert!(found > 150 && found - held <= 16, "{held} of {found}");
        assert!(plain_held < 10, "{plain_held}");
    }

    #[test]
    fn without_out_of_scope_messages_the_bound_is_that_of_the_answers_in_scope() {
        let mut random = Random::new(8);
        let records = draw(&mut random, 500, 0.1);
        let counts = Counts::at(0.5, &records);
        let bound = 1.0 - upper_bound(counts.wrong, counts.answered, LEVEL);
        assert_eq!(counts.accuracy_bound(0.0), bound);
        assert!(counts.accuracy_bound(0.3) < counts.accuracy_bound(0.1));
        // Records without an out-of-scope one prove little: each such message may be answered.
        let in_scope: Vec<Scored> = records.into_iter().filter(|record| record.in_scope).collect();
        let fault = find(&in_scope, &in_scope, 0.9, 0.4).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7060", FaultKind::Insufficient));
        assert!(fault.message().contains("if 0.4 of the messages are out of scope"), "{fault}");
    }

    #[test]
    fn the_lowest_threshold_declines_the_share_of_out_of_scope_records() {
        let oos = [0.1, 0.2, f64::NEG_INFINITY, 0.3, 0.35, 0.4, 0.45, 0.5, 0.8, 0.9];
        let mut records: Vec<Scored> =
            oos.map(|score| Scored { score, in_scope: false, wrong: true }).to_vec();
        let in_scope = [0.2, 0.6, 0.7, 0.95];
        records.extend(in_scope.map(|score| Scored { score, in_scope: true, wrong: false }));
        let (threshold, found) = declining(&records, 0.8).unwrap();
        assert!(threshold > 0.5 && threshold < 0.500_000_01, "{threshold}");
        assert_eq!((found.n_oos, found.n_declined), (10, 8));
        assert_eq!((found.n_in_scope, found.n_in_scope_declined), (4, 1));
        // scipy 1.17: binomtest(8, 10).proportion_ci(method="exact")
        assert!((found.ci95[0] - 0.443_904_5).abs() < 1e-6, "{:?}", found.ci95);
        assert!((found.ci95[1] - 0.974_789_3).abs() < 1e-6, "{:?}", found.ci95);
        // Records that the model knows nothing in are declined without a threshold.
        assert_eq!(declining(&records, 0.1).unwrap().1.n_declined, 1);
        let fault = declining(&records[1..], 0.8).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7061", FaultKind::Insufficient));
    }
}
