//! A server in its own process, which a test can stop, suspend or kill.

use super::{models, registry_in};
use crate::support::{clean, program};
use botops_registry::Registry;
use botops_serving::AdminClient;
use botops_store::Store;
use botops_workspace::Secret;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    time::{Duration, Instant},
};

/// The admin token of these servers.
pub(super) const PROCESS_TOKEN: &str = "a token of thirty-two characters!!";

/// By what number the waits of these servers for each other are divided.
pub(super) const TIMES: u32 = super::TIMES;

/// A `botops serve` in its own process.
pub(super) struct Server {
    process: Child,
    /// Its standard error from then on: the pipe stays open as long as it runs.
    _stderr: BufReader<ChildStderr>,
    /// Its output until it was ready.
    said: String,
}

impl Server {
    /// Starts it on the registry of `folder`, and waits until it is ready.
    pub(super) fn start(folder: &Path) -> Self {
        let mut command = Command::new(program());
        let registry = folder.join("registry");
        clean(&mut command, folder)
            .current_dir(folder)
            .args(["serve", "support", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--registry")
            .arg(registry)
            .args(["--environment", "test", "--times", &TIMES.to_string()])
            .env("BOTOPS_ADMIN_TOKEN", PROCESS_TOKEN)
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("admin API on ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        Self { process, _stderr: stderr, said }
    }

    /// Returns the public address.
    pub(super) fn address(&self) -> &str {
        let (_, rest) = self.said.split_once("serving support on ").unwrap();
        rest.lines().next().unwrap()
    }

    /// Returns the URL of the admin API.
    pub(super) fn admin_url(&self) -> &str {
        let (_, rest) = self.said.split_once("admin API on ").unwrap();
        rest.split_whitespace().next().unwrap()
    }

    /// Returns a client of the admin API.
    pub(super) fn admin(&self) -> AdminClient {
        AdminClient::new(self.admin_url(), Some(&Secret::new(PROCESS_TOKEN))).unwrap()
    }

    /// Sends a signal such as `-TERM`.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end, at most `limit`.
    pub(super) fn end(&mut self, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Opens the registry at `place` in the environment `test`.
pub(super) fn registry_of(place: &Path) -> Registry {
    let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
    Registry::open(store).in_environment("test").unwrap()
}

/// Returns a folder with a registry of two versions.
pub(super) async fn folder_with_registry() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("registry");
    let store = Store::open(location.to_str().unwrap(), &BTreeMap::new()).unwrap();
    let [champion, challenger, _] = models();
    registry_in(store, &[&champion, &challenger]).await;
    folder
}
