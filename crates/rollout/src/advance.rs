//! One tick: look at state and observation, decide at most one step.

use super::{
    Effect, Observation, PauseReason, Phase, Rollout, Transition, Verdict,
    judge::Promise,
    wording::{self, elapsed, grouped, percent, span},
};
use chrono::{DateTime, Utc};

/// Decides at most one step from what was seen since the previous tick.
///
/// In this order, and only the first that applies:
///
/// 1. a gating failure kind is worse on the challenger: roll back (in shadow, while ramping, or paused)
/// 2. the split is broken: pause at weight zero
/// 3. nobody has looked for longer than `stale_after`: pause at weight zero
/// 4. the step's least time and conversations are reached, and the evidence it asks for is there: the
///    next step, or promote
/// 5. the step's deadline is reached: pause and keep the weight, for want of traffic or of evidence
///
/// A pause at any weight is left only by a person (or by 1 to 3). `Pending` goes on to `Loading`;
/// loading, promoting and rolling back wait for a [`super::Command`]; a terminal phase is returned
/// as it is. A `now` before the latest transition counts as that.
#[must_use]
pub fn advance(rollout: &Rollout, observation: &Observation, now: DateTime<Utc>) -> Transition {
    let now = now.max(rollout.updated_at);
    let mut next = rollout.clone();
    match rollout.phase {
        Phase::Pending => {
            let reason = "asked for; loading the challenger".to_owned();
            let to = (Phase::Loading, Effect::Load);
            Transition::decided(next, to, Verdict::Hold, reason, now)
        }
        Phase::Loading | Phase::RollingBack { .. } => Transition::undecided(next, Verdict::Hold),
        Phase::Promoting => {
            // The alias is on its way: what is seen now is kept, and a person can still abort.
            next.judge.absorb(observation, rollout.weight(), now);
            Transition::undecided(next, Verdict::Hold)
        }
        Phase::Shadow { since, units } => {
            next.judge.absorb(observation, 0.0, now);
            let units = units.saturating_add(observation.shadow_units);
            next.phase = Phase::Shadow { since, units };
            shadow(next, since, units, now)
        }
        Phase::Ramping { step, since, units } => {
            next.judge.absorb(observation, rollout.weight(), now);
            let units = units.saturating_add(observation.canary_units);
            next.phase = Phase::Ramping { step, since, units };
            match guard(&next, since, now) {
                Some(to) => to.transition(next, now),
                None => ramp(next, (step, since, units), now),
            }
        }
        Phase::Paused { reason, step, weight, since, units } => {
            next.judge.absorb(observation, rollout.weight(), now);
            let seen = if step.is_some() { observation.canary_units } else { 0 };
            let units = units.saturating_add(seen);
            next.phase = Phase::Paused { reason, step, weight, since, units };
            match guard(&next, since, now) {
                Some(to) => to.transition(next, now),
                None => Transition::undecided(next, paused_verdict(reason)),
            }
        }
        Phase::Promoted
        | Phase::RolledBack { .. }
        | Phase::Failed { .. }
        | Phase::Refused { .. } => Transition::undecided(next, Verdict::Hold),
    }
}

/// What the judge says while `reason` holds.
fn paused_verdict(reason: PauseReason) -> Verdict {
    match reason {
        PauseReason::Requested => Verdict::Hold,
        PauseReason::NoTraffic => Verdict::Insufficient,
        PauseReason::Inconclusive => Verdict::Inconclusive,
        PauseReason::SampleRatioMismatch | PauseReason::Stale => Verdict::Invalid,
    }
}

/// What stops a rollout, whatever its step says.
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

/// Rolls back on evidence; pauses at weight zero when the split is broken or nobody looks.
fn guard(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    if let Some(evidence) = next.judge.worse(next.policy.judge()) {
        let reason = wording::worse(&evidence, next.judge.units());
        return Some(Stop {
            phase: Phase::RollingBack { reason: reason.clone() },
            effect: Effect::RollBack,
            verdict: Verdict::Fail,
            reason,
        });
    }
    // At weight zero there is no split to watch and nothing to hide from.
    if next.weight() <= 0.0 {
        return None;
    }
    if let Some(numbers) = next.judge.broken_split() {
        let reason = wording::broken_split(&next.judge, numbers);
        return Some(pause(
            next,
            (PauseReason::SampleRatioMismatch, Verdict::Invalid),
            reason,
            now,
        ));
    }
    stale(next, since, now)
}

/// Pauses at weight zero when nobody has looked for longer than `stale_after`.
fn stale(next: &Rollout, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Stop> {
    let newest = next.judge.observed_at().map_or(since, |at| at.max(since));
    let age = elapsed(newest, now);
    (age > next.policy.stale_after()).then(|| {
        let reason = format!(
            "nothing was observed for {}, longer than {}: the challenger gets no traffic",
            span(age),
            span(next.policy.stale_after())
        );
        pause(next, (PauseReason::Stale, Verdict::Invalid), reason, now)
    })
}

/// Pauses where `next` stands; at weight zero when the numbers cannot be trusted, else at its weight.
fn pause(
    next: &Rollout,
    (why, verdict): (PauseReason, Verdict),
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
        phase: Phase::Paused { reason: why, step, weight, since: now, units },
        effect: Effect::Route,
        verdict,
        reason,
    }
}

fn shadow(next: Rollout, since: DateTime<Utc>, units: u64, now: DateTime<Utc>) -> Transition {
    if let Some(to) = guard(&next, since, now).or_else(|| stale(&next, since, now)) {
        return to.transition(next, now);
    }
    // Without a plan for it (a state written by hand), shadow is over.
    let Some(plan) = next.policy.shadow().cloned() else {
        return first_step(next, "no shadow is planned".to_owned(), Verdict::Pass, now);
    };
    if units >= plan.min_units {
        let reason = format!("{} conversations mirrored", grouped(units));
        return first_step(next, reason, Verdict::Pass, now);
    }
    if elapsed(since, now) >= plan.deadline {
        let reason = format!(
            "deadline of {} reached with {} of {} conversations mirrored",
            span(plan.deadline),
            grouped(units),
            grouped(plan.min_units)
        );
        let to = pause(&next, (PauseReason::NoTraffic, Verdict::Insufficient), reason, now);
        return to.transition(next, now);
    }
    Transition::undecided(next, Verdict::Hold)
}

/// Begins to answer: the first step.
pub(super) fn first_step(
    next: Rollout,
    reason: String,
    verdict: Verdict,
    now: DateTime<Utc>,
) -> Transition {
    let to = (Phase::Ramping { step: 0, since: now, units: 0 }, Effect::Route);
    Transition::decided(next, to, verdict, reason, now)
}

fn ramp(
    next: Rollout,
    (index, since, units): (usize, DateTime<Utc>, u64),
    now: DateTime<Utc>,
) -> Transition {
    let count = next.policy.steps().len();
    let Some(step) = next.policy.steps().get(index).cloned() else {
        // A state written by hand: no such step, so no weight, and nothing to wait for.
        return Transition::undecided(next, Verdict::Hold);
    };
    let time = elapsed(since, now);
    let late = time >= step.deadline;
    if units < step.min_units {
        if !late {
            return Transition::undecided(next, Verdict::Hold);
        }
        let reason = format!(
            "deadline of {} reached with {} of {} conversations on the challenger at {}",
            span(step.deadline),
            grouped(units),
            grouped(step.min_units),
            percent(step.weight_percent)
        );
        let to = pause(&next, (PauseReason::NoTraffic, Verdict::Insufficient), reason, now);
        return to.transition(next, now);
    }
    if time < step.min_time {
        return Transition::undecided(next, Verdict::Hold);
    }
    let promises = match step.require {
        None => Vec::new(),
        Some(_) => next.judge.promises(next.policy.judge()),
    };
    let missing = promises.iter().any(|(_, promise)| matches!(promise, Promise::Missing(_)));
    let numbers = wording::promise(&promises, next.judge.units());
    if missing {
        if !late {
            return Transition::undecided(next, Verdict::Hold);
        }
        let reason = format!(
            "deadline of {} reached without evidence that the challenger fails less than {} times as often: {numbers}",
            span(step.deadline),
            next.policy.judge().tolerated_risk,
        );
        let to = pause(&next, (PauseReason::Inconclusive, Verdict::Inconclusive), reason, now);
        return to.transition(next, now);
    }
    let mut reason = format!(
        "step {} of {count} passed: {} conversations on the challenger at {} in {}, nothing worse",
        index + 1,
        grouped(units),
        percent(step.weight_percent),
        span(time),
    );
    if !numbers.is_empty() {
        reason.push_str(&format!(
            "; less than {} times as often: {numbers}",
            next.policy.judge().tolerated_risk
        ));
    }
    let to = if index + 1 < count {
        (Phase::Ramping { step: index + 1, since: now, units: 0 }, Effect::Route)
    } else {
        (Phase::Promoting, Effect::Promote)
    };
    Transition::decided(next, to, Verdict::Pass, reason, now)
}
