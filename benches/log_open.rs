//! Opening a log of 100,000 entries in a folder: from a checkpoint, and from entry 1.
//!
//! `cargo bench --bench log_open` writes the log into a folder under `BOTOPS_BENCH_DIR` (default: the folder of the system
//! for temporary files) and removes it. The log ends 999 entries after its newest checkpoint, which is the worst case.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

use botops_store::{Appended, Entry, Fold, Folded, Log, Store};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

const ENTRIES: u64 = 99_999;
const OPENINGS: usize = 20;
const LOG: &str = "deployments/production/log";

/// An entry of about the size of a step of a rollout.
#[derive(Clone, Serialize, Deserialize)]
struct Step {
    model: String,
    phase: String,
    weight_percent: u64,
    failures: Vec<u64>,
}

/// A state that grows with the log: the last step of each of 500 models.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    entries: u64,
    last: BTreeMap<String, Reached>,
}

/// The result of a model.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Reached {
    phase: String,
    weight_percent: u64,
}

impl Fold<Step> for State {
    const SCHEMA: &'static str = "botops.bench/1";

    fn apply(&mut self, entry: &Entry<Step>) {
        self.entries += 1;
        let Step { model, phase, weight_percent, .. } = &entry.payload;
        let step = Reached { phase: phase.clone(), weight_percent: *weight_percent };
        self.last.insert(model.clone(), step);
    }
}

fn folded(store: &Store) -> Folded<Step, State> {
    Folded::new(store.clone(), LOG)
}

/// Writes the log to memory, where nothing waits for a disk, and then its objects to `folder`.
async fn fill(folder: &Path) {
    let store = Store::in_memory();
    let log = folded(&store);
    let mut last = log.read().await.expect("the log is empty").last;
    for n in 0..ENTRIES {
        let step = Step {
            model: format!("model-{}", n % 500),
            phase: "Canary".to_owned(),
            weight_percent: n % 101,
            failures: (n..n + 8).collect(),
        };
        last = match log.append(last.as_deref(), step).await.expect("memory takes it") {
            Appended::Written(entry) => Some(Arc::new(entry)),
            Appended::Conflict => unreachable!("nobody else writes"),
        };
        assert!(log.checkpoint_problem().is_none(), "a checkpoint was not written");
    }
    for path in store.objects("deployments", None).await.expect("memory is listed") {
        let file = folder.join(&path);
        fs::create_dir_all(file.parent().expect("it is in a folder")).expect("it can be made");
        let bytes = store.read(&path).await.expect("memory is read").expect("it was listed");
        fs::write(file, bytes).expect("a file can be written");
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn measure(folder: &Path) {
    let location = folder.to_str().expect("a plain path");
    let mut times = Vec::new();
    let mut opened = None;
    for _ in 0..OPENINGS {
        let started = Instant::now();
        let store = Store::open(location, &BTreeMap::new()).expect("a folder is a store");
        let log = folded(&store);
        let now = log.read().await.expect("the log is intact");
        times.push(milliseconds(started));
        assert!(log.checkpoint_problem().is_none(), "the checkpoint was not used");
        assert_eq!(now.last.map(|last| last.seq), Some(ENTRIES));
        opened = Some(now.state);
    }
    times.sort_by(f64::total_cmp);
    let (median, most) = (times[OPENINGS / 2], times[OPENINGS - 1]);
    let verdict = if median < 100.0 { "as required" } else { "MISSED" };
    println!(
        "from a checkpoint: median {median:.1} ms, most {most:.1} ms; under 100 ms: {verdict}"
    );

    let store = Store::open(location, &BTreeMap::new()).expect("a folder is a store");
    let log = folded(&store);
    log.read().await.expect("the log is intact");
    let started = Instant::now();
    for _ in 0..1000 {
        log.read().await.expect("the log is intact");
    }
    println!("a poll without news: {:.3} ms", milliseconds(started) / 1000.0);

    let started = Instant::now();
    let log: Log<Step> = store.log(LOG);
    let mut state = State::default();
    log.entries().await.expect("the log is intact").iter().for_each(|e| state.apply(e));
    println!("from entry 1: {:.0} ms", milliseconds(started));
    assert!(opened.is_some_and(|opened| *opened == state), "the checkpoint gives another state");
}

fn main() {
    let base = std::env::var_os("BOTOPS_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let held = tempfile::tempdir_in(base).expect("a folder can be made");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        fill(held.path()).await;
        measure(held.path()).await;
    });
}
