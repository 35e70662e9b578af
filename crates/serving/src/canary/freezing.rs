//! The freeze of an environment, as a command.

use super::{
    follow::Canary,
    state::{Mode, Requester},
};
use botops_findings::Result;
use botops_registry::{Deployment, freeze_change, unfreeze_change};
use chrono::{DateTime, Utc};
use std::sync::Arc;

impl Canary {
    /// Freezes the environment until `until`, or ends its freeze. A dry run checks only.
    ///
    /// # Errors
    /// `BOT-6053`, `BOT-6054`, those of a repeated request and of the store.
    pub(crate) async fn freeze(
        self: &Arc<Self>,
        (frozen, until): (bool, Option<DateTime<Utc>>),
        requester: Requester,
        mode: Mode,
    ) -> Result<()> {
        self.journal.check()?;
        loop {
            let mut state = self.lock().await;
            self.catch_up(&mut state).await?;
            if self.repeated(&state, &requester)?.is_some() {
                return Ok(());
            }
            let now = self.app.clock.now();
            let change = if frozen {
                freeze_change(until, now)?
            } else {
                unfreeze_change((self.journal.environment(), &state.environment), now)?.1
            };
            if matches!(mode, Mode::Dry) {
                return Ok(());
            }
            let by = (requester.by.clone(), requester.reason.clone());
            let mut entry = Deployment::new(by, now, "", change);
            entry.request.clone_from(&requester.request);
            if self.append(&mut state, entry).await? {
                return Ok(());
            }
        }
    }
}
