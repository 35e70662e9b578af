//! The conditions under which nothing advances: a freeze of the environment.

use super::{follow::Canary, state::State};
use botops_findings::{Fault, Result};

impl Canary {
    /// Returns why nothing may advance now, in words; `None` if it may.
    pub(super) fn held(&self, state: &State) -> Option<String> {
        let freeze = state.environment.freeze(self.app.clock.now())?;
        let until = match freeze.until {
            Some(until) => format!(" until {}", until.format("%Y-%m-%d %H:%M:%S UTC")),
            None => String::new(),
        };
        let reason = match freeze.reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        Some(format!("`{}` froze the environment{until}{reason}", freeze.actor))
    }

    /// Refuses what would advance while the environment is held.
    ///
    /// # Errors
    /// `BOT-6050` (exit 6).
    pub(super) fn check_held(&self, state: &State) -> Result<()> {
        match self.held(state) {
            None => Ok(()),
            Some(held) => Err(Fault::policy("BOT-6050", format!("nothing advances now: {held}"))
                .hint("a rollback still works")
                .hint("end a freeze with `botops unfreeze --reason TEXT`")),
        }
    }
}
