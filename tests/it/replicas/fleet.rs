//! The servers: processes of the program, each with its own view of one registry.

use super::{
    super::{
        servers::{BUCKET, Moto, settings},
        serving::{act, corpus, models, register},
        support::{clean, program},
    },
    gate::Gate,
};
use botops_dialogue::DialogueSpec;
use botops_models::{FallbackSpec, IntentModel, ModelSpec, Sample, Silent, TrainingInput, train};
use botops_registry::{Registry, Version};
use botops_spec::Spec as _;
use botops_store::Store;
use chrono::{DateTime, Utc};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// The environment of the servers.
pub(super) const ENVIRONMENT: &str = "test";
/// By what number the waits of the servers on files are divided.
const TIMES: u32 = 20;
/// The same on moto, which answers fewer requests a second.
const TIMES_ON_MOTO: u32 = 4;
/// The token of the admin API.
pub(super) const TOKEN: &str = "a token of thirty-two characters!!";
/// The number of servers.
pub(super) const SERVERS: usize = 3;
/// The version whose answers are fallbacks.
pub(super) const FAILING: u64 = 3;

/// A time in which a process was disturbed; open while it still is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disturbed {
    pub(super) from: DateTime<Utc>,
    pub(super) to: Option<DateTime<Utc>>,
}

/// One process of the program.
pub(super) struct Process {
    child: Child,
    /// The place of the server, from 0.
    pub(super) place: usize,
    /// The number of this start.
    pub(super) start: usize,
    /// The public address.
    pub(super) public: String,
    /// The address of the admin API.
    pub(super) admin: String,
    /// The standard error so far.
    said: Arc<Mutex<String>>,
}

impl Process {
    fn start(
        place: usize,
        start: usize,
        home: &Path,
        registry: &str,
        extra: &BTreeMap<String, String>,
    ) -> Self {
        let mut command = Command::new(program());
        clean(&mut command, home)
            .current_dir(home)
            .args(["serve", "support", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"])
            .args(["--registry", registry, "--no-request-log"])
            .env("BOTOPS_ENVIRONMENT", ENVIRONMENT)
            .env("BOTOPS_IDENTITY_KEY", "the identity key of the three servers")
            .env("BOTOPS_TOKEN_KEY", "the-token-key-of-the-three-servers")
            .env("BOTOPS_ADMIN_TOKEN", TOKEN)
            .envs(extra)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut begin = String::new();
        while !begin.contains("admin API on ") {
            let read = stderr.read_line(&mut begin).unwrap();
            if read == 0 {
                let _ = child.wait();
                panic!("server {place} does not start: {begin}");
            }
        }
        let after = |mark: &str| {
            let (_, rest) = begin.split_once(mark).unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let (public, admin) = (after("serving support on "), after("admin API on "));
        let said = Arc::new(Mutex::new(begin));
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in stderr.lines() {
                let Ok(line) = line else { return };
                let mut said = kept.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, place, start, public, admin, said }
    }

    /// Returns its standard error so far.
    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Sends a signal such as `-STOP`.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end, at most `limit`. Returns its exit code; -1 after a signal.
    pub(super) fn end(&mut self, limit: Duration) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The store of the servers.
enum Place {
    /// A folder, which each server reaches by its own links.
    Folder,
    /// moto, which each server reaches by its own way.
    Moto { _moto: Moto, gates: Vec<Gate> },
}

/// The facts about a server that the load and the commands need.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// The place of the server.
    pub(super) place: usize,
    /// The number of its start.
    pub(super) start: usize,
    pub(super) public: String,
    pub(super) admin: String,
}

/// The servers, their registry, and everything that was done to them.
pub(super) struct Fleet {
    /// Dropped last: the processes use it.
    folder: tempfile::TempDir,
    /// The registry, as a client without faults sees it.
    pub(super) registry: Registry,
    /// The store.
    place: Place,
    /// `LD_PRELOAD` of the servers, if each has a wall clock of its own.
    preload: Option<String>,
    processes: Mutex<Vec<Process>>,
    starts: Mutex<usize>,
    /// When each start was killed.
    pub(super) killed: Mutex<BTreeMap<usize, DateTime<Utc>>>,
    /// When each place could not read the store.
    pub(super) cut_off: Mutex<Vec<(usize, Disturbed)>>,
    /// When each place was stopped.
    pub(super) stopped: Mutex<Vec<(usize, Disturbed)>>,
    /// The standard error of the processes that ended.
    pub(super) ended: Mutex<Vec<String>>,
}

/// Trains a model that knows none of the words of the traffic: nearly every answer is a fallback.
fn failing_model() -> IntentModel {
    let corpus: Vec<(String, &str)> = corpus(160, 5)
        .into_iter()
        .map(|(text, intent)| (text.chars().rev().collect(), intent))
        .collect();
    let samples: Vec<Sample<'_>> =
        corpus.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let fallback = FallbackSpec { threshold: 0.95, ..FallbackSpec::default() };
    let spec = ModelSpec { goldens: 8, fallback, ..ModelSpec::default() }.check().unwrap();
    let responses = [("parcel", "Your parcel is on its way."), ("refund", "You get it back.")];
    let text = |text: &str| [("en".to_owned(), text.into())].into();
    let dialogue = DialogueSpec {
        responses: responses.map(|(intent, answer)| (intent.to_owned(), text(answer))).into(),
        fallback: text("Sorry?"),
        default_language: Some("en".to_owned()),
        ..DialogueSpec::default()
    };
    train(TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) }, &Silent).unwrap()
}

impl Fleet {
    /// Starts the servers on a registry in a folder, which each of them reaches by its own links.
    pub(super) async fn on_files() -> Arc<Self> {
        Self::in_folder(None).await
    }

    /// As [`Self::on_files`], with a wall clock for each server that [`Self::set_clock`] sets.
    pub(super) async fn with_clocks(preload: &str) -> Arc<Self> {
        Self::in_folder(Some(preload.to_owned())).await
    }

    async fn in_folder(preload: Option<String>) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("registry");
        let store = Store::open(real.to_str().unwrap(), &BTreeMap::new()).unwrap();
        let registry = filled(store).await;
        for place in 0..SERVERS {
            let view = folder.path().join(format!("view-{place}"));
            std::fs::create_dir(&view).unwrap();
            for entry in std::fs::read_dir(&real).unwrap() {
                let entry = entry.unwrap();
                symlink(entry.path(), view.join(entry.file_name())).unwrap();
            }
        }
        std::fs::write(folder.path().join("nothing"), "this is no folder").unwrap();
        Self::started((folder, preload), registry, Place::Folder)
    }

    /// Starts the servers on a registry in moto, which each of them reaches by its own way.
    pub(super) async fn on_moto(moto: Moto) -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let lock = Arc::default();
        let mut gates = Vec::new();
        // The last one is for the test itself.
        for _ in 0..=SERVERS {
            gates.push(Gate::open(&moto.endpoint(), &lock).await);
        }
        let store = Store::open(&bucket(), &settings(&gates[SERVERS].url)).unwrap();
        let registry = filled(store).await;
        let place = Place::Moto { _moto: moto, gates };
        tokio::task::spawn_blocking(move || Self::started((folder, None), registry, place))
            .await
            .unwrap()
    }

    fn started(
        (folder, preload): (tempfile::TempDir, Option<String>),
        registry: Registry,
        place: Place,
    ) -> Arc<Self> {
        let fleet = Self {
            folder,
            registry,
            place,
            preload,
            processes: Mutex::default(),
            starts: Mutex::new(0),
            killed: Mutex::default(),
            cut_off: Mutex::default(),
            stopped: Mutex::default(),
            ended: Mutex::default(),
        };
        for place in 0..SERVERS {
            fleet.set_clock(place, "+0");
            let process = fleet.start(place);
            fleet.processes.lock().unwrap().push(process);
        }
        Arc::new(fleet)
    }

    fn view(&self, place: usize) -> PathBuf {
        self.folder.path().join(format!("view-{place}"))
    }

    /// Returns by what number the waits of the servers are divided.
    pub(super) fn times(&self) -> u32 {
        match &self.place {
            Place::Folder => TIMES,
            Place::Moto { .. } => TIMES_ON_MOTO,
        }
    }

    /// Returns the location of the registry and the settings of the store for the server at `place`, and for the test
    /// itself after the last one.
    fn way(&self, place: usize) -> (String, BTreeMap<String, String>) {
        match &self.place {
            Place::Moto { gates, .. } => (bucket(), settings(&gates[place].url)),
            Place::Folder => {
                let path = match place {
                    SERVERS => self.folder.path().join("registry"),
                    _ => self.view(place),
                };
                (path.to_str().unwrap().to_owned(), BTreeMap::new())
            }
        }
    }

    fn start(&self, place: usize) -> Process {
        let start = {
            let mut starts = self.starts.lock().unwrap();
            *starts += 1;
            *starts
        };
        let (location, mut extra) = self.way(place);
        extra.insert("BOTOPS_TIMES".to_owned(), self.times().to_string());
        if let Some(preload) = &self.preload {
            let file = self.clock(place).to_str().unwrap().to_owned();
            extra.extend(
                [
                    ("LD_PRELOAD", preload.as_str()),
                    ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
                    ("FAKETIME_NO_CACHE", "1"),
                    ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        Process::start(place, start, self.folder.path(), &location, &extra)
    }

    /// The file that holds the offset of the wall clock of the server at `place`.
    fn clock(&self, place: usize) -> PathBuf {
        self.folder.path().join(format!("clock-{place}"))
    }

    /// Sets the wall clock of the server at `place` off by `offset`, such as `+13h`.
    pub(super) fn set_clock(&self, place: usize, offset: &str) {
        let (file, new) = (self.clock(place), self.clock(place).with_extension("new"));
        // A rename, so that the server never reads half of it.
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Returns the addresses of all servers.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let processes = self.processes.lock().unwrap();
        let address = |it: &Process| Address {
            place: it.place,
            start: it.start,
            public: it.public.clone(),
            admin: it.admin.clone(),
        };
        processes.iter().map(address).collect()
    }

    /// Kills the server at `place`.
    pub(super) fn kill(&self, place: usize) {
        self.signal_to_end(place, "-KILL");
        assert!(self.end(place).is_some(), "a killed process ends");
    }

    /// Sends the server at `place` a signal that ends it.
    fn signal_to_end(&self, place: usize, name: &str) {
        let processes = self.processes.lock().unwrap();
        self.killed.lock().unwrap().insert(processes[place].start, Utc::now());
        processes[place].signal(name);
    }

    /// Waits for the end of the server at `place`. The clients, and the ways to the store, go on meanwhile.
    fn end(&self, place: usize) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            let ended = self.processes.lock().unwrap()[place].end(Duration::from_millis(1));
            if ended.is_some() {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Starts the server at `place` again, after a kill.
    pub(super) fn restart(&self, place: usize) {
        let process = self.start(place);
        let before = std::mem::replace(&mut self.processes.lock().unwrap()[place], process);
        self.ended.lock().unwrap().push(before.said());
    }

    /// Stops the server at `place` in an orderly way, and starts it again.
    pub(super) fn renew(&self, place: usize) {
        // A request that arrives after its last one is refused, as with a kill.
        self.signal_to_end(place, "-TERM");
        let ended = self.end(place);
        let said = self.processes.lock().unwrap()[place].said();
        assert_eq!(ended, Some(0), "{said}");
        self.restart(place);
    }

    /// Suspends the server at `place`.
    pub(super) fn suspend(&self, place: usize) {
        let now = Disturbed { from: Utc::now(), to: None };
        self.stopped.lock().unwrap().push((place, now));
        self.processes.lock().unwrap()[place].signal("-STOP");
    }

    /// Lets the server at `place` go on.
    pub(super) fn resume(&self, place: usize) {
        self.processes.lock().unwrap()[place].signal("-CONT");
        close(&self.stopped, place);
    }

    /// Takes the deployment log and the observations away from the server at `place`.
    pub(super) fn cut_off(&self, place: usize) {
        let now = Disturbed { from: Utc::now(), to: None };
        self.cut_off.lock().unwrap().push((place, now));
        match &self.place {
            Place::Folder => self.link(place, "nothing"),
            Place::Moto { gates, .. } => gates[place].close(true),
        }
    }

    /// Gives them back.
    pub(super) fn heal(&self, place: usize) {
        match &self.place {
            Place::Folder => self.link(place, "registry/deployments"),
            Place::Moto { gates, .. } => gates[place].close(false),
        }
        close(&self.cut_off, place);
    }

    /// Lets the link to the deployments lead to `target`, in one step.
    fn link(&self, place: usize, target: &str) {
        let view = self.view(place);
        let new = view.with_extension("new");
        symlink(self.folder.path().join(target), &new).unwrap();
        std::fs::rename(&new, view.join("deployments")).unwrap();
    }

    /// Stops all servers in an orderly way. Returns what all processes wrote to their standard error.
    pub(super) fn finish(&self) -> Vec<String> {
        let mut processes = self.processes.lock().unwrap();
        for process in processes.iter() {
            process.signal("-TERM");
        }
        let mut said = self.ended.lock().unwrap().clone();
        for process in processes.iter_mut() {
            assert_eq!(process.end(Duration::from_secs(30)), Some(0), "{}", process.said());
            said.push(process.said());
        }
        said
    }

    /// Runs the program on the registry, and returns its output.
    pub(super) fn program(&self, words: &[&str]) -> std::process::Output {
        let (location, extra) = self.way(SERVERS);
        let mut command = Command::new(program());
        clean(&mut command, self.folder.path())
            .current_dir(self.folder.path())
            .args(words)
            .args(["--registry", &location])
            .env("BOTOPS_ENVIRONMENT", ENVIRONMENT)
            .envs(extra);
        command.output().unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (killed, cut_off) = (&self.killed, &self.cut_off);
        crate::support::print_past_harness(&format!(
            "killed {killed:?}\ncut off {cut_off:?}\nstopped {:?}",
            self.stopped
        ));
        for said in self.ended.lock().into_iter().flat_map(|it| it.clone()) {
            crate::support::print_past_harness(&format!("an earlier process:\n{said}"));
        }
        for process in self.processes.lock().into_iter().flat_map(|mut it| std::mem::take(&mut *it))
        {
            crate::support::print_past_harness(&format!(
                "server {}, start {}:\n{}",
                process.place,
                process.start,
                process.said()
            ));
        }
    }
}

/// Returns the location of the registry in moto.
fn bucket() -> String {
    format!("s3://{BUCKET}/team/registry")
}

fn close(times: &Mutex<Vec<(usize, Disturbed)>>, place: usize) {
    let mut times = times.lock().unwrap();
    let (_, last) = times.iter_mut().rev().find(|(of, _)| *of == place).unwrap();
    last.to = Some(Utc::now());
}

/// Fills the registry in `store`: versions 1 and 2 are good, and [`FAILING`] is not. Version 1 is the champion.
async fn filled(store: Store) -> Registry {
    let registry = Registry::open(store).in_environment(ENVIRONMENT).unwrap();
    let [first, second, _] = models();
    let failing = failing_model();
    let mut versions: Vec<Version> = Vec::new();
    for model in [&*first, &*second, &failing] {
        let (version, proof) = register(&registry, model).await;
        if versions.is_empty() {
            registry.promote(&version, None, &proof, &act()).await.unwrap();
        }
        versions.push(version);
    }
    assert_eq!(versions[2].number, FAILING);
    registry
}
