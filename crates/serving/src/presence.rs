//! Signs of life: the servers of one model and environment, as objects in the store.
//!
//! - a server writes `deployments/<environment>/servers/<model>/<id>.<beat>` every few seconds, and removes the one
//!   before. It removes the last one when it stops
//! - nothing depends on the clocks of two machines: a server watches whether the beat of another one rises, and compares
//!   the times that the store gave to both

use botops_findings::Result;
use botops_store::{Store, Stored};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::Mutex;

/// The time between two signs of life.
pub(super) const BEAT: Duration = Duration::from_secs(3);
/// The time after which a server without a new sign of life is gone: five beats, so that a slow store is no reason.
pub(super) const GONE: Duration = Duration::from_secs(15);

/// The signs of life of this server.
pub(super) struct Presence {
    store: Store,
    folder: String,
    id: String,
    /// The beat of the newest sign that was written.
    last: Mutex<Option<u64>>,
}

/// The newest sign of life of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sign {
    /// The id of the server.
    pub(crate) id: String,
    /// The number of the sign, which rises.
    pub(crate) beat: u64,
    /// Whether the server is known to be gone: its process ended, or the sign is old by the clock of the store.
    pub(crate) is_over: bool,
}

/// The process of a server. It tells a server on the same machine that this one was killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Process {
    schema: String,
    /// The start of the machine and the namespace of the process id; empty if unknown.
    machine: String,
    pid: u32,
    /// The start of the process in ticks of the machine; a later process may get the same id.
    started: Option<u64>,
}

impl Presence {
    /// Makes the presence of the server `id` of `model` in `environment`. Writes nothing.
    pub(super) fn new(store: Store, environment: &str, model: &str, id: String) -> Self {
        let folder = format!("deployments/{environment}/servers/{model}");
        Self { store, folder, id, last: Mutex::new(None) }
    }

    /// Writes the next sign of life.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn beat(&self) -> Result<()> {
        let mut last = self.last.lock().await;
        let next = last.map_or(1, |last| last + 1);
        let body = serde_json::to_vec(&Process::this()).expect("a process can be written as JSON");
        self.store.create(&self.path(&self.id, next), body.into()).await?;
        if let Some(before) = last.replace(next) {
            self.store.remove(&self.path(&self.id, before)).await?;
        }
        Ok(())
    }

    /// Returns whether another server removed the sign of this one: it counted this server as gone, for example because
    /// its process was suspended.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn is_forgotten(&self) -> Result<bool> {
        let last = self.last.lock().await;
        let Some(beat) = *last else { return Ok(false) };
        Ok(self.store.read(&self.path(&self.id, beat)).await?.is_none())
    }

    /// Returns the newest sign of every other server.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn others(&self) -> Result<Vec<Sign>> {
        let mut newest: BTreeMap<String, (u64, Stored)> = BTreeMap::new();
        for stored in self.store.list(&self.folder).await? {
            let Some((id, beat)) = self.parse(&stored.path) else { continue };
            if newest.get(&id).is_none_or(|(known, _)| *known < beat) {
                newest.insert(id, (beat, stored));
            }
        }
        let own = newest.remove(&self.id).map(|(_, own)| own.written_at);
        let mut signs = Vec::with_capacity(newest.len());
        let gone = TimeDelta::from_std(GONE).unwrap_or(TimeDelta::MAX);
        for (id, (beat, stored)) in newest {
            let is_old = own.is_some_and(|own| own - stored.written_at > gone);
            let is_over = is_old || self.has_ended(&stored.path).await?;
            signs.push(Sign { id, beat, is_over });
        }
        Ok(signs)
    }

    /// Removes the signs of the server `id`, which is gone.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn forget(&self, id: &str) -> Result<()> {
        for path in self.store.objects(&self.folder, None).await? {
            if self.parse(&path).is_some_and(|(found, _)| found == id) {
                self.store.remove(&path).await?;
            }
        }
        Ok(())
    }

    /// Removes the signs of this server.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn leave(&self) -> Result<()> {
        *self.last.lock().await = None;
        self.forget(&self.id).await
    }

    fn path(&self, id: &str, beat: u64) -> String {
        format!("{}/{id}.{beat:010}", self.folder)
    }

    /// Returns the server and the number of the sign at `path`.
    fn parse(&self, path: &str) -> Option<(String, u64)> {
        let (id, beat) = path.strip_prefix(&self.folder)?.strip_prefix('/')?.rsplit_once('.')?;
        Some((id.to_owned(), beat.parse().ok()?))
    }

    /// Returns whether the process that wrote the sign at `path` ended on this machine.
    async fn has_ended(&self, path: &str) -> Result<bool> {
        let Some(bytes) = self.store.read(path).await? else { return Ok(true) };
        // A sign of a newer version may be unreadable: then only its beat counts.
        Ok(serde_json::from_slice::<Process>(&bytes).is_ok_and(|process| process.has_ended()))
    }
}

impl Process {
    fn this() -> Self {
        let pid = std::process::id();
        Self {
            schema: "botops.server/1".to_owned(),
            machine: machine(),
            pid,
            started: started(pid),
        }
    }

    /// Returns whether it ran on this machine and has ended; false if that cannot be known.
    fn has_ended(&self) -> bool {
        !self.machine.is_empty()
            && self.machine == machine()
            && self.started.is_some()
            && self.started != started(self.pid)
    }
}

/// Returns the start of this machine and the namespace of process ids; empty where Linux's `/proc` is missing.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let space = std::fs::read_link("/proc/self/ns/pid");
    match (boot, space) {
        (Ok(boot), Ok(space)) => format!("{} {}", boot.trim(), space.display()),
        _ => String::new(),
    }
}

/// Returns the start of the process `pid` in ticks of the machine; `None` if it does not run.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces. The start is field 22, the state is field 3; a zombie
    // has ended.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(store: &Store, id: &str) -> Presence {
        Presence::new(store.clone(), "test", "support", id.to_owned())
    }

    #[tokio::test]
    async fn a_server_leaves_one_sign_and_none_after_it_left() {
        let store = Store::in_memory();
        let (first, second) = (presence(&store, "a"), presence(&store, "b"));
        for _ in 0..3 {
            first.beat().await.unwrap();
        }
        assert_eq!(store.list("deployments").await.unwrap().len(), 1);
        let sign = Sign { id: "a".to_owned(), beat: 3, is_over: false };
        assert_eq!(second.others().await.unwrap(), [sign]);
        assert!(first.others().await.unwrap().is_empty(), "its own sign does not count");
        first.leave().await.unwrap();
        assert!(second.others().await.unwrap().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_process_that_was_killed_on_this_machine_is_over_at_once() {
        let store = Store::in_memory();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let killed = Process {
            schema: "botops.server/1".to_owned(),
            machine: machine(),
            pid: child.id(),
            started: started(child.id()),
        };
        let body = serde_json::to_vec(&killed).unwrap();
        let path = "deployments/test/servers/support/a.0000000001";
        store.create(path, body.into()).await.unwrap();
        let other = presence(&store, "b");
        assert!(!other.others().await.unwrap()[0].is_over);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(other.others().await.unwrap()[0].is_over);
        other.forget("a").await.unwrap();
        assert!(other.others().await.unwrap().is_empty());
    }
}
