//! Logs that are read once: later reads of the same process continue at the last known entry.

use super::{Appended, Entry, Log, Store};
use botops_findings::Result;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A log with the entries that this process has verified.
struct KnownLog<T> {
    log: Log<T>,
    entries: Mutex<Arc<Vec<Entry<T>>>>,
}

impl<T> KnownLog<T> {
    fn entries(&self) -> MutexGuard<'_, Arc<Vec<Entry<T>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs of one kind in a store. The first read verifies the whole log, later ones only what was appended since.
///
/// A change of an entry that was read before is not noticed: [`Log::inspect`] reads everything.
pub struct KnownLogs<T> {
    store: Store,
    logs: Mutex<BTreeMap<String, Arc<KnownLog<T>>>>,
}

impl<T: Serialize + DeserializeOwned + Clone> KnownLogs<T> {
    /// Makes an empty set of logs in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, logs: Mutex::default() }
    }

    /// Returns all entries of the log at `path`.
    ///
    /// # Errors
    /// Those of [`Log::entries`].
    pub async fn entries(&self, path: &str) -> Result<Arc<Vec<Entry<T>>>> {
        let known = self.known(path);
        let before = Arc::clone(&*known.entries());
        let newer = match before.last() {
            Some(last) => known.log.entries_after(last).await?,
            None => known.log.entries().await?,
        };
        if newer.is_empty() {
            return Ok(before);
        }
        let all = Arc::new(before.iter().cloned().chain(newer).collect::<Vec<_>>());
        let mut entries = known.entries();
        // Another task may have read further in the meantime.
        if entries.len() < all.len() {
            *entries = Arc::clone(&all);
        }
        Ok(all)
    }

    /// Appends `payload` to the log at `path`, after entry `last` as returned by [`Self::entries`].
    ///
    /// # Errors
    /// Those of [`Log::append`].
    pub async fn append(
        &self,
        path: &str,
        last: Option<&Entry<T>>,
        payload: T,
    ) -> Result<Appended<T>> {
        let known = self.known(path);
        let appended = known.log.append(last, payload).await?;
        if let Appended::Written(entry) = &appended {
            let mut entries = known.entries();
            if entries.len() as u64 + 1 == entry.seq {
                Arc::make_mut(&mut *entries).push(entry.clone());
            }
        }
        Ok(appended)
    }

    fn known(&self, path: &str) -> Arc<KnownLog<T>> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = logs.entry(path.to_owned()).or_insert_with(|| {
            Arc::new(KnownLog { log: self.store.log(path), entries: Mutex::default() })
        });
        Arc::clone(known)
    }
}
