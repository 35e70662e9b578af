//! A jump of the wall clock of the server that ticks: something is wrong with its machine, so a person has to look.

use crate::{
    numbers::{duration, elapsed},
    state::{Effect, PauseReason, Phase, Rollout},
    transition::{Transition, Verdict},
};
use chrono::{DateTime, TimeDelta, Utc};

/// The largest difference of two clocks that counts as none: time synchronization corrects small errors in steps, and an
/// observation is read some seconds after it was made.
const TOLERANCE: TimeDelta = TimeDelta::minutes(1);

/// A jump of the wall clock of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The time that the clock would have shown.
    pub from: DateTime<Utc>,
    /// The time that it showed.
    pub to: DateTime<Utc>,
}

impl ClockJump {
    /// Returns the jump of a clock that should show `from` and shows `to`; `None` if they differ by at most one minute.
    #[must_use]
    pub fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Self> {
        ((to - from).abs() > TOLERANCE).then_some(Self { from, to })
    }

    /// Returns the jump in words: `13h forwards, from 2026-11-23 14:00:00 UTC to 2026-11-24 03:00:00 UTC`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { from, to } = *self;
        let (by, direction) = match to >= from {
            true => (elapsed(from, to), "forwards"),
            false => (elapsed(to, from), "backwards"),
        };
        format!(
            "{} {direction}, from {} to {}",
            duration(by),
            from.format("%Y-%m-%d %H:%M:%S UTC"),
            to.format("%Y-%m-%d %H:%M:%S UTC"),
        )
    }
}

/// Returns how far the clock of another server, which showed `theirs`, is from ours, in words: `13h ahead of`, `40s behind`;
/// `None` if they differ by at most one minute.
///
/// `theirs` is in an object that was read at `ours`, a few seconds after it was made. It serves a report only: no decision
/// depends on it.
#[must_use]
pub fn clock_difference(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Option<String> {
    ClockJump::between(ours, theirs).map(|_| match theirs >= ours {
        true => format!("{} ahead of", duration(elapsed(ours, theirs))),
        false => format!("{} behind", duration(elapsed(theirs, ours))),
    })
}

/// Returns the transition at `now`, the time of the rollout, after the wall clock of the server `server` jumped.
///
/// A rollout in shadow, on its ramp, or awaiting approval with a share of the traffic pauses at weight zero, once: its times
/// do not come from the wall clock ([`crate::RolloutTime`]), so they stand. In every other phase nothing is decided.
#[must_use]
pub fn clock_jumped(
    rollout: &Rollout,
    server: &str,
    jump: &ClockJump,
    now: DateTime<Utc>,
) -> Transition {
    let jump = jump.in_words();
    let reason = format!(
        "the wall clock of server `{server}` jumped {jump}: the challenger gets no traffic"
    );
    paused(rollout.clone(), reason, now.max(rollout.updated_at))
}

/// Returns the transition after a jump from `from` to `to` as older versions made it: they counted the times of a rollout
/// by the wall clock, and moved them to `to`.
pub(crate) fn clock_jumped_before(
    rollout: &Rollout,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Transition {
    let jump = ClockJump { from, to }.in_words();
    let reason = format!("the wall clock jumped {jump}: the challenger gets no traffic");
    paused(rollout.rebased(to), reason, to)
}

/// Returns the pause of a rollout for a jump.
fn paused(next: Rollout, reason: String, now: DateTime<Utc>) -> Transition {
    let (step, units) = match next.phase {
        Phase::Shadow { units, .. } => (None, units),
        Phase::Ramping { step, units, .. } => (Some(step), units),
        Phase::AwaitingApproval { step, units, .. } if next.weight() > 0.0 => (step, units),
        _ => return Transition::undecided(next, Verdict::Hold),
    };
    let reason_of_pause = PauseReason::ClockJump;
    let phase = Phase::Paused { reason: reason_of_pause, step, weight: 0.0, since: now, units };
    Transition::decided(next, (phase, Effect::Route), Verdict::Invalid, reason, now)
}

impl Rollout {
    /// Returns the rollout with the times that durations are measured from moved to `now`, as older versions moved them.
    #[must_use]
    pub(crate) fn rebased(&self, now: DateTime<Utc>) -> Self {
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
