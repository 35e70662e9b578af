//! Data sets stored by content: storing 500 MB in 1,000 files, storing them again unchanged and with one changed
//! record, pulling, verifying.
//!
//! `cargo bench --bench snapshots` writes the files into a folder under `BOTOPS_BENCH_DIR` (default: the folder of
//! the system for temporary files) and removes them. If `BOTOPS_DVC` names the program of DVC, `dvc add` and `dvc
//! push` (to a folder) of the same files are measured too. `-- noise` uses random bytes instead of utterances.
#![expect(clippy::print_stdout, reason = "a benchmark's output is what it prints")]

#[path = "process/cpu.rs"]
mod cpu;

use botops_snapshots::{SnapshotRequest, Snapshots, Taken};
use botops_stats::random::Random;
use botops_store::Store;
use cpu::cpu_seconds;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const FILES: usize = 1_000;
const FILE: usize = 500_000;

/// Runs `work`, prints its cost as `name`, and returns its result and the seconds.
fn timed<T>(name: &str, work: impl FnOnce() -> T) -> (T, f64) {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let made = work();
    let seconds = started.elapsed().as_secs_f64();
    println!("{name}: {seconds:.2} s, {:.2} s of CPU", cpu_seconds() - cpu);
    (made, seconds)
}

/// Returns `n` bytes of utterances as CSV: words of a support data set in random order, with numbers.
fn utterances(n: usize, words: &[String], random: &mut Random) -> Vec<u8> {
    let mut out = b"text,intent\n".to_vec();
    while out.len() < n {
        for _ in 0..4 + random.below(12) {
            out.extend_from_slice(words[random.below(words.len())].as_bytes());
            out.push(b' ');
        }
        out.extend(format!("{},intent_{}\n", random.below(1_000_000), random.below(77)).as_bytes());
    }
    out.truncate(n);
    out
}

fn noise(n: usize, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::with_capacity(n + 8);
    while out.len() < n {
        out.extend(random.bits().to_le_bytes());
    }
    out.truncate(n);
    out
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_noise = arguments.iter().any(|argument| argument == "noise");
    let base = std::env::var_os("BOTOPS_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let held = tempfile::tempdir_in(base).expect("a folder can be made");
    let data = held.path().join("data");
    fs::create_dir(&data).expect("a folder can be made");
    let text = fs::read_to_string("datasets/support/utterances.csv").expect("the set is readable");
    let words: Vec<String> = text.split([' ', ',', '\n']).map(str::to_owned).collect();
    let mut random = Random::new(17);
    let mut bytes = |n: usize| match is_noise {
        true => noise(n, &mut random),
        false => utterances(n, &words, &mut random),
    };
    for i in 0..FILES {
        fs::write(data.join(format!("{i:04}.csv")), bytes(FILE)).expect("a file can be written");
    }
    let large = held.path().join("large.csv");
    fs::write(&large, bytes(100_000_000)).expect("a file can be written");
    // Waits, because files younger than a clock tick of the disk are not remembered. All files are in the page cache,
    // as after an export.
    std::thread::sleep(Duration::from_secs(3));

    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let location = held.path().join("registry");
    let store = Store::open(location.to_str().expect("a plain path"), &BTreeMap::new());
    let snapshots = Snapshots::open(store.expect("a folder is a store"));
    let take = |name: &str, path: &Path| -> Taken {
        let request = SnapshotRequest {
            name: name.to_owned(),
            paths: vec![path.to_owned()],
            stamps: Some(held.path().join(format!("{name}.json"))),
            actor: "bench".to_owned(),
            reason: String::new(),
            at: chrono::Utc::now(),
            clock: chrono::Utc::now(),
            dry_run: false,
        };
        runtime.block_on(snapshots.take(&request, &|_, _| ())).expect("it is stored")
    };
    let (taken, ours) = timed("snapshot of 500 MB in 1,000 files", || take("many", &data));
    println!("  {:.1} MB stored", taken.stored_bytes as f64 / 1e6);
    let (again, seconds) = timed("unchanged again", || take("many", &data));
    println!("  {} files read; {}", again.files_read, verdict(seconds < 1.0, "under 1 s"));
    assert!(!again.is_new && again.files_read == 0);
    timed("verify", || {
        let verification = runtime.block_on(snapshots.verify(None)).expect("it is readable");
        assert!(verification.problems.is_empty());
    });
    timed("pull", || {
        let out = held.path().join("out");
        runtime.block_on(snapshots.pull(&taken.snapshot, &out, &|_, _| ())).expect("it is written");
    });

    timed("snapshot of one file of 100 MB", || take("large", &large));
    let mut changed = fs::read(&large).expect("the file is readable");
    let middle = changed.len() / 2;
    changed.splice(middle..middle + 1, *b"one record says more now");
    fs::write(&large, changed).expect("the file can be written");
    let (after, _) = timed("one record of it changed", || take("large", &large));
    let stored = after.stored_bytes as f64 / 1e6;
    println!("  {stored:.2} MB stored; {}", verdict(stored < 1.0, "under 1 MB"));

    let Some(dvc) = std::env::var_os("BOTOPS_DVC") else { return };
    let dvc = |arguments: &[&str]| {
        let done = Command::new(&dvc)
            .args(arguments)
            .current_dir(held.path())
            .env("DVC_NO_ANALYTICS", "1")
            .output()
            .expect("DVC starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    dvc(&["init", "--no-scm"]);
    let remote = held.path().join("remote");
    dvc(&["remote", "add", "-d", "here", remote.to_str().expect("a plain path")]);
    let ((), add) = timed("dvc add", || dvc(&["add", "data"]));
    let ((), push) = timed("dvc push", || dvc(&["push"]));
    let ratio = ours / (add + push);
    println!("  ratio {ratio:.2}; {}", verdict(ratio <= 0.5, "at most 1/2"));
    timed("dvc status", || dvc(&["status"]));
}

fn verdict(reached: bool, goal: &str) -> String {
    format!("{goal}: {}", if reached { "reached" } else { "missed" })
}
