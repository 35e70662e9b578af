//! One tick: from the state and an observation, at most one decision.

use crate::{
    approving,
    judge::{Evidence, PromoteEvidence},
    numbers::{duration, elapsed, percent},
    observation::Observation,
    policy::{OnInsufficient, StepPolicy, Strategy},
    promotion::{continue_after_pause, held_pause, take_step},
    settling,
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Transition, Verdict},
    wording,
};
use botops_text::count;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// Makes at most one decision from the traffic since the previous tick.
///
/// The first of these rules that applies decides:
///
/// 1. a gating failure kind is worse on the challenger: roll back (in shadow, while ramping, paused, or awaiting approval)
/// 2. the split is broken: pause at weight zero
/// 3. nothing was observed for longer than `stale_after`: pause at weight zero
/// 4. the step has its least time and conversations, and the evidence it requires: take the next step, or promote; a
///    promotion that needs approvals waits for them
/// 5. the step's deadline has passed: pause, for lack of traffic or evidence (or what `on_insufficient` says)
///
/// A pause is ended by a person, by `pause_deadline` (rolls back) or by rules 1 to 3; a pause for a hold also by the end of
/// the hold. Approvals that expire roll back. Settling is explained in `settling.rs`. `Pending` continues to `Loading`;
/// loading, promoting and rolling back wait for a [`crate::Command`]; a terminal phase is returned unchanged.
///
/// **Held.** While [`Observation::held`] names a freeze or a closed window, a rollout waits where it would advance: before
/// loading, at the end of shadow, at the end of a step, with all approvals, at the end of settling. Deadlines count on.
///
/// A `now` before the latest transition counts as the time of that transition. The caller takes `now`
/// from [`crate::RolloutTime`], never from a wall clock, and reports a jump of the wall clock with [`crate::clock_jumped`].
#[must_use]
pub fn advance(rollout: &Rollout, observation: &Observation, now: DateTime<Utc>) -> Transition {
    let now = now.max(rollout.updated_at);
    let mut next = rollout.clone();
    if !rollout.is_over() {
        next.held.clone_from(&observation.held);
    }
    match rollout.phase {
        Phase::Pending if next.held.is_some() => Transition::undecided(next, Verdict::Hold),
        Phase::Pending => {
            let reason = "requested; loading the challenger".to_owned();
            let to = (Phase::Loading, Effect::Load);
            Transition::decided(next, to, Verdict::Hold, reason, now)
        }
        Phase::Loading | Phase::RollingBack { .. } => Transition::undecided(next, Verdict::Hold),
        Phase::Promoting => {
            // The challenger is being made champion: observations are still added, and a person can still abort.
            next.add(observation, now);
            Transition::undecided(next, Verdict::Hold)
        }
        Phase::Shadow { since, units } => {
            next.add(observation, now);
            let units = units.saturating_add(observation.shadow_units);
            next.phase = Phase::Shadow { since, units };
            shadow(next, since, units, now)
        }
        Phase::Ramping { step, since, units, manual_percent } => {
            next.add(observation, now);
            let units = units.saturating_add(observation.canary_units_at(rollout.weight()));
            next.phase = Phase::Ramping { step, since, units, manual_percent };
            match guard(&next, since, now) {
                Some(stop) => stop.transition(next, now),
                None => ramp(next, (step, since, units), now),
            }
        }
        Phase::Paused { reason, step, weight, since, units } => {
            next.add(observation, now);
            let at_weight = observation.canary_units_at(rollout.weight());
            let new = if step.is_some() { at_weight } else { 0 };
            let units = units.saturating_add(new);
            next.phase = Phase::Paused { reason, step, weight, since, units };
            match guard(&next, since, now).or_else(|| paused_too_long(&next, since, now)) {
                Some(stop) => stop.transition(next, now),
                None if reason == PauseReason::Held && next.held.is_none() => {
                    let reason = "nothing holds the rollout any more".to_owned();
                    continue_after_pause(next, step, units, reason, now)
                }
                None => Transition::undecided(next, paused_verdict(reason)),
            }
        }
        Phase::AwaitingApproval { step, weight, since, units } => {
            next.add(observation, now);
            let units = units.saturating_add(observation.canary_units_at(rollout.weight()));
            next.phase = Phase::AwaitingApproval { step, weight, since, units };
            match guard(&next, since, now) {
                Some(stop) => stop.transition(next, now),
                None => approving::awaiting(next, since, now),
            }
        }
        Phase::Settling { since, units } => {
            next.add(observation, now);
            let units = units.saturating_add(observation.canary_units_at(rollout.weight()));
            next.phase = Phase::Settling { since, units };
            settling::settle(next, (since, units), now)
        }
        Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Refused { .. }
        | Phase::Superseded { .. }
        | Phase::Finished { .. } => Transition::undecided(next, Verdict::Hold),
    }
}

impl Rollout {
    /// Adds what was observed since the previous tick.
    fn add(&mut self, observation: &Observation, now: DateTime<Utc>) {
        let weight = self.weight();
        self.judge.add(observation, weight, now);
        self.limits.add(observation, weight, &self.policy);
    }
}

/// Returns the verdict while a rollout is paused for `reason`.
fn paused_verdict(reason: PauseReason) -> Verdict {
    match reason {
        PauseReason::Requested | PauseReason::Held => Verdict::Hold,
        PauseReason::NoTraffic | PauseReason::Unmeasured => Verdict::Insufficient,
        PauseReason::Inconclusive => Verdict::Inconclusive,
        PauseReason::SampleRatioMismatch
        | PauseReason::Stale
        | PauseReason::ClockJump
        | PauseReason::Feedback => Verdict::Invalid,
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

/// Returns the decision to roll back for `reason`.
fn roll_back(verdict: Verdict, reason: String) -> Stop {
    Stop { phase: Phase::rolling_back(&reason), effect: Effect::RollBack, verdict, reason }
}

/// Rolls back on evidence; pauses at weight zero when the split is broken, the verdicts of end users cannot be trusted, or
/// observations are stale.
fn guard(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    if let Some(reason) = settling::failure(next) {
        return Some(roll_back(Verdict::Fail, reason));
    }
    // At weight zero there is no split to watch, and no traffic to withdraw.
    if next.weight() <= 0.0 {
        return None;
    }
    if let Some(broken) = next.judge.broken_split() {
        let reason = wording::broken_split(&broken);
        let why = (PauseReason::SampleRatioMismatch, Verdict::Invalid);
        return Some(pause(next, why, reason, now));
    }
    if let Some(reason) = wording::feedback_alarm(next) {
        return Some(pause(next, (PauseReason::Feedback, Verdict::Invalid), reason, now));
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

/// Rolls back when a pause lasts longer than the plan allows.
fn paused_too_long(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    let deadline = next.policy.pause_deadline()?;
    let Phase::Paused { reason: pause_reason, .. } = next.phase else { return None };
    (elapsed(since, now) >= deadline).then(|| {
        let reason = format!(
            "the pause lasted {}, the longest time that the plan allows{}",
            duration(deadline),
            wording::and_held(next)
        );
        roll_back(paused_verdict(pause_reason), reason)
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
        Phase::Paused { step, units, .. } | Phase::AwaitingApproval { step, units, .. } => {
            (step, units)
        }
        Phase::Shadow { units, .. } => (None, units),
        _ => (None, 0),
    };
    let weight = if verdict == Verdict::Invalid { 0.0 } else { next.weight_in_pause() };
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
        return take_step(next, 0, "the plan has no shadow stage".to_owned(), Verdict::Pass, now);
    };
    let late = elapsed(since, now) >= plan.deadline;
    // The end of a shadow plan advances nothing, so a hold does not delay it.
    let ends = next.policy.strategy() == Strategy::Shadow;
    if units >= plan.min_units {
        return match (next.held.is_some() && !ends, late) {
            (false, _) => {
                let reason = format!("{} conversations mirrored", count(units));
                take_step(next, 0, reason, Verdict::Pass, now)
            }
            (true, true) => pause_while_held(next, plan.deadline, now),
            (true, false) => Transition::undecided(next, Verdict::Hold),
        };
    }
    if !late {
        return Transition::undecided(next, Verdict::Hold);
    }
    let of = match plan.least_units() {
        Some(least) => format!(" of {}", count(least)),
        None => String::new(),
    };
    let reason = format!(
        "deadline of {} reached with {}{of} conversations mirrored{}",
        duration(plan.deadline),
        count(units),
        wording::and_held(&next)
    );
    if ends {
        return take_step(next, 0, reason, Verdict::Insufficient, now);
    }
    insufficient(next, Some(0), reason, now)
}

/// Pauses a stage that is done and held when its deadline passes.
fn pause_while_held(next: Rollout, deadline: Duration, now: DateTime<Utc>) -> Transition {
    let reason = format!("deadline of {} reached{}", duration(deadline), wording::and_held(&next));
    let to = (held_pause(&next, now), Effect::Route);
    Transition::decided(next, to, Verdict::Hold, reason, now)
}

/// Decides at a deadline that was reached with too few conversations; `step` is the one that may follow.
fn insufficient(
    next: Rollout,
    step: Option<usize>,
    reason: String,
    now: DateTime<Utc>,
) -> Transition {
    let step = step.filter(|&step| step < next.policy.steps().len() && next.held.is_none());
    match (next.policy.on_insufficient, step) {
        (OnInsufficient::Rollback, _) => {
            roll_back(Verdict::Insufficient, reason).transition(next, now)
        }
        (OnInsufficient::Advance, Some(step)) => {
            take_step(next, step, reason, Verdict::Insufficient, now)
        }
        _ => {
            let why = (PauseReason::NoTraffic, Verdict::Insufficient);
            pause(&next, why, reason, now).transition(next, now)
        }
    }
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
        let reason = format!(
            "deadline of {} reached with {} of {} conversations on the challenger at {}{}",
            duration(step.deadline),
            count(units),
            count(step.min_units),
            percent(next.weight_percent()),
            wording::and_held(&next)
        );
        let following = step.require.is_none().then_some(index + 1);
        return insufficient(next, following, reason, now);
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
    if next.held.is_some() {
        return match late {
            true => pause_while_held(next, step.deadline, now),
            false => Transition::undecided(next, Verdict::Hold),
        };
    }
    let numbers = wording::promote_evidence(required);
    let mut reason = format!(
        "step {} of {n_steps} passed: {} conversations on the challenger at {} in {}, {}",
        index + 1,
        count(units),
        percent(next.weight_percent()),
        duration(time),
        wording::nothing_worse(&evidence),
    );
    if !numbers.is_empty() {
        reason.push_str(&format!(
            "; less than {} times as often: {numbers}",
            next.policy.judge().tolerated_risk
        ));
    }
    take_step(next, index + 1, reason, Verdict::Pass, now)
}

/// Pauses a step whose deadline passed without the evidence that it requires; the weight is kept.
fn pause_without_evidence(
    next: Rollout,
    step: &StepPolicy,
    required: &[(Evidence, PromoteEvidence)],
    now: DateTime<Utc>,
) -> Transition {
    let unmeasured = required.iter().find(|(evidence, status)| {
        matches!(status, PromoteEvidence::Unmeasured(_) | PromoteEvidence::Unsupported(..))
            && status.is_waited_for(evidence.policy)
    });
    let mut reason = format!(
        "deadline of {} reached without evidence that the challenger fails less than {} times as often: {}",
        duration(step.deadline),
        next.policy.judge().tolerated_risk,
        wording::promote_evidence(required),
    );
    reason.push_str(&wording::and_held(&next));
    let why = match unmeasured {
        Some((evidence, _)) => {
            let name = evidence.kind.name();
            reason.push_str(&format!("; if it cannot be measured: `{name}: optional` in the plan"));
            if next.policy.on_insufficient == OnInsufficient::Rollback {
                return roll_back(Verdict::Insufficient, reason).transition(next, now);
            }
            (PauseReason::Unmeasured, Verdict::Insufficient)
        }
        None => (PauseReason::Inconclusive, Verdict::Inconclusive),
    };
    pause(&next, why, reason, now).transition(next, now)
}
