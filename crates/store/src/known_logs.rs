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
    /// `None` until the log was read.
    entries: Mutex<Option<Arc<Vec<Entry<T>>>>>,
}

impl<T> KnownLog<T> {
    fn entries(&self) -> MutexGuard<'_, Option<Arc<Vec<Entry<T>>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs of one kind in a store. The first read verifies the whole log, later ones only what was appended since.
///
/// A later read is a [`Log::poll`]: one request if nothing was appended. A change of an entry that was read before is not
/// noticed, nor are entries after a gap: [`Log::inspect`] reads everything.
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
        let before = known.entries().clone();
        let first = before.as_ref().map_or(0, |before| before.len());
        let newer = match &before {
            Some(before) => known.log.poll(before.last()).await?,
            None => known.log.entries().await?,
        };
        drop(before);
        let mut guard = known.entries();
        let entries = guard.get_or_insert_default();
        // Another task may have read as far, or further, in the meantime.
        let read_by_others = entries.len().saturating_sub(first);
        if newer.len() > read_by_others {
            Arc::make_mut(entries).extend(newer.into_iter().skip(read_by_others));
        }
        Ok(Arc::clone(entries))
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
            if let Some(entries) = &mut *entries
                && entries.len() as u64 + 1 == entry.seq
            {
                Arc::make_mut(entries).push(entry.clone());
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
