//! The conditions under which nothing advances: a freeze of the environment, and the closed windows of its policy.

use super::{follow::Canary, state::State};
use botops_findings::{Fault, FaultKind, Result};

impl Canary {
    /// Reads the policy that the log names, once for each.
    ///
    /// # Errors
    /// Those of the store. A policy that this version cannot read holds everything, and is no error.
    pub(super) async fn learn_policy(&self, state: &mut State) -> Result<()> {
        let named = state.environment.policy().map(|policy| policy.digest);
        if named == state.policy.named {
            return Ok(());
        }
        let read = self.versions.policy(&state.environment).await;
        (state.policy.policy, state.policy.problem) = match read {
            Ok(policy) => (policy, None),
            Err(fault) if fault.kind() == FaultKind::Unreachable => return Err(fault),
            Err(fault) => {
                self.app.degrade(fault.code(), format!("nothing advances: {fault}"));
                (None, Some(format!("the policy cannot be read: {fault}")))
            }
        };
        state.policy.named = named;
        Ok(())
    }

    /// Returns why nothing may advance now, in words; `None` if it may.
    pub(super) fn held(&self, state: &State) -> Option<String> {
        let known = &state.policy;
        let held =
            botops_registry::held(&state.environment, known.policy.as_ref(), self.app.clock.now());
        held.or_else(|| known.problem.clone())
    }

    /// Refuses what would advance while the environment is held.
    ///
    /// # Errors
    /// `BOT-6004` (exit 6).
    pub(super) fn check_held(&self, state: &State) -> Result<()> {
        match self.held(state) {
            None => Ok(()),
            Some(held) => Err(Fault::policy("BOT-6004", format!("nothing advances now: {held}"))
                .hint("a rollback still works")),
        }
    }
}
