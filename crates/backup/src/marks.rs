//! Marks of commands at work, so that no chunk is removed that a new backup is about to use.
//!
//! Both sides write their mark first and look for the other's mark then. So at least one of two that run at the same time
//! sees the other: a backup waits for the end of a removal, a removal gives way.

use crate::format::SCHEMA;
use botops_findings::{Fault, Result};
use botops_store::{Store, Stored};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tokio::time::Instant;

/// The folder of the marks of backups that are being made.
pub(crate) const CREATING: &str = "creating";
/// The folder of the marks of removals.
pub(crate) const PRUNING: &str = "pruning";
/// The age from which a mark was left by a killed command. A live one is written again long before.
const STALE: TimeDelta = TimeDelta::minutes(30);
/// How often a mark is written again.
const REFRESH: Duration = Duration::from_secs(120);
/// How long a backup waits for a removal.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time between two looks.
const POLL: Duration = Duration::from_millis(200);

/// A mark of this command.
pub(crate) struct Mark {
    store: Store,
    folder: &'static str,
    id: String,
    number: u32,
    since: Instant,
    /// The time of the last mark, by the clock of the store.
    written_at: DateTime<Utc>,
}

impl Mark {
    /// Writes the mark `id` in `folder`.
    pub(crate) async fn set(store: &Store, folder: &'static str, id: &str) -> Result<Self> {
        let mut mark = Self {
            store: store.clone(),
            folder,
            id: id.to_owned(),
            number: 0,
            since: Instant::now(),
            written_at: DateTime::UNIX_EPOCH,
        };
        mark.write().await?;
        Ok(mark)
    }

    /// Returns a mark that is not written, for a dry run.
    pub(crate) fn none(store: &Store) -> Self {
        Self {
            store: store.clone(),
            folder: CREATING,
            id: String::new(),
            number: 0,
            since: Instant::now(),
            written_at: DateTime::UNIX_EPOCH,
        }
    }

    fn path(&self) -> String {
        format!("{}/{}-{:06}", self.folder, self.id, self.number)
    }

    async fn write(&mut self) -> Result<()> {
        self.store.create(&self.path(), Bytes::from_static(SCHEMA.as_bytes())).await?;
        self.since = Instant::now();
        self.written_at = self.own().await?;
        Ok(())
    }

    /// Returns the time of the mark.
    ///
    /// # Errors
    /// `BOT-5107` (exit 5) another command took it for that of a killed one, and removed it.
    async fn own(&self) -> Result<DateTime<Utc>> {
        let path = self.path();
        let listed = self.store.list(self.folder).await?;
        listed.iter().find(|it| it.path == path).map(|it| it.written_at).ok_or_else(|| {
            Fault::conflict(
                "BOT-5107",
                "another command removed old backups while this one stood still for half an hour",
            )
            .hint("run the command again")
        })
    }

    /// Writes the mark again if it is due; with `now`, always.
    ///
    /// # Errors
    /// Those of [`Self::own`].
    pub(crate) async fn refresh(&mut self, now: bool) -> Result<()> {
        if !now && self.since.elapsed() < REFRESH {
            return Ok(());
        }
        self.own().await?;
        let before = self.path();
        self.number += 1;
        self.write().await?;
        self.store.remove(&before).await
    }

    /// Returns the marks of others in `folder` that are not stale. Stale ones are removed.
    pub(crate) async fn others(&self, folder: &str) -> Result<Vec<Stored>> {
        let mut live = Vec::new();
        for mark in self.store.list(folder).await? {
            let is_own = format!("{}/{}-", self.folder, self.id);
            if mark.path.starts_with(&is_own) {
                continue;
            }
            if self.written_at - mark.written_at > STALE {
                self.store.remove(&mark.path).await?;
            } else {
                live.push(mark);
            }
        }
        Ok(live)
    }

    /// Waits until no removal is under way.
    ///
    /// # Errors
    /// `BOT-5107` (exit 5) one takes longer than a minute.
    pub(crate) async fn outlast_removals(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            if self.others(PRUNING).await?.is_empty() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Fault::conflict("BOT-5107", "old backups are being removed")
                    .file(self.store.object_url(PRUNING))
                    .hint("run the command again when that has ended"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Removes the mark.
    pub(crate) async fn clear(self) -> Result<()> {
        self.store.remove(&self.path()).await
    }
}
