//! The time of the open rollout on this server, and jumps of its wall clock, for which a rollout pauses once.

use super::{follow::Canary, state::State, ticking::automatic};
use botops_findings::Result;
use botops_rollout::{self as rollout, ClockJump, Rollout, RolloutTime};
use chrono::{DateTime, Utc};
use std::sync::Arc;

impl Canary {
    /// Returns the time of the open rollout: a wall clock decides nothing about it. Without a rollout, that of the next one.
    pub(super) fn rollout_now(&self, state: &State) -> DateTime<Utc> {
        let open = state.open(&self.app.model);
        let time =
            open.and_then(|step| state.time.as_ref().filter(|time| time.is_of(&step.rollout.id)));
        time.map_or_else(|| self.app.clock.steady(), |time| time.at(self.app.clock.monotonic()))
    }

    /// Takes the time of `rollout`, the newest state in the log.
    pub(super) fn follow_time(&self, state: &mut State, rollout: &Rollout) {
        let at = self.app.clock.monotonic();
        match &mut state.time {
            Some(time) => time.follow(rollout, at),
            None => state.time = Some(RolloutTime::start(rollout, at)),
        }
    }

    /// Takes the `time` that the server which ticks gave the rollout `id`.
    pub(super) fn hear_time(&self, state: &mut State, id: &str, time: DateTime<Utc>) {
        let at = self.app.clock.monotonic();
        if let Some(known) = state.time.as_mut().filter(|known| known.is_of(id)) {
            known.hear(time, at);
        }
    }

    /// Notes a jump of the wall clock since the last look, and keeps it until the rollout under way is paused for it.
    pub(super) fn note_jump(&self, state: &mut State) {
        let Some(jump) = self.app.clock.take_jump() else { return };
        let message = format!("the wall clock of this server jumped {}", jump.in_words());
        self.event("warn", "clock", message);
        // A server that does not tick has nothing to pause.
        if state.open(&self.app.model).is_some() && self.holds_lease(state) {
            let from = state.jump.map_or(jump.from, |earlier| earlier.from);
            state.jump = Some(ClockJump { from, to: jump.to });
        }
    }

    /// Pauses the rollout under way, once, if the wall clock jumped. Returns whether it did.
    ///
    /// # Errors
    /// Those of the store. The next call tries again.
    pub(super) async fn pause_after_jump(self: &Arc<Self>, state: &mut State) -> Result<bool> {
        self.note_jump(state);
        let Some(jump) = state.jump else { return Ok(false) };
        let Some(step) = state.open(&self.app.model).filter(|_| self.holds_lease(state)) else {
            state.jump = None;
            return Ok(false);
        };
        let (now, server) = (self.rollout_now(state), self.journal.writer());
        let transition = rollout::clock_jumped(&step.rollout, server, &jump, now);
        let decided = transition.is_decided();
        if decided && !self.step(state, &transition, &automatic(), None).await? {
            self.catch_up(state).await?;
            return Ok(false);
        }
        state.jump = None;
        Ok(decided)
    }
}
