//! Versions that were withdrawn while they serve: a challenger is rolled back, a champion goes on and is reported.

use super::{follow::Canary, state::State};
use botops_findings::Result;
use botops_rollout::{Command, Phase};
use std::{sync::Arc, time::Instant};

/// The code under which a withdrawn champion is reported.
const WITHDRAWN: &str = "BOT-6047";

impl Canary {
    /// Looks from time to time whether the champion or the challenger was withdrawn.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn look_at_withdrawals(self: &Arc<Self>, state: &mut State) -> Result<()> {
        let is_due = state.withdrawals.is_none_or(|at| at.elapsed() >= self.pace.withdrawals);
        if !is_due || self.rehearsal {
            return Ok(());
        }
        state.withdrawals = Some(Instant::now());
        if let Some(champion) = state.champions.current()
            && let Some(why) = self.versions.withdrawn(&champion).await?
        {
            let problem = format!("the champion was withdrawn and still serves: {why}");
            if !self.app.degradations().iter().any(|known| known.problem == problem) {
                self.app.degrade(WITHDRAWN, problem);
            }
        }
        let Some(step) = state.open(&self.app.model) else { return Ok(()) };
        let is_back = matches!(step.rollout.phase, Phase::RollingBack { .. });
        if is_back || !self.holds_lease(state) {
            return Ok(());
        }
        let challenger = step.rollout.challenger;
        if let Some(why) = self.versions.withdrawn(&challenger).await? {
            self.app.slot.withdraw();
            let reason = format!("the challenger was withdrawn: {why}");
            self.command_itself(state, &Command::Abort { reason }).await?;
        }
        Ok(())
    }
}
