//! One tick: from the state and an observation, at most one decision.

use crate::{
    judge::{Evidence, PromoteEvidence},
    numbers::{duration, elapsed, percent},
    observation::Observation,
    policy::StepPolicy,
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Transition, Verdict},
    wording,
};
use botops_text::count;
use chrono::{DateTime, Utc};

/// Makes at most one decision from the traffic since the previous tick.
///
/// The first of these rules that applies decides:
///
/// 1. a gating failure kind is worse on the challenger: roll back (in shadow, while ramping, or paused)
/// 2. the split is broken: pause at weight zero
/// 3. nothing was observed for longer than `stale_after`: pause at weight zero
/// 4. the step has its least time and conversations, and the evidence it requires: take the next step,
///    or promote
/// 5. the step's deadline has passed: pause and keep the weight, for lack of traffic or evidence
///
/// Only a person ends a pause (or rules 1 to 3 replace it). `Pending` continues to `Loading`; loading,
/// promoting and rolling back wait for a [`crate::Command`]; a terminal phase is returned unchanged. A
/// `now` before the latest transition counts as the time of that transition. The caller measures `now` on a clock that
/// does not jump, and reports a jump of the wall clock with [`crate::clock_jumped`].
#[must_use]
pub fn advance(rollout: &Rollout, observation: &Observation, now: DateTime<Utc>) -> Transition {
    let now = now.max(rollout.updated_at);
    let mut next = rollout.clone();
    match rollout.phase {
        Phase::Pending => {
            let reason = "requested; loading the challenger".to_owned();
            let to = (Phase::Loading, Effect::Load);
            Transition::decided(next, to, Verdict::Hold, reason, now)
        }
        Phase::Loading | Phase::RollingBack { .. } => Transition::undecided(next, Verdict::Hold),
        Phase::AwaitingApproval { .. } | Phase::Promoting | Phase::Settling { .. } => {
            // The alias is being moved: observations are still added, and a person can still abort.
            next.judge.add(observation, rollout.weight(), now);
            Transition::undecided(next, Verdict::Hold)
        }
        Phase::Shadow { since, units } => {
            next.judge.add(observation, 0.0, now);
            let units = units.saturating_add(observation.shadow_units);
            next.phase = Phase::Shadow { since, units };
            shadow(next, since, units, now)
        }
        Phase::Ramping { step, since, units, manual_percent } => {
            next.judge.add(observation, rollout.weight(), now);
            let units = units.saturating_add(observation.canary_units);
            next.phase = Phase::Ramping { step, since, units, manual_percent };
            match guard(&next, since, now) {
                Some(stop) => stop.transition(next, now),
                None => ramp(next, (step, since, units), now),
            }
        }
        Phase::Paused { reason, step, weight, since, units } => {
            next.judge.add(observation, rollout.weight(), now);
            let new = if step.is_some() { observation.canary_units } else { 0 };
            let units = units.saturating_add(new);
            next.phase = Phase::Paused { reason, step, weight, since, units };
            match guard(&next, since, now) {
                Some(stop) => stop.transition(next, now),
                None => Transition::undecided(next, paused_verdict(reason)),
            }
        }
        Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Refused { .. }
        | Phase::Superseded { .. } => Transition::undecided(next, Verdict::Hold),
    }
}

/// Returns the verdict while a rollout is paused for `reason`.
fn paused_verdict(reason: PauseReason) -> Verdict {
    match reason {
        PauseReason::Requested | PauseReason::Held => Verdict::Hold,
        PauseReason::NoTraffic | PauseReason::Unmeasured => Verdict::Insufficient,
        PauseReason::Inconclusive => Verdict::Inconclusive,
        PauseReason::SampleRatioMismatch | PauseReason::Stale | PauseReason::ClockJump => {
            Verdict::Invalid
        }
    }
}

/// A decision that stops a rollout, whatever its step requires.
struct Stop {
    phase: Phase,
    effect: Effect,
    verdict: Verdict,
    reason: String,
}

impl Stop {
    fn transition(self, next: Rollout, now: DateTime<Utc>) -> Transition {
        Transition::decided(next, (self.phase, self.effect), self.verdict, self.reason, now)
    }
}

/// Rolls back on evidence; pauses at weight zero when the split is broken or observations are stale.
fn guard(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    if let Some(evidence) = next.judge.worse(next.policy.judge()) {
        let reason = wording::worse(&evidence, next.judge.units()[1]);
        return Some(Stop {
            phase: Phase::rolling_back(&reason),
            effect: Effect::RollBack,
            verdict: Verdict::Fail,
            reason,
        });
    }
    // At weight zero there is no split to watch, and no traffic to withdraw.
    if next.weight() <= 0.0 {
        return None;
    }
    if let Some(numbers) = next.judge.broken_split() {
        let reason = wording::broken_split(&next.judge, numbers);
        let why = (PauseReason::SampleRatioMismatch, Verdict::Invalid);
        return Some(pause(next, why, reason, now));
    }
    stale(next, since, now)
}

/// Pauses at weight zero when nothing was observed for longer than `stale_after`.
fn stale(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    let newest = next.judge.observed_at().map_or(since, |at| at.max(since));
    let age = elapsed(newest, now);
    (age > next.policy.stale_after()).then(|| {
        let reason = format!(
            "nothing was observed for {}, longer than {}: the challenger gets no traffic",
            duration(age),
            duration(next.policy.stale_after())
        );
        pause(next, (PauseReason::Stale, Verdict::Invalid), reason, now)
    })
}

/// Pauses in the current step: at weight zero when the verdict is invalid, else at the weight of the step.
fn pause(
    next: &Rollout,
    (pause_reason, verdict): (PauseReason, Verdict),
    reason: String,
    now: DateTime<Utc>,
) -> Stop {
    let (step, units) = match next.phase {
        Phase::Ramping { step, units, .. } => (Some(step), units),
        Phase::Paused { step, units, .. } => (step, units),
        Phase::Shadow { units, .. } => (None, units),
        _ => (None, 0),
    };
    let weight = if verdict == Verdict::Invalid { 0.0 } else { next.weight() };
    Stop {
        phase: Phase::Paused { reason: pause_reason, step, weight, since: now, units },
        effect: Effect::Route,
        verdict,
        reason,
    }
}

/// Decides in the shadow stage, which began at `since` and has mirrored `units` conversations.
fn shadow(next: Rollout, since: DateTime<Utc>, units: u64, now: DateTime<Utc>) -> Transition {
    if let Some(stop) = guard(&next, since, now).or_else(|| stale(&next, since, now)) {
        return stop.transition(next, now);
    }
    // Only a state edited by hand has no plan for its shadow stage: end the stage.
    let Some(plan) = next.policy.shadow().cloned() else {
        return first_step(next, "the plan has no shadow stage".to_owned(), Verdict::Pass, now);
    };
    if units >= plan.min_units {
        let reason = format!("{} conversations mirrored", count(units));
        return first_step(next, reason, Verdict::Pass, now);
    }
    if elapsed(since, now) >= plan.deadline {
        let reason = format!(
            "deadline of {} reached with {} of {} conversations mirrored",
            duration(plan.deadline),
            count(units),
            count(plan.min_units)
        );
        let why = (PauseReason::NoTraffic, Verdict::Insufficient);
        return pause(&next, why, reason, now).transition(next, now);
    }
    Transition::undecided(next, Verdict::Hold)
}

/// Enters the first step, where the challenger begins to answer.
pub(crate) fn first_step(
    next: Rollout,
    reason: String,
    verdict: Verdict,
    now: DateTime<Utc>,
) -> Transition {
    let to = (Phase::step(0, now), Effect::Route);
    Transition::decided(next, to, verdict, reason, now)
}

/// Decides in step `index`, which began at `since` and has `units` conversations on the challenger.
fn ramp(
    next: Rollout,
    (index, since, units): (usize, DateTime<Utc>, u64),
    now: DateTime<Utc>,
) -> Transition {
    let n_steps = next.policy.steps().len();
    let Some(step) = next.policy.steps().get(index).cloned() else {
        // Only a state edited by hand has no such step: its weight is zero, and there is nothing to decide.
        return Transition::undecided(next, Verdict::Hold);
    };
    let time = elapsed(since, now);
    let late = time >= step.deadline;
    if units < step.min_units {
        if !late {
            return Transition::undecided(next, Verdict::Hold);
        }
        return pause_without_traffic(next, &step, units, now);
    }
    if time < step.min_time {
        return Transition::undecided(next, Verdict::Hold);
    }
    let evidence = next.judge.promote_evidence(next.policy.judge(), step.min_units);
    let required = if step.require.is_some() { evidence.as_slice() } else { &[] };
    if required.iter().any(|(evidence, status)| status.is_waited_for(evidence.policy)) {
        if !late {
            return Transition::undecided(next, Verdict::Hold);
        }
        return pause_without_evidence(next, &step, required, now);
    }
    let numbers = wording::promote_evidence(required);
    let mut reason = format!(
        "step {} of {n_steps} passed: {} conversations on the challenger at {} in {}, {}",
        index + 1,
        count(units),
        percent(step.weight_percent),
        duration(time),
        wording::nothing_worse(&evidence),
    );
    if !numbers.is_empty() {
        reason.push_str(&format!(
            "; less than {} times as often: {numbers}",
            next.policy.judge().tolerated_risk
        ));
    }
    let to = if index + 1 < n_steps {
        (Phase::step(index + 1, now), Effect::Route)
    } else {
        (Phase::Promoting, Effect::Promote)
    };
    Transition::decided(next, to, Verdict::Pass, reason, now)
}

/// Pauses a step whose deadline passed without the evidence that it requires; the weight is kept.
fn pause_without_evidence(
    next: Rollout,
    step: &StepPolicy,
    required: &[(Evidence, PromoteEvidence)],
    now: DateTime<Utc>,
) -> Transition {
    let unmeasured = required.iter().find(|(evidence, status)| {
        matches!(status, PromoteEvidence::Unmeasured(_)) && status.is_waited_for(evidence.policy)
    });
    let mut reason = format!(
        "deadline of {} reached without evidence that the challenger fails less than {} times as often: {}",
        duration(step.deadline),
        next.policy.judge().tolerated_risk,
        wording::promote_evidence(required),
    );
    let why = match unmeasured {
        Some((evidence, _)) => {
            let name = evidence.kind.name();
            reason.push_str(&format!("; if it cannot be measured: `{name}: optional` in the plan"));
            (PauseReason::Unmeasured, Verdict::Insufficient)
        }
        None => (PauseReason::Inconclusive, Verdict::Inconclusive),
    };
    pause(&next, why, reason, now).transition(next, now)
}

/// Pauses a step whose deadline passed with too few conversations; the weight is kept.
fn pause_without_traffic(
    next: Rollout,
    step: &StepPolicy,
    units: u64,
    now: DateTime<Utc>,
) -> Transition {
    let reason = format!(
        "deadline of {} reached with {} of {} conversations on the challenger at {}",
        duration(step.deadline),
        count(units),
        count(step.min_units),
        percent(step.weight_percent)
    );
    let why = (PauseReason::NoTraffic, Verdict::Insufficient);
    pause(&next, why, reason, now).transition(next, now)
}
