//! Rollouts tick by tick, by property and by simulation.

mod approvals;
mod clock_jumps;
mod commands;
mod events;
mod feedback;
mod holds;
mod invariants;
mod merged;
mod merged_verdicts;
mod pauses;
mod plan;
mod plan_forecast;
mod properties;
mod reach;
mod recorded;
mod replica_splits;
mod replicas_judged;
mod replicas_simulated;
mod rollout_time;
mod settling;
mod shadow_plan;
mod simulation;
mod ticks;
mod union_checkpoint;
mod unmeasured;
mod windows;

use super::*;
use botops_digest::Digest;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// The time at which every test begins.
fn start() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn step(weight: f64, min_time: &str, min_units: u64, deadline: &str) -> StepSpec {
    StepSpec {
        weight,
        min_time: Some(min_time.to_owned()),
        min_units: Some(min_units),
        deadline: deadline.to_owned(),
        require: None,
    }
}

fn with_evidence(step: StepSpec) -> StepSpec {
    StepSpec { require: Some(Requirement::PromoteEvidence), ..step }
}

/// A plan of three steps in which only `wrong` gates.
fn spec() -> RolloutSpec {
    RolloutSpec {
        shadow: None,
        steps: vec![
            step(5.0, "1h", 20, "12h"),
            step(25.0, "1h", 50, "12h"),
            with_evidence(step(50.0, "1h", 100, "12h")),
        ],
        judge: JudgeSpec {
            metrics: BTreeMap::from([(FailureKind::Wrong, GatePolicy::Gate)]),
            ..JudgeSpec::default()
        },
        interval: "5m".to_owned(),
        stale_after: "2h".to_owned(),
        ..RolloutSpec::default()
    }
}

fn request(spec: &RolloutSpec) -> Rollout {
    Rollout::request(
        RolloutRequest {
            id: "r1".to_owned(),
            model: "support".to_owned(),
            champion: Digest::of(b"champion"),
            challenger: Digest::of(b"challenger"),
            policy: spec.check().unwrap(),
            actor: "ada".to_owned(),
            reason: "weekly".to_owned(),
        },
        start(),
    )
}

/// Returns a rollout in its first step, or in its shadow stage.
fn running(spec: &RolloutSpec) -> Rollout {
    let pending = request(spec);
    let loading = advance(&pending, &Observation::default(), start());
    assert_eq!(loading.effect, Effect::Load);
    command(&loading.next, &Command::Loaded, start()).unwrap().next
}

use running as running_rollout;

/// Returns an observation, made at `now`, of conversations on both arms, none of them with feedback.
fn silent(primary: u64, canary: u64, now: DateTime<Utc>) -> Observation {
    Observation {
        canary_units: canary,
        primary_units: primary,
        observed_at: Some(now),
        ..Observation::default()
    }
}

/// Returns an observation, made at `now`, of conversations on both arms, all of them with feedback.
fn seen(primary: u64, canary: u64, now: DateTime<Utc>) -> Observation {
    with_feedback(silent(primary, canary, now), [primary, canary])
}

/// Returns `observation` with feedback on `[primary, canary]` conversations.
fn with_feedback(mut observation: Observation, [primary, canary]: [u64; 2]) -> Observation {
    observation.measured.push(MeasuredCount { kind: FailureKind::Wrong, canary, primary });
    observation
}

/// Returns `observation` with failures of `kind` in conversations that began at `weight`.
fn failing(
    mut observation: Observation,
    kind: FailureKind,
    weight: f64,
    [primary, canary]: [u64; 2],
) -> Observation {
    observation.failures.push(FailureCount { kind, weight, canary, primary });
    observation
}

/// Returns the rollout after a round trip through JSON, as after a crash.
fn reread(rollout: &Rollout) -> Rollout {
    serde_json::from_str(&serde_json::to_string(rollout).unwrap()).unwrap()
}

/// Returns a rollout that passed its first two steps without a failure, and the time.
fn at_the_last_step() -> (Rollout, DateTime<Utc>) {
    let now = start() + minutes(60);
    let second = advance(&running(&spec()), &seen(475, 25, now), now);
    let now = now + minutes(60);
    let third = advance(&second.next, &seen(190, 60, now), now);
    assert!(matches!(third.next.phase, Phase::Ramping { step: 2, .. }));
    (third.next, now)
}
