//! The keys of an environment as of the last read of its log. Requests read them without a lock.

use crate::{
    Authenticated, PublicCaller, Refused, hour_of, key_table::KeyTable, key_text::id_in, keys::Keys,
};
use arc_swap::ArcSwapOption;
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// The keys of an environment as of the last read of its log.
#[derive(Debug, Default)]
pub struct LiveKeys(ArcSwapOption<Read>);

#[derive(Debug, Clone)]
struct Read {
    keys: Arc<Keys>,
    table: Arc<KeyTable>,
    /// The hour in which each secret was accepted last, as its begin in seconds of Unix time; by id.
    uses: Arc<Uses>,
    /// The begin of the read.
    at: Instant,
}

type Uses = BTreeMap<String, Arc<AtomicI64>>;

/// The time of a secret that was not accepted yet.
const UNUSED: i64 = i64::MIN;

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
        let of = |keys: &Keys, known: Option<&Uses>| -> Uses {
            let ids = keys.iter().flat_map(|key| &key.secrets).map(|secret| secret.id.clone());
            let unused = || Arc::new(AtomicI64::new(UNUSED));
            let known = |id: &String| known.and_then(|uses| uses.get(id)).cloned();
            ids.map(|id| (id.clone(), known(&id).unwrap_or_else(unused))).collect()
        };
        self.0.rcu(|current| {
            if let Some(read) = current
                && read.at > at
            {
                return Some(Arc::clone(read));
            }
            let (table, keys, uses) = match (&keys, current) {
                (Some((table, keys)), before) => {
                    let uses = of(keys, before.as_ref().map(|read| read.uses.as_ref()));
                    (Arc::clone(table), Arc::clone(keys), Arc::new(uses))
                }
                (None, Some(read)) => {
                    (Arc::clone(&read.table), Arc::clone(&read.keys), Arc::clone(&read.uses))
                }
                (None, None) => Default::default(),
            };
            Some(Arc::new(Read { keys, table, uses, at }))
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

    /// Returns the hour in which each secret was accepted last since this program began, by id.
    #[must_use]
    pub fn used(&self) -> BTreeMap<String, DateTime<Utc>> {
        let read = self.0.load();
        let uses = read.as_ref().map(|read| Arc::clone(&read.uses)).unwrap_or_default();
        let hour = |at: &AtomicI64| DateTime::from_timestamp(at.load(Ordering::Relaxed), 0);
        uses.iter().filter_map(|(id, at)| Some((id.clone(), hour_of(hour(at)?)))).collect()
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
        let who = read.keys.verify(presented, now)?;
        note_use(read, presented, now);
        Ok((who, age(read, instant) >= Self::STALE_AFTER))
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
        note_use(read, presented, now);
        Ok(PublicCaller { by_old_key: age(read, instant) >= Self::STALE_AFTER, ..caller })
    }
}

/// Notes that a secret was accepted at `now`: once an hour, a request writes a number.
fn note_use(read: &Read, presented: &str, now: DateTime<Utc>) {
    let hour = now.timestamp() - now.timestamp().rem_euclid(3600);
    if let Some(used) = id_in(presented).and_then(|id| read.uses.get(id))
        && used.load(Ordering::Relaxed) < hour
    {
        used.fetch_max(hour, Ordering::Relaxed);
    }
}

fn age(read: &Read, instant: Instant) -> Duration {
    instant.saturating_duration_since(read.at)
}
