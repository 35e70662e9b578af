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
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The admin token of these servers.
pub(crate) const PROCESS_TOKEN: &str = "a token of thirty-two characters!!";

/// By what number the waits of these servers for each other are divided.
pub(crate) const TIMES: u32 = super::TIMES;

/// A `botops serve` in its own process.
pub(crate) struct Server {
    process: Child,
    /// Its output until it was ready.
    said: String,
    /// Its standard error from then on, which a thread reads: a full pipe would stop it.
    later: Arc<Mutex<String>>,
}

impl Server {
    /// Starts it on the registry of `folder`, and waits until it is ready.
    pub(super) fn start(folder: &Path) -> Self {
        Self::start_with(folder, TIMES, |_| {})
    }

    /// Starts it with its waits divided by `times`, and with what `prepare` changes, such as variables.
    pub(crate) fn start_with(
        folder: &Path,
        times: u32,
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(program());
        let registry = folder.join("registry");
        clean(&mut command, folder)
            .current_dir(folder)
            .args(["serve", "support", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .arg("--registry")
            .arg(registry)
            .args(["--environment", "test", "--times", &times.to_string()])
            .env("BOTOPS_ADMIN_TOKEN", PROCESS_TOKEN)
            .stderr(Stdio::piped());
        prepare(&mut command);
        let mut process = command.spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("admin API on ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        let later = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&later);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        Self { process, said, later }
    }

    /// Returns everything that it wrote to standard error.
    pub(crate) fn said(&self) -> String {
        self.said.clone() + &self.later.lock().unwrap()
    }

    /// Returns the public address.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.said.split_once("serving support on ").unwrap();
        rest.lines().next().unwrap()
    }

    /// Returns the URL of the admin API.
    pub(crate) fn admin_url(&self) -> &str {
        let (_, rest) = self.said.split_once("admin API on ").unwrap();
        rest.split_whitespace().next().unwrap()
    }

    /// Returns a client of the admin API.
    pub(super) fn admin(&self) -> AdminClient {
        AdminClient::new(self.admin_url(), Some(&Secret::new(PROCESS_TOKEN))).unwrap()
    }

    /// Sends a signal such as `-TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end, at most `limit`.
    pub(crate) fn end(&mut self, limit: Duration) -> Option<i32> {
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
pub(crate) fn registry_of(place: &Path) -> Registry {
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
