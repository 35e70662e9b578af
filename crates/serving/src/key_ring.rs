//! The keys that a server accepts: those of the access log of its environment, read every two seconds.
//!
//! - a change is in force within 5 s: a read begins every 2 s, and a request with a key begins one if the last is older
//! - while the log cannot be read, the keys of the last read stay; after [`LiveKeys::STALE_AFTER`] they may only read and go back
//! - no read blocks a request for longer than [`PATIENCE`]

use crate::{app::App, authorization::Caller};
use botops_access::{KeyLog, KeyUses, LiveKeys, Refused};
use botops_findings::Result;
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// The mean time between two reads.
const READ_EVERY: Duration = Duration::from_secs(2);
/// The longest time that a request waits for a read.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest time that the record of a use may take.
const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// The longest time that a read may take, with the retries of the store.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// The keys that a server accepts.
pub(super) struct KeyRing {
    app: Arc<App>,
    log: tokio::sync::Mutex<KeyLog>,
    /// The keys as of the last read.
    keys: Arc<LiveKeys>,
    known: Mutex<Known>,
    uses: KeyUses,
    /// The hour of the last use of each secret that this server recorded, or failed to record.
    recorded: Mutex<BTreeMap<String, DateTime<Utc>>>,
}

/// The reads so far.
#[derive(Default)]
struct Known {
    /// The begin of the last read that a request asked for.
    asked_at: Option<Instant>,
    /// The problem that was reported last.
    problem: Option<String>,
}

impl KeyRing {
    /// Opens the access log of `environment`, and reads it. A log that cannot be read is reported, and tried again.
    ///
    /// # Errors
    /// `BOT-1041` (exit 2) if `environment` cannot be the name of a folder.
    pub(super) async fn open(app: Arc<App>, store: &Store, environment: &str) -> Result<Arc<Self>> {
        let log = tokio::sync::Mutex::new(KeyLog::open(store, environment)?);
        let uses = KeyUses::open(store, environment)?;
        let (keys, known, recorded) = (Arc::default(), Mutex::default(), Mutex::default());
        let ring = Self { app, log, keys, known, uses, recorded };
        let ring = Arc::new(ring);
        ring.read(READ_EVERY).await;
        Ok(ring)
    }

    /// Returns the keys as of the last read.
    pub(super) fn keys(&self) -> &Arc<LiveKeys> {
        &self.keys
    }

    /// Returns whether a key of an administrator is accepted now.
    pub(super) fn has_administrator(&self) -> bool {
        self.keys.has_administrator(self.app.clock.now())
    }

    /// Reads the log every two seconds until the server stops.
    pub(super) async fn follow(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            // Between 1.5 and 2.5 s, so that servers that started together do not read together.
            let jitter = ulid::Ulid::generate().random() as u64 % 1_000;
            let pause = READ_EVERY - Duration::from_millis(500) + Duration::from_millis(jitter);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            self.read(READ_WITHIN).await;
            self.record_uses().await;
        }
    }

    /// Records the secrets that were accepted, each once an hour. A failure is logged, and the use of that hour is lost.
    async fn record_uses(&self) {
        for (id, hour) in self.keys.used() {
            let known =
                self.recorded.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
            if known.is_some_and(|known| known >= hour) {
                continue;
            }
            let problem = match timeout(RECORD_WITHIN, self.uses.record(&id, hour)).await {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(format!("{}: {fault}", fault.code())),
                Err(_) => Some("the store does not answer".to_owned()),
            };
            if let Some(problem) = problem {
                let message = format!("the use of the key `{id}` is not recorded: {problem}");
                self.app.log.event(self.app.clock.now(), "warn", "keys", message);
            }
            self.recorded.lock().unwrap_or_else(PoisonError::into_inner).insert(id, hour);
        }
    }

    /// Checks a key that a request of the admin API presents.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub(super) async fn verify(&self, presented: &str) -> Result<Caller, Refused> {
        self.refresh_if_old(Instant::now()).await;
        self.verify_at(presented, self.app.clock.now(), Instant::now())
    }

    fn verify_at(
        &self,
        presented: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<Caller, Refused> {
        let (who, by_old_key) = self.keys.administrator(presented, now, instant)?;
        Ok(Caller { who, by_old_key })
    }

    /// Reads the log if the last read is old, and no request has begun another one shortly before.
    pub(super) async fn refresh_if_old(&self, now: Instant) {
        if !self.keys.is_old(now) {
            return;
        }
        {
            let mut known = self.known();
            let asked = known.asked_at.map(|at| now.saturating_duration_since(at));
            if asked.is_some_and(|age| age < LiveKeys::OLD_AFTER) {
                return;
            }
            known.asked_at = Some(now);
        }
        let _ = timeout(PATIENCE, self.read(READ_WITHIN)).await;
    }

    /// Reads the log. A problem is logged when it begins and when it ends.
    async fn read(&self, within: Duration) {
        let begun = Instant::now();
        let read = async {
            let mut log = self.log.lock().await;
            log.refresh().await.map(|is_newer| {
                // Before the first read, an empty log is news, too.
                let is_news = is_newer || self.keys.is_unread();
                is_news.then(|| log.keys().clone())
            })
        };
        let problem = match timeout(within, read).await {
            Ok(Ok(keys)) => {
                self.keys.publish(keys, begun);
                None
            }
            Ok(Err(fault)) => Some(format!("{}: {fault}", fault.code())),
            Err(_) => Some("the store does not answer".to_owned()),
        };
        let before = std::mem::replace(&mut self.known().problem, problem.clone());
        let (level, message) = match (before, problem) {
            (before, Some(problem)) if before.as_ref() != Some(&problem) => {
                let minutes = LiveKeys::STALE_AFTER.as_secs() / 60;
                let message = format!(
                    "the keys cannot be read: {problem}; those of the last read stay, and after {minutes} minutes may only read and roll back"
                );
                ("warn", message)
            }
            (Some(_), None) => ("info", "the keys are read again".to_owned()),
            _ => return,
        };
        self.app.log.event(self.app.clock.now(), level, "keys", message);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::WallClock, server::new_app, shadow, tests::settings};
    use botops_access::{Identity, IdentityKind, KeyAct, KeySpec, NewKey, Scope, Writing, hour_of};
    use object_store::memory::InMemory;

    fn app() -> Arc<App> {
        let clock = Arc::new(WallClock::start());
        new_app("support", &settings(), clock, shadow::CAPACITY).unwrap()
    }

    fn act() -> KeyAct {
        let by = Identity::new(IdentityKind::Claimed, "ada@laptop");
        KeyAct { by, reason: "a test".to_owned(), at: Utc::now() }
    }

    async fn create(store: &Store, name: &str) -> NewKey {
        let mut log = KeyLog::open(store, "test").unwrap();
        let spec = KeySpec { name: name.to_owned(), scopes: vec![Scope::Read], lifetime: None };
        log.create(&spec, &act(), Writing::Real).await.unwrap().1.unwrap()
    }

    #[tokio::test]
    async fn a_server_learns_of_a_new_and_of_a_revoked_key_within_5_seconds() {
        let store = Store::in_memory();
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        assert!(!ring.has_administrator());
        let (stop, stopped) = watch::channel(false);
        let following = tokio::spawn(Arc::clone(&ring).follow(stopped));
        let key = create(&store, "ci").await;
        assert_eq!(ring.verify(key.expose()).await, Err(Refused::WrongToken));
        let within = async |is_done: &dyn Fn(&Result<Caller, Refused>) -> bool| {
            let begun = Instant::now();
            loop {
                let checked = ring.verify_at(key.expose(), Utc::now(), Instant::now());
                if is_done(&checked) {
                    return;
                }
                assert!(begun.elapsed().as_secs() < 5, "{checked:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        within(&|checked| matches!(checked, Ok(caller) if caller.who.identity.name == "ci")).await;
        let mut log = KeyLog::open(&store, "test").unwrap();
        log.revoke("ci", &act(), Writing::Real).await.unwrap();
        within(&|checked| matches!(checked, Err(Refused::Revoked { .. }))).await;
        stop.send_replace(true);
        following.await.unwrap();
    }

    #[tokio::test]
    async fn the_last_use_of_a_key_is_recorded_once_an_hour_and_beside_the_requests() {
        let store = Store::in_memory();
        let (key, other) = (create(&store, "ci").await, create(&store, "idle").await);
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        let uses = KeyUses::open(&store, "test").unwrap();
        let used_at = Utc::now();
        for _ in 0..3 {
            ring.verify_at(key.expose(), used_at, Instant::now()).unwrap();
        }
        let wrong = other.expose().replace(&other.id, &key.id);
        ring.verify_at(&wrong, Utc::now(), Instant::now()).unwrap_err();
        assert!(uses.last().await.unwrap().is_empty(), "a request writes nothing");
        ring.record_uses().await;
        // What the next read publishes is still known to be recorded.
        create(&store, "new").await;
        ring.read(READ_WITHIN).await;
        let recorded = uses.last().await.unwrap();
        assert_eq!(recorded, BTreeMap::from([(key.id.clone(), hour_of(used_at))]));
        let path = store.objects("access/test/used", None).await.unwrap().remove(0);
        store.remove(&path).await.unwrap();
        ring.verify_at(key.expose(), used_at, Instant::now()).unwrap();
        ring.record_uses().await;
        assert!(uses.last().await.unwrap().is_empty(), "once an hour");
        let later = used_at + chrono::TimeDelta::hours(1);
        ring.verify_at(key.expose(), later, Instant::now()).unwrap();
        ring.record_uses().await;
        assert_eq!(uses.last().await.unwrap()[&key.id], hour_of(later));
    }

    #[tokio::test]
    async fn a_server_that_was_stopped_reads_the_log_before_it_accepts_a_key() {
        let store = Store::in_memory();
        let key = create(&store, "ci").await;
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        ring.verify(key.expose()).await.unwrap();
        let mut log = KeyLog::open(&store, "test").unwrap();
        log.revoke("ci", &act(), Writing::Real).await.unwrap();
        // No task follows the log here. The last read is recent, so the key is accepted.
        ring.verify(key.expose()).await.unwrap();
        let later = Instant::now() + LiveKeys::OLD_AFTER;
        ring.refresh_if_old(later).await;
        let refused = ring.verify_at(key.expose(), Utc::now(), later).unwrap_err();
        assert!(matches!(refused, Refused::Revoked { .. }), "{refused:?}");
    }

    #[tokio::test]
    async fn while_the_log_cannot_be_read_its_keys_stay_and_become_old() {
        let inner = Arc::new(InMemory::new());
        let store = Store::wrap(Arc::clone(&inner) as _, "memory://");
        let key = create(&store, "ci").await;
        let begun = Instant::now();
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        // Another program damages the log.
        let path = "access/test/log/00000000000000000002.json";
        store.create(path, "{}".into()).await.unwrap();
        ring.read(READ_WITHIN).await;
        assert!(ring.known().problem.as_ref().unwrap().contains("BOT-5006"));
        let verify = |after| ring.verify_at(key.expose(), Utc::now(), begun + after).unwrap();
        assert!(!verify(LiveKeys::STALE_AFTER - Duration::from_secs(1)).by_old_key);
        assert!(verify(LiveKeys::STALE_AFTER + Duration::from_secs(60)).by_old_key);
    }

    #[tokio::test]
    async fn a_log_that_was_never_read_lets_no_key_in() {
        let store = Store::in_memory();
        let key = create(&store, "ci").await;
        let path = "access/test/log/00000000000000000002.json";
        store.create(path, "{}".into()).await.unwrap();
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        assert!(!ring.has_administrator());
        assert_eq!(ring.verify(key.expose()).await, Err(Refused::KeysUnread));
    }
}
