//! Jumps of the wall clock: the rollout under way pauses, and its times start over.

use super::{
    driver::Canary,
    state::{AUTOMATIC, Active, State},
};
use crate::clock::{self, Jump};
use botops_findings::Result;
use botops_rollout as rollout;

impl Canary {
    /// Notes a jump of the wall clock since the last look, and keeps it until the rollout under way is paused for it.
    pub(super) fn note_jump(&self, state: &mut State) {
        let Some(jump) = self.app.clock.take_jump() else { return };
        self.event(
            "warn",
            "clock",
            format!("the wall clock jumped from {} to {}", jump.from, jump.to),
        );
        // A server that drives no rollout has nothing to pause, and its next rollout begins after the jump.
        if state.active.as_ref().is_some_and(Active::is_driven) {
            let from = state.jump.map_or(jump.from, |earlier| earlier.from);
            state.jump = Some(Jump { from, to: jump.to });
        }
    }

    /// Notes a clock that was set back while no server ran: the times of `active` lie in the future.
    pub(super) fn note_setback(&self, state: &mut State, active: &mut Active) {
        let now = self.app.clock.steady();
        let written = active.rollout.updated_at;
        if now < written
            && let Some(jump) = clock::jump(written, now)
        {
            active.rollout = active.rollout.rebased(now);
            state.jump = Some(jump);
        }
    }

    /// Pauses the rollout under way if the wall clock jumped. Returns whether it did.
    ///
    /// # Errors
    /// Those of the store. The next call tries again.
    pub(super) async fn pause_after_jump(&self, state: &mut State) -> Result<bool> {
        self.note_jump(state);
        let Some(Jump { from, to }) = state.jump else { return Ok(false) };
        let Some(active) = state.active.as_mut().filter(|active| active.is_driven()) else {
            state.jump = None;
            return Ok(false);
        };
        let transition = rollout::clock_jumped(&active.rollout, from, to);
        let decided = transition.is_decided();
        if decided {
            // The conversations before the jump began at the weight before the pause. The next tick counts them.
            active.unrecorded = self.observe(active, from);
            active.actor = AUTOMATIC.to_owned();
            self.apply(state, transition, to).await?;
        } else {
            active.rollout = transition.next;
        }
        state.jump = None;
        Ok(decided)
    }
}
