//! The logs of one kind that a process has read, with their folds.

use botops_store::{Fold, Folded, Store};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The logs of a store that this process has read, each with its fold: opened once from the newest checkpoint, then only
/// what was appended.
pub(super) struct KnownFolds<T, S> {
    store: Store,
    logs: Mutex<BTreeMap<String, Arc<Folded<T, S>>>>,
}

impl<T, S> KnownFolds<T, S>
where
    T: Serialize + DeserializeOwned + Clone,
    S: Fold<T>,
{
    pub(super) fn new(store: Store) -> Self {
        Self { store, logs: Mutex::default() }
    }

    /// Returns the log at `path`.
    pub(super) fn log(&self, path: &str) -> Arc<Folded<T, S>> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let log = logs
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(Folded::new(self.store.clone(), path)));
        Arc::clone(log)
    }
}
