//! A jump of the wall clock: the times so far cannot be compared with later ones, so a person has to look.

use crate::{
    numbers::{duration, elapsed},
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Transition, Verdict},
};
use chrono::{DateTime, Utc};

/// Returns the transition after the wall clock jumped from `from` to `to`, forwards or backwards.
///
/// A rollout in shadow, on its ramp, or awaiting approval with a share of the traffic pauses at weight zero. In every other
/// phase only the times of the state are moved to `to`: a settling window, the time for approvals and that of a pause
/// start over.
#[must_use]
pub fn clock_jumped(rollout: &Rollout, from: DateTime<Utc>, to: DateTime<Utc>) -> Transition {
    let next = rollout.rebased(to);
    let (step, units) = match next.phase {
        Phase::Shadow { units, .. } => (None, units),
        Phase::Ramping { step, units, .. } => (Some(step), units),
        Phase::AwaitingApproval { step, units, .. } if next.weight() > 0.0 => (step, units),
        _ => return Transition::undecided(next, Verdict::Hold),
    };
    let (by, direction) = match to >= from {
        true => (elapsed(from, to), "forwards"),
        false => (elapsed(to, from), "backwards"),
    };
    let reason = format!(
        "the wall clock jumped {} {direction}, from {} to {}: the challenger gets no traffic",
        duration(by),
        from.format("%Y-%m-%d %H:%M:%S UTC"),
        to.format("%Y-%m-%d %H:%M:%S UTC"),
    );
    let reason_of_pause = PauseReason::ClockJump;
    let phase = Phase::Paused { reason: reason_of_pause, step, weight: 0.0, since: to, units };
    Transition::decided(next, (phase, Effect::Route), Verdict::Invalid, reason, to)
}

impl Rollout {
    /// Returns the rollout with the times that durations are measured from moved to `now`.
    ///
    /// Times from before a jump may lie in the future, where they would hold every duration at zero, or far in the past.
    #[must_use]
    pub fn rebased(&self, now: DateTime<Utc>) -> Self {
        let mut next = self.clone();
        next.updated_at = now;
        next.judge.forget_time();
        match &mut next.phase {
            Phase::Shadow { since, .. }
            | Phase::Ramping { since, .. }
            | Phase::Paused { since, .. }
            | Phase::AwaitingApproval { since, .. }
            | Phase::Settling { since, .. } => *since = now,
            _ => {}
        }
        next
    }
}
