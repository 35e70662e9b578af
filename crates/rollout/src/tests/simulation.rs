//! Error rates and power of the judge on simulated traffic with fixed seeds.

use super::*;
use botops_stats::random::Random;

/// Failure rates of each kind on `[primary, canary]`, in [0, 1].
type Rates = Vec<(FailureKind, [f64; 2])>;

/// Runs a ramp of 5, 25 and 50 % with `per_step` conversations each and a tick every 50 conversations.
///
/// The last step requires promote evidence. Returns the rollout in its final phase.
fn ramp(rates: &Rates, per_step: u64, seed: u64) -> Rollout {
    const BATCH: u64 = 50;
    let ticks = per_step / BATCH;
    let span = format!("{ticks}m");
    let mut spec = spec();
    spec.stale_after = "30d".to_owned();
    spec.steps = vec![
        step(5.0, &span, 1, "30d"),
        step(25.0, &span, 1, "30d"),
        with_evidence(StepSpec { min_time: None, ..step(50.0, "0s", 1, &span) }),
    ];
    spec.judge.metrics = rates.iter().map(|(kind, _)| (*kind, GatePolicy::Gate)).collect();
    let mut rollout = running(&spec);
    let mut random = Random::new(seed);
    let mut now = start();
    while matches!(rollout.phase, Phase::Ramping { .. }) {
        now += minutes(1);
        let weight = rollout.weight();
        let mut units = [0, 0];
        let mut failed = vec![[0, 0]; rates.len()];
        for _ in 0..BATCH {
            let arm = usize::from(random.unit() < weight);
            units[arm] += 1;
            for ((_, rate), failed) in rates.iter().zip(&mut failed) {
                failed[arm] += u64::from(random.unit() < rate[arm]);
            }
        }
        let mut observation = seen(units[0], units[1], now);
        for ((kind, _), failed) in rates.iter().zip(failed) {
            observation = failing(observation, *kind, weight, failed);
        }
        rollout = advance(&rollout, &observation, now).next;
    }
    rollout
}

fn count(phase: &str, repeats: u64, rates: &Rates, per_step: u64) -> usize {
    (0..repeats).filter(|&seed| ramp(rates, per_step, seed).phase.name() == phase).count()
}

#[test]
fn an_equal_challenger_is_rolled_back_in_fewer_than_alpha_of_all_rollouts() {
    // Three gating kinds at alpha 0.05 in total: at most 10 of 200 repeats are expected, with a standard
    // error of 3.1; 16 is 2 standard errors away. The bound is not sharp: an e-process rarely reaches it.
    let rates: Rates = vec![
        (FailureKind::Error, [0.02, 0.02]),
        (FailureKind::Fallback, [0.1, 0.1]),
        (FailureKind::Wrong, [0.2, 0.2]),
    ];
    let false_alarms = count("rolling_back", 200, &rates, 1_000);
    assert!(false_alarms <= 16, "{false_alarms} of 200");
}

#[test]
fn a_challenger_that_fails_three_times_as_often_is_always_rolled_back() {
    // The reference simulation: 9 % against 3 %, 4,000 a step, 100 %.
    let rates: Rates = vec![(FailureKind::Wrong, [0.03, 0.09])];
    assert_eq!(count("rolling_back", 40, &rates, 4_000), 40);
}

#[test]
fn a_challenger_that_fails_twice_as_often_is_rolled_back_in_95_percent() {
    // The reference simulation: 6 % against 3 %, 4,000 a step, 99.8 %.
    let rates: Rates = vec![(FailureKind::Wrong, [0.03, 0.06])];
    let found = count("rolling_back", 40, &rates, 4_000);
    assert!(found >= 38, "{found} of 40");
}

#[test]
fn promote_evidence_is_as_frequent_as_in_the_reference() {
    // 10 % on both arms, 3,000 conversations: 53 %; 600: 17 %. 5 % against 10 %, 1,500: 97 %.
    let equal: Rates = vec![(FailureKind::Wrong, [0.1, 0.1])];
    let found = count("promoting", 80, &equal, 1_000);
    assert!((28..=58).contains(&found), "{found} of 80");
    let better: Rates = vec![(FailureKind::Wrong, [0.1, 0.05])];
    let found = count("promoting", 60, &better, 500);
    assert!(found >= 54, "{found} of 60");
}

#[test]
fn a_challenger_beyond_the_tolerated_risk_is_promoted_in_fewer_than_alpha() {
    // Exactly 1.5 times as often is the hardest case that must not pass: at most 10 of 200 are expected.
    let rates: Rates = vec![(FailureKind::Wrong, [0.1, 0.15])];
    let promoted = count("promoting", 200, &rates, 1_000);
    assert!(promoted <= 16, "{promoted} of 200");
}
