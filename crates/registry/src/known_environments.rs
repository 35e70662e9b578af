//! The deployment logs that a process has read, with their folds.

use super::{
    deployments::{Deployment, Environment, log_path},
    known_folds::KnownFolds,
};
use botops_findings::Result;
use botops_store::{Appended, Entry, Folded, Store};
use std::sync::Arc;

/// The deployment logs of a store that this process has read.
pub(super) struct KnownEnvironments(KnownFolds<Deployment, Environment>);

/// A deployment log as it was read.
pub(super) struct Followed {
    /// The last entry; `None` if the log is empty.
    pub(super) last: Option<Arc<Entry<Deployment>>>,
    pub(super) environment: Arc<Environment>,
}

impl KnownEnvironments {
    pub(super) fn new(store: Store) -> Self {
        Self(KnownFolds::new(store))
    }

    /// Reads what was appended to the log of the environment `name`.
    pub(super) async fn read(&self, name: &str) -> Result<Followed> {
        let read = self.log(name).read().await?;
        Ok(Followed { last: read.last, environment: read.state })
    }

    /// Appends `payload` to the log of the environment `name`, as it was `known` to the check before.
    pub(super) async fn append(
        &self,
        name: &str,
        known: &Followed,
        payload: Deployment,
    ) -> Result<Appended<Deployment>> {
        self.log(name).append(known.last.as_deref(), payload).await
    }

    /// Returns the log of the environment `name`.
    pub(super) fn log(&self, name: &str) -> Arc<Folded<Deployment, Environment>> {
        self.0.log(&log_path(name))
    }
}
