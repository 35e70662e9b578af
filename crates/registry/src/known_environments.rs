//! The deployment logs that a process has read, with their folds.

use super::deployments::{Deployment, Environment, log_path};
use botops_findings::Result;
use botops_store::{Appended, Entry, Folded, Store};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The deployment logs of a store that this process has read, each with its fold: opened once from the newest checkpoint,
/// then only what was appended.
pub(super) struct KnownEnvironments {
    store: Store,
    logs: Mutex<BTreeMap<String, Arc<Folded<Deployment, Environment>>>>,
}

/// A deployment log as it was read.
pub(super) struct Followed {
    /// The last entry; `None` if the log is empty.
    pub(super) last: Option<Arc<Entry<Deployment>>>,
    pub(super) environment: Arc<Environment>,
}

impl KnownEnvironments {
    pub(super) fn new(store: Store) -> Self {
        Self { store, logs: Mutex::default() }
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
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Folded::new(self.store.clone(), &log_path(name))));
        Arc::clone(log)
    }
}
