//! The log of a model: its state, and changes that are checked against it.

use super::{
    Event, Registry,
    state::{MAX_CONFLICTS, State, path_of},
};
use botops_findings::{Fault, Result};
use botops_store::{Appended, Log};
use std::sync::Arc;

impl Registry {
    /// Returns the log of `model`.
    pub(super) fn log(&self, model: &str) -> Log<Event> {
        self.store.log(&path_of(model))
    }

    /// Returns the state of `model`; `None` if no version was ever registered under that name.
    pub(super) async fn state(&self, model: &str) -> Result<Option<Arc<State>>> {
        if !super::reference::is_name(model) {
            return Ok(None);
        }
        let read = self.logs.log(&path_of(model)).read().await?;
        Ok(read.last.is_some().then_some(read.state))
    }

    /// Appends the event that `decide` returns for the state, if any. Returns the state afterwards.
    ///
    /// If someone else appends first, it calls `decide` again with the newer state.
    pub(super) async fn commit(
        &self,
        model: &str,
        decide: impl Fn(&State) -> Result<Option<Event>>,
    ) -> Result<Arc<State>> {
        let log = self.logs.log(&path_of(model));
        let mut read = log.read().await?;
        let mut retries = self.store.retries().begin_against(MAX_CONFLICTS);
        loop {
            let Some(event) = decide(&read.state)? else { return Ok(read.state) };
            if let Appended::Written(entry) = log.append(read.last.as_deref(), event).await? {
                Arc::make_mut(&mut read.state).apply(&entry.payload);
                return Ok(read.state);
            }
            if !retries.pause().await {
                let message = format!("others keep writing to the log of `{model}`");
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
            read = log.read().await?;
        }
    }
}
