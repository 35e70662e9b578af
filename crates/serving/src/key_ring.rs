//! The keys that a server accepts: those of the access log of its environment, read every two seconds.
//!
//! - a change is in force within 5 s: a read begins every 2 s, and a request with a key begins one if the last is older
//! - while the log cannot be read, the keys of the last read stay; after [`STALE_AFTER`] they may only read and go back
//! - no read blocks a request for longer than [`PATIENCE`]

use crate::{app::App, authorization::Caller};
use botops_access::{KeyLog, Keys, Refused};
use botops_findings::Result;
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::timeout};

/// The mean time between two reads.
const READ_EVERY: Duration = Duration::from_secs(2);
/// The age of the last read from which a request with a key begins another one: a server that was stopped must not accept
/// the keys of yesterday.
const OLD_AFTER: Duration = Duration::from_secs(5);
/// The age of the last read from which keys may only read and go back.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(300);
/// The longest time that a request waits for a read.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest time that a read may take, with the retries of the store.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// The keys that a server accepts.
pub(super) struct KeyRing {
    app: Arc<App>,
    log: tokio::sync::Mutex<KeyLog>,
    known: Mutex<Known>,
}

/// The keys as of the last read.
struct Known {
    keys: Arc<Keys>,
    /// The begin of the last read that succeeded.
    read_at: Option<Instant>,
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
        let known = Known { keys: Arc::default(), read_at: None, asked_at: None, problem: None };
        let ring = Arc::new(Self { app, log, known: Mutex::new(known) });
        ring.read(READ_EVERY).await;
        Ok(ring)
    }

    /// Returns whether a key is accepted now.
    pub(super) fn has_administrator(&self) -> bool {
        self.known().keys.has_administrator(self.app.clock.now())
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
        }
    }

    /// Checks a key that a request presents.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub(super) async fn verify(&self, presented: &str) -> Result<Caller, Refused> {
        if self.is_read_due(Instant::now()) {
            let _ = timeout(PATIENCE, self.read(READ_WITHIN)).await;
        }
        self.verify_at(presented, self.app.clock.now(), Instant::now())
    }

    fn verify_at(
        &self,
        presented: &str,
        now: DateTime<Utc>,
        instant: Instant,
    ) -> Result<Caller, Refused> {
        let (keys, read_at) = {
            let known = self.known();
            (Arc::clone(&known.keys), known.read_at)
        };
        let Some(read_at) = read_at else { return Err(Refused::KeysUnread) };
        let who = keys.verify(presented, now)?;
        let by_old_key = instant.saturating_duration_since(read_at) >= STALE_AFTER;
        Ok(Caller { who, by_old_key })
    }

    /// Returns whether the last read is old, and no request has begun another one shortly before.
    fn is_read_due(&self, now: Instant) -> bool {
        let mut known = self.known();
        let is_old = |at: Option<Instant>| {
            at.is_none_or(|at| now.saturating_duration_since(at) >= OLD_AFTER)
        };
        let is_due = is_old(known.read_at) && is_old(known.asked_at);
        if is_due {
            known.asked_at = Some(now);
        }
        is_due
    }

    /// Reads the log. A problem is logged when it begins and when it ends.
    async fn read(&self, within: Duration) {
        let begun = Instant::now();
        let read = async {
            let mut log = self.log.lock().await;
            log.refresh().await.map(|_| log.keys().clone())
        };
        let problem = match timeout(within, read).await {
            Ok(Ok(keys)) => {
                let mut known = self.known();
                // A read that began later may have ended before.
                if known.read_at.is_none_or(|at| at <= begun) {
                    (known.keys, known.read_at) = (Arc::new(keys), Some(begun));
                }
                None
            }
            Ok(Err(fault)) => Some(format!("{}: {fault}", fault.code())),
            Err(_) => Some("the store does not answer".to_owned()),
        };
        let before = std::mem::replace(&mut self.known().problem, problem.clone());
        let (level, message) = match (before, problem) {
            (before, Some(problem)) if before.as_ref() != Some(&problem) => {
                let minutes = STALE_AFTER.as_secs() / 60;
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
    use botops_access::{Identity, IdentityKind, KeyAct, KeySpec, NewKey, Scope, Writing};
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
    async fn a_server_that_was_stopped_reads_the_log_before_it_accepts_a_key() {
        let store = Store::in_memory();
        let key = create(&store, "ci").await;
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        ring.verify(key.expose()).await.unwrap();
        let mut log = KeyLog::open(&store, "test").unwrap();
        log.revoke("ci", &act(), Writing::Real).await.unwrap();
        // No task follows the log here. The last read is recent, so the key is accepted.
        ring.verify(key.expose()).await.unwrap();
        let Some(long_ago) = Instant::now().checked_sub(OLD_AFTER) else { return };
        ring.known().read_at = Some(long_ago);
        let refused = ring.verify(key.expose()).await.unwrap_err();
        assert!(matches!(refused, Refused::Revoked { .. }), "{refused:?}");
    }

    #[tokio::test]
    async fn while_the_log_cannot_be_read_its_keys_stay_and_become_old() {
        let inner = Arc::new(InMemory::new());
        let store = Store::wrap(Arc::clone(&inner) as _, "memory://");
        let key = create(&store, "ci").await;
        let ring = KeyRing::open(app(), &store, "test").await.unwrap();
        // Another program damages the log.
        let path = "access/test/log/00000000000000000002.json";
        store.create(path, "{}".into()).await.unwrap();
        ring.read(READ_WITHIN).await;
        assert!(ring.known().problem.as_ref().unwrap().contains("BOT-5006"));
        let read_at = ring.known().read_at.unwrap();
        let verify = |after| ring.verify_at(key.expose(), Utc::now(), read_at + after).unwrap();
        assert!(!verify(STALE_AFTER - Duration::from_secs(1)).by_old_key);
        assert!(verify(STALE_AFTER).by_old_key);
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
