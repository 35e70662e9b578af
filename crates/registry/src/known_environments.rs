//! The deployment logs that a process has read, with their folds.

use super::deployments::{Deployment, Environment, log_path};
use botops_findings::Result;
use botops_store::{Entry, KnownLogs, Store};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The deployment logs of a store that this process has read, each with its fold: read once, then only what was appended.
pub(super) struct KnownEnvironments {
    pub(super) logs: KnownLogs<Deployment>,
    /// By environment: the number of the last entry that was folded, and the fold.
    folds: Mutex<BTreeMap<String, (usize, Arc<Environment>)>>,
}

/// A deployment log as it was read.
pub(super) struct Followed {
    pub(super) entries: Arc<Vec<Entry<Deployment>>>,
    pub(super) environment: Arc<Environment>,
}

impl KnownEnvironments {
    pub(super) fn new(store: Store) -> Self {
        Self { logs: KnownLogs::new(store), folds: Mutex::default() }
    }

    /// Reads what was appended to the log of the environment `name`.
    pub(super) async fn read(&self, name: &str) -> Result<Followed> {
        let entries = self.logs.entries(&log_path(name)).await?;
        let mut folds = self.folds.lock().unwrap_or_else(PoisonError::into_inner);
        let (folded, environment) = folds.entry(name.to_owned()).or_default();
        // Another task may have read further in the meantime.
        if *folded > entries.len() {
            return Ok(Followed { environment: Arc::new(Environment::of(&entries)), entries });
        }
        if *folded < entries.len() {
            let fold = Arc::make_mut(environment);
            entries[*folded..].iter().for_each(|entry| fold.apply(entry));
            *folded = entries.len();
        }
        Ok(Followed { environment: Arc::clone(environment), entries })
    }
}
