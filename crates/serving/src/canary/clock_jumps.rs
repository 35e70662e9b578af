//! Jumps of the wall clock of the server that ticks: the rollout under way pauses, and its times start over.

use super::{follow::Canary, state::State, ticking::automatic};
use crate::clock::{self, Jump};
use botops_findings::Result;
use botops_rollout as rollout;
use std::sync::Arc;

impl Canary {
    /// Notes a jump of the wall clock since the last look, and keeps it until the rollout under way is paused for it.
    pub(super) fn note_jump(&self, state: &mut State) {
        let Some(jump) = self.app.clock.take_jump() else { return };
        let message = format!("the wall clock jumped from {} to {}", jump.from, jump.to);
        self.event("warn", "clock", message);
        // A server that does not tick has nothing to pause.
        if state.open(&self.app.model).is_some() && self.holds_lease(state) {
            let from = state.jump.map_or(jump.from, |earlier| earlier.from);
            state.jump = Some(Jump { from, to: jump.to });
        }
    }

    /// Notes a clock that is behind that of the server which ticked before: the times of the rollout lie in the future.
    pub(super) fn note_setback(&self, state: &mut State) {
        let Some(step) = state.open(&self.app.model) else { return };
        let (now, written) = (self.app.clock.steady(), step.rollout.updated_at);
        if now < written
            && state.jump.is_none()
            && let Some(jump) = clock::jump(written, now)
        {
            state.jump = Some(jump);
        }
    }

    /// Pauses the rollout under way if the wall clock jumped. Returns whether it did.
    ///
    /// # Errors
    /// Those of the store. The next call tries again.
    pub(super) async fn pause_after_jump(self: &Arc<Self>, state: &mut State) -> Result<bool> {
        self.note_jump(state);
        let Some(Jump { from, to }) = state.jump else { return Ok(false) };
        if !self.holds_lease(state) {
            state.jump = None;
            return Ok(false);
        }
        let Some(step) = state.open(&self.app.model) else {
            state.jump = None;
            return Ok(false);
        };
        let transition = rollout::clock_jumped(&step.rollout, from, to);
        let decided = transition.is_decided();
        // Moved times are an entry, too: the next command and the next tick start from what the log says.
        if !self.step(state, &transition, &automatic(), None).await? {
            self.catch_up(state).await?;
            return Ok(false);
        }
        if !decided && let Some(ticking) = &mut state.ticking {
            ticking.ticked = to;
        }
        state.jump = None;
        Ok(decided)
    }
}
