//! The keys of an environment as of the last read of its log. Requests read them without a lock.

use crate::{Authenticated, PublicCaller, Refused, key_table::KeyTable, keys::Keys};
use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The keys of an environment as of the last read of its log.
#[derive(Debug, Default)]
pub struct LiveKeys(ArcSwapOption<Read>);

#[derive(Debug, Clone)]
struct Read {
    keys: Arc<Keys>,
    table: Arc<KeyTable>,
    /// The begin of the read.
    at: Instant,
}

impl LiveKeys {
    /// The age of the last read from which a request begins another one: a server that was stopped must not accept the keys
    /// of yesterday.
    pub const OLD_AFTER: Duration = Duration::from_secs(5);
    /// The age of the last read from which a key may have been revoked meanwhile.
    pub const STALE_AFTER: Duration = Duration::from_secs(300);

    /// Publishes the keys of a read that began at `at`; `None` for those of the read before. An older read than the published
    /// one changes nothing.
    pub fn publish(&self, keys: Option<Keys>, at: Instant) {
        let keys = keys.map(|keys| (Arc::new(KeyTable::of(&keys)), Arc::new(keys)));
        self.0.rcu(|current| {
            if let Some(read) = current
                && read.at > at
            {
                return Some(Arc::clone(read));
            }
            let (table, keys) = match (&keys, current) {
                (Some((table, keys)), _) => (Arc::clone(table), Arc::clone(keys)),
                (None, Some(read)) => (Arc::clone(&read.table), Arc::clone(&read.keys)),
                (None, None) => Default::default(),
            };
            Some(Arc::new(Read { keys, table, at }))
        });
    }

    /// Returns whether there was no read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.0.load().is_none()
    }

    /// Returns whether the last read is old, or there was none.
    #[must_use]
    pub fn is_old(&self, instant: Instant) -> bool {
        let read = self.0.load();
        read.as_ref().is_none_or(|read| age(read, instant) >= Self::OLD_AFTER)
    }

    /// Returns whether a key of an administrator is accepted at `now`.
    #[must_use]
    pub fn has_administrator(&self, now: DateTime<Utc>) -> bool {
        self.0.load().as_ref().is_some_and(|read| read.keys.has_administrator(now))
    }

    /// Returns who presents a key of the admin API, and whether the last read is so old that the key may have been revoked.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn administrator(
        &self,
        presented: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<(Authenticated, bool), Refused> {
        let read = self.0.load();
        let read = read.as_ref().ok_or(Refused::KeysUnread)?;
        Ok((read.keys.verify(presented, now)?, age(read, instant) >= Self::STALE_AFTER))
    }

    /// Returns who presents a key of the public API.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn caller(
        &self,
        presented: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<PublicCaller, Refused> {
        let read = self.0.load();
        let read = read.as_ref().ok_or(Refused::KeysUnread)?;
        let caller = read.table.verify(presented, now)?.clone();
        Ok(PublicCaller { by_old_key: age(read, instant) >= Self::STALE_AFTER, ..caller })
    }
}

fn age(read: &Read, instant: Instant) -> Duration {
    instant.saturating_duration_since(read.at)
}
