//! A log with its fold, opened from the newest checkpoint.

use super::{
    Appended, Entry, Fold, Log, Retries, Store,
    checkpoint::{Checkpoints, Numbered},
};
use botops_findings::{Fault, Finding, Result, Severity};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The number of entries between two checkpoints.
pub const CHECKPOINT_INTERVAL: u64 = 1_000;
/// The longest time that an append waits for the checkpoint after it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A log with its fold. The first read opens it from the newest checkpoint, later ones read only what was appended since.
///
/// - a checkpoint that is missing, damaged, or of another version is not used: the whole log is read instead, and
///   [`Self::checkpoint_problem`] says why
/// - a read after the first is a [`Log::poll`]: one request if nothing was appended
/// - a writer creates the checkpoint after the newest entry whose number is a multiple of the interval, unless it knows
///   that it exists. A writer that was killed before leaves that to the next one
///
/// A change of an entry before the checkpoint is not noticed: [`Log::inspect`] reads everything, and
/// [`contradictions`](super::contradictions) compares the checkpoints with it.
pub struct Folded<T, S> {
    store: Store,
    log: Log<T>,
    checkpoints: Checkpoints,
    interval: u64,
    known: Mutex<Option<Known<T, S>>>,
    problem: Mutex<Option<Finding>>,
}

/// A log as it was read.
#[derive(Debug)]
pub struct Followed<T, S> {
    /// The last entry; `None` if the log is empty.
    pub last: Option<Arc<Entry<T>>>,
    /// The fold of all entries up to it.
    pub state: Arc<S>,
}

impl<T, S> Clone for Followed<T, S> {
    fn clone(&self) -> Self {
        Self { last: self.last.clone(), state: Arc::clone(&self.state) }
    }
}

impl<T, S> Followed<T, S> {
    fn seq(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.seq)
    }
}

/// The log as this process knows it.
struct Known<T, S> {
    followed: Followed<T, S>,
    /// The newest fold for which a checkpoint may be missing, with the number of its entry.
    due: Option<(u64, Arc<S>)>,
}

impl<T: Clone, S: Fold<T>> Known<T, S> {
    /// Adds the next entry.
    fn apply(&mut self, entry: Entry<T>, interval: u64) {
        let seq = entry.seq;
        Arc::make_mut(&mut self.followed.state).apply(&entry);
        self.followed.last = Some(Arc::new(entry));
        if seq.is_multiple_of(interval) {
            self.due = Some((seq, Arc::clone(&self.followed.state)));
        }
    }
}

impl<T, S> Folded<T, S>
where
    T: Serialize + DeserializeOwned + Clone,
    S: Fold<T>,
{
    /// Makes the log at `path`, and reads nothing.
    #[must_use]
    pub fn new(store: Store, path: &str) -> Self {
        let (log, checkpoints) = (store.log(path), Checkpoints::of(&store, path));
        let (known, problem) = (Mutex::default(), Mutex::default());
        Self { store, log, checkpoints, interval: CHECKPOINT_INTERVAL, known, problem }
    }

    /// Sets the number of entries between two checkpoints, at least 1; for tests.
    #[must_use]
    pub fn with_interval(mut self, interval: u64) -> Self {
        self.interval = interval.max(1);
        self
    }

    /// Returns the log.
    #[must_use]
    pub fn log(&self) -> &Log<T> {
        &self.log
    }

    /// Returns the problem of the last checkpoint that could not be read or written, if any: a warning with `BOT-5050`, or
    /// with the code of the store. Nothing failed because of it.
    #[must_use]
    pub fn checkpoint_problem(&self) -> Option<Finding> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what was appended.
    ///
    /// # Errors
    /// Those of [`Log::entries`].
    pub async fn read(&self) -> Result<Followed<T, S>> {
        let before = self.known().as_ref().map(|known| known.followed.clone());
        let Some(Followed { last, .. }) = before else { return self.open().await };
        let newer = self.log.poll(last.as_deref()).await?;
        let mut known = self.known();
        let known = known.as_mut().expect("it was known before");
        for entry in newer {
            // Another task may have read as far, or further, in the meantime.
            if entry.seq == known.followed.seq() + 1 {
                known.apply(entry, self.interval);
            }
        }
        Ok(known.followed.clone())
    }

    /// Appends `payload` after entry `last` as returned by [`Self::read`], and creates a checkpoint if one is due. A
    /// checkpoint that cannot be written is no error.
    ///
    /// # Errors
    /// Those of [`Log::append`].
    pub async fn append(&self, last: Option<&Entry<T>>, payload: T) -> Result<Appended<T>> {
        let appended = self.log.append(last, payload).await?;
        if let Appended::Written(entry) = &appended {
            let due = {
                let mut known = self.known();
                known.as_mut().and_then(|known| {
                    if known.followed.seq() + 1 == entry.seq {
                        known.apply(entry.clone(), self.interval);
                    }
                    known.due.take()
                })
            };
            if let Some((seq, state)) = due {
                self.create_checkpoint(seq, &state).await;
            }
        }
        Ok(appended)
    }

    /// Opens the log from its newest checkpoint, or reads all of it.
    async fn open(&self) -> Result<Followed<T, S>> {
        let existing = self.checkpoints.list().await?;
        let resumed = match existing.last() {
            Some(newest) => self.resume(*newest).await?,
            None => None,
        };
        let opened = match resumed {
            Some(opened) => opened,
            None => {
                let followed = Followed { last: None, state: Arc::default() };
                let mut opened = Known { followed, due: None };
                for entry in self.log.entries().await? {
                    opened.apply(entry, self.interval);
                }
                // One that exists cannot be replaced.
                opened.due.take_if(|(seq, _)| existing.contains(&Numbered(*seq)));
                opened
            }
        };
        let mut known = self.known();
        match &*known {
            // Another task opened it in the meantime, and may have read further.
            Some(known) if known.followed.seq() >= opened.followed.seq() => {
                Ok(known.followed.clone())
            }
            _ => Ok(known.insert(opened).followed.clone()),
        }
    }

    /// Continues at a checkpoint; `None` if it cannot be used.
    async fn resume(&self, number: Numbered) -> Result<Option<Known<T, S>>> {
        let (entry, state) = match self.checkpoints.read::<T, S>(number, &self.log).await? {
            Ok(read) => read,
            Err(problem) => {
                self.report(problem);
                return Ok(None);
            }
        };
        let newer = self.log.entries_from(&entry).await?;
        let followed = Followed { last: Some(Arc::new(entry)), state: Arc::new(state) };
        let mut opened = Known { followed, due: None };
        newer.into_iter().for_each(|entry| opened.apply(entry, self.interval));
        Ok(Some(opened))
    }

    /// Creates the checkpoint of `state`, the fold up to entry `seq`.
    async fn create_checkpoint(&self, seq: u64, state: &S) {
        let store = self.store.clone().with_retries(Retries::none());
        let checkpoints = Checkpoints::of(&store, self.checkpoints.log());
        let write = async {
            let digest = self.log.digest_of(seq).await?;
            checkpoints.create(seq, digest, state).await
        };
        match tokio::time::timeout(PATIENCE, write).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => self.report(fault),
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                let problem = format!("could not be written within {seconds} seconds");
                self.report(self.checkpoints.unusable(Numbered(seq), &problem));
            }
        }
    }

    fn report(&self, problem: Fault) {
        let finding = Finding { severity: Severity::Warning, ..problem.as_finding() };
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = Some(finding);
    }

    fn known(&self) -> MutexGuard<'_, Option<Known<T, S>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
