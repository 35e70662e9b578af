//! The judge under simulation: false rollbacks, conversations to a rollback, and the time for each observation.
//!
//! `cargo bench --bench judge` runs rollouts on a ramp of 5, 25 and 50 % with 4,000 conversations a step. Evidence of 1, 3
//! and 10 replicas is merged by the real union, with late, repeated and unordered objects, and the real judge looks after
//! every batch of 2 s. `-- N` sets the number of rollouts for each figure (400).
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "../crates/rollout/src/tests/replicas_simulated.rs"]
mod simulated;

use botops_digest::Digest;
use botops_rollout::{
    Arm, Command, FailureKind, GatePolicy, JudgeSpec, Marked, Merged, Observation, Phase,
    ReplicaObservation, Rollout, RolloutRequest, RolloutSpec, Seen, Slot, StepSpec, advance,
    assign, command,
};
use chrono::{DateTime, TimeDelta, Utc};
use simulated::{Traffic, simulate};
use std::{env, time::Instant};

/// Returns a rollout of `spec` in its first step.
fn running_rollout(spec: &RolloutSpec) -> Rollout {
    let start: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().expect("a time");
    let request = RolloutRequest {
        id: "r1".to_owned(),
        model: "support".to_owned(),
        champion: Digest::of(b"champion"),
        challenger: Digest::of(b"challenger"),
        policy: spec.check().expect("a valid plan"),
        actor: "bench".to_owned(),
        reason: String::new(),
    };
    let loading = advance(&Rollout::request(request, start), &Observation::default(), start).next;
    command(&loading, &Command::Loaded, start).expect("it loads").next
}

/// Adds a million conversations from 3 replicas, in batches of 2 s, and returns the seconds for each.
fn seconds_for_each(batch: u64) -> f64 {
    const UNITS: u64 = 1_000_000;
    let mut rollout = running_rollout(&RolloutSpec::default());
    let mut union = Merged::new("r1");
    let mut now = rollout.updated_at;
    let mut objects = Vec::new();
    for (i, first) in (0..UNITS).step_by(batch as usize).enumerate() {
        now += TimeDelta::seconds(2);
        let name = format!("replica-{}", i % 3);
        let mut seen = ReplicaObservation::new("r1", &name, i as u64 / 3 + 1, now);
        let keys = (first..first + batch).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for arm in [Arm::Primary, Arm::Canary] {
            let slot = Slot::new(0, 0.05, arm);
            let own = |key: &u64| key.is_multiple_of(20) == (arm == Arm::Canary);
            let units = keys.clone().filter(own).collect();
            seen.arms.push(Seen { slot, measures: Vec::new(), units });
            let units = keys.clone().filter(own).filter(|key| key % 33 == 0).collect();
            seen.failures.push(Marked { kind: FailureKind::Error, slot, units });
        }
        objects.push((seen, now));
    }
    let started = Instant::now();
    for (seen, now) in &objects {
        union.merge(seen).expect("a valid object");
        rollout = advance(&rollout, &union.observation(), *now).next;
    }
    let seconds = started.elapsed().as_secs_f64() / UNITS as f64;
    assert!(matches!(rollout.phase, Phase::Ramping { .. }), "{:?}", rollout.phase);
    seconds
}

fn main() {
    let repeats = env::args().find_map(|arg| arg.parse().ok()).unwrap_or(400);
    println!("{repeats} rollouts for each line; 4,000 conversations at each of 5, 25 and 50 %");
    println!("replicas  kinds  canary/primary  rolled back  median to it  at most");
    let equal = |rate: f64, kinds: usize| vec![[rate, rate]; kinds];
    let one_of_seven = || [vec![[0.03, 0.09]], equal(0.03, 6)].concat();
    let cases = [
        (vec![[0.03, 0.09]], "9 % / 3 %", "2,000"),
        (one_of_seven(), "9 % / 3 %", "2,900"),
        (vec![[0.01, 0.03]], "3 % / 1 %", "5,500"),
        (equal(0.03, 1), "3 % / 3 %", "5 % of them"),
        (equal(0.1, 1), "10 % / 10 %", "5 % of them"),
        (equal(0.03, 7), "3 % / 3 %", "5 % of them"),
        (equal(0.1, 7), "10 % / 10 %", "5 % of them"),
    ];
    for (rates, name, limit) in cases {
        for replicas in [1, 3, 10] {
            let kinds = rates.len();
            let traffic = Traffic { rates: rates.clone(), replicas, per_step: 4_000, alpha: 0.05 };
            let (share, median) = simulate(&traffic, repeats);
            let median = if median.is_finite() { format!("{median}") } else { "-".to_owned() };
            let share = share * 100.0;
            println!("{replicas:8}  {kinds:5}  {name:>14}  {share:9.1} %  {median:>12}  {limit}");
        }
    }
    for batch in [40, 400, 4_000] {
        let nanoseconds = seconds_for_each(batch) * 1e9;
        println!("{nanoseconds:.0} ns for each conversation, in objects of {batch}");
    }
}
