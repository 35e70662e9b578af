//! Data sets stored by content: taken, found, compared, damaged, swept and interrupted, in a folder and on real S3
//! servers.

use crate::{
    servers::{Moto, S3Server},
    store::Bench,
    support::{Folder, botops_snapshot, terminal_output},
};
use botops_digest::Digest;
use botops_experiments::{Experiments, Retention, SweepRule};
use botops_findings::{Fault, FaultKind};
use botops_snapshots::{Snapshot, SnapshotReference, SnapshotRequest, Snapshots, Taken};
use botops_store::{Store, blob_path};
use chrono::{DateTime, TimeDelta, Utc};
use object_store::{ObjectStoreExt as _, path::Path as ObjectPath};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const QUIET: &(dyn Fn(u64, u64) + Sync) = &|_, _| ();

/// Returns random bytes from a seed.
fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut random = botops_stats::random::Random::new(seed);
    let mut bytes = Vec::with_capacity(n + 8);
    while bytes.len() < n {
        bytes.extend(random.bits().to_le_bytes());
    }
    bytes.truncate(n);
    bytes
}

/// Writes files of all sizes: empty, small, cut into chunks, in folders, and two with the same contents.
fn fill(folder: &Path) {
    fs::create_dir_all(folder.join("more/deep")).unwrap();
    for (name, bytes) in [
        ("empty.csv", Vec::new()),
        ("small.csv", b"text,intent\nhello,greet\n".to_vec()),
        ("large.bin", noise(5 << 20, 1)),
        ("more/same.csv", b"text,intent\nhello,greet\n".to_vec()),
        ("more/deep/\u{e9} b.bin", noise(700_000, 2)),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn snapshot_request(paths: &[&Path]) -> SnapshotRequest {
    SnapshotRequest {
        name: "support".to_owned(),
        paths: paths.iter().map(|path| path.to_path_buf()).collect(),
        stamps: None,
        actor: "ada".to_owned(),
        reason: "weekly".to_owned(),
        at: "2026-11-20T10:15:00Z".parse().unwrap(),
        clock: Utc::now(),
        dry_run: false,
    }
}

async fn take(snapshots: &Snapshots, folder: &Path) -> Taken {
    snapshots.take(&snapshot_request(&[folder]), QUIET).await.unwrap()
}

async fn resolve(snapshots: &Snapshots, reference: &str) -> Result<Snapshot, Fault> {
    let reference: SnapshotReference = reference.parse().unwrap();
    snapshots.resolve(&reference).await
}

/// Returns the files under a folder, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_owned();
                    found.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    found
}

/// Checks every operation on snapshots in a store.
async fn check_snapshots(store: &Store) {
    let snapshots = Snapshots::open(store.clone());
    assert!(snapshots.names().await.unwrap().is_empty());
    assert_eq!(resolve(&snapshots, "support").await.unwrap_err().code(), "BOT-5063");
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);

    let dry = SnapshotRequest { dry_run: true, ..snapshot_request(&[&folder]) };
    let dry = snapshots.take(&dry, QUIET).await.unwrap();
    assert!(snapshots.names().await.unwrap().is_empty(), "a dry run stores nothing");
    let first = take(&snapshots, &folder).await;
    assert_eq!((first.is_new, first.files_read), (true, 5));
    assert_eq!(dry.snapshot, first.snapshot);
    assert_eq!(dry.stored_bytes, first.stored_bytes);
    let again = take(&snapshots, &folder).await;
    assert_eq!((again.is_new, again.stored_bytes), (false, 0));
    assert_eq!(again.snapshot, first.snapshot);

    // A byte inserted in the middle costs one chunk and the manifest. A new file costs its own size.
    let mut large = fs::read(folder.join("large.bin")).unwrap();
    large.insert(2 << 20, 0);
    fs::write(folder.join("large.bin"), &large).unwrap();
    fs::write(folder.join("new.csv"), "text,intent\nbye,leave\n").unwrap();
    fs::remove_file(folder.join("empty.csv")).unwrap();
    let second = take(&snapshots, &folder).await;
    assert!(second.is_new);
    assert!(second.stored_bytes < 1_100_000, "{} bytes", second.stored_bytes);

    let names: Vec<_> = second.snapshot.manifest.files.iter().map(|f| f.path.as_str()).collect();
    let expected = ["large.bin", "more/deep/\u{e9} b.bin", "more/same.csv", "new.csv", "small.csv"];
    assert_eq!(names, expected);
    let identity = second.snapshot.digest.hex();
    for reference in ["support".to_owned(), "support@2".to_owned(), "support@latest".to_owned()]
        .into_iter()
        .chain([format!("support@sha256:{identity}"), format!("support@sha256:{}", &identity[..8])])
    {
        assert_eq!(resolve(&snapshots, &reference).await.unwrap(), second.snapshot, "{reference}");
    }
    for (reference, code) in [
        ("support@3", "BOT-5064"),
        ("support@sha256:00000000", "BOT-5064"),
        ("support@2:empty.csv", "BOT-5064"),
        ("suport@2", "BOT-5063"),
    ] {
        let fault = resolve(&snapshots, reference).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), (code, FaultKind::Usage), "{reference}");
    }

    for (number, snapshot) in [(1, &first.snapshot), (2, &second.snapshot)] {
        let out = held.path().join(format!("out-{number}"));
        let pulled = snapshots.pull(snapshot, &out, QUIET).await.unwrap();
        assert_eq!((pulled.kept_bytes, pulled.was_there), (0, false));
        for (path, bytes) in files(&out) {
            let file = snapshot.manifest.file(path.to_str().unwrap()).unwrap();
            assert_eq!(file.digest, Digest::of(&bytes), "{path:?}");
            assert_eq!(snapshots.bytes(snapshot, file).await.unwrap(), bytes);
        }
        assert_eq!(files(&out).len(), snapshot.manifest.files.len());
        assert!(snapshots.pull(snapshot, &out, QUIET).await.unwrap().was_there);
    }
    assert_eq!(files(&held.path().join("out-2")), files(&folder));

    let verification = snapshots.verify(None).await.unwrap();
    assert_eq!(verification.problems, []);
    assert_eq!((verification.data_sets, verification.entries), (1, 2));
    let mut blobs: Vec<Digest> = snapshots.blobs().await.unwrap().into_iter().collect();
    blobs.sort_unstable();
    let stored: Vec<Digest> = store.blobs().await.unwrap().into_iter().map(|(d, _)| d).collect();
    assert_eq!(blobs, stored, "nothing is stored that nothing names");
}

#[tokio::test]
async fn snapshots_work_in_memory() {
    check_snapshots(&Bench::memory().store).await;
}

#[tokio::test]
async fn snapshots_work_in_a_local_folder() {
    let folder = tempfile::tempdir().unwrap();
    check_snapshots(&Bench::local(&folder).store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_work_on_s3s_fs() {
    let server = S3Server::start();
    check_snapshots(&Bench::s3(&server.endpoint(), "team/registry").store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_work_on_moto() {
    let Some(moto) = Moto::start() else { return };
    check_snapshots(&Bench::s3(&moto.endpoint(), "team/data").store).await;
}

#[tokio::test]
async fn the_same_files_give_the_same_packs_on_any_number_of_threads() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    // Larger than one read, so that its parts are cut one after the other.
    let mut huge = noise(35 << 20, 9);
    huge[..1 << 20].fill(7);
    fs::write(folder.join("huge.bin"), &huge).unwrap();
    let mut seen = Vec::new();
    for threads in [1, 3] {
        let bench = Bench::memory();
        let snapshots = Snapshots::open(bench.store.clone());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let folder = folder.clone();
        let runtime = tokio::runtime::Handle::current();
        let taken = tokio::task::spawn_blocking(move || {
            pool.install(|| runtime.block_on(take(&snapshots, &folder)).snapshot)
        });
        let taken = taken.await.unwrap();
        let file = taken.manifest.file("huge.bin").unwrap();
        assert_eq!(file.digest, Digest::of(&huge));
        seen.push((
            taken,
            bench.store.blobs().await.unwrap().into_iter().map(|(d, _)| d).collect::<Vec<_>>(),
        ));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn unchanged_files_are_not_read_again() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    let snapshots = Snapshots::open(Bench::memory().store);
    let stamps = Some(held.path().join("stamps.json"));
    let at = |clock: DateTime<Utc>| SnapshotRequest {
        stamps: stamps.clone(),
        clock,
        ..snapshot_request(&[&folder])
    };
    let (now, later) = (Utc::now(), Utc::now() + TimeDelta::seconds(10));
    for (clock, read) in [(now, 5), (now, 5), (later, 5), (later, 0)] {
        // A file that was read within the clock tick of its last change may change unnoticed, so it is read again.
        let taken = snapshots.take(&at(clock), QUIET).await.unwrap();
        assert_eq!(taken.files_read, read, "{clock}");
    }
    // The size and the modification time are unchanged, but the change time is not.
    let path = folder.join("small.csv");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "text,intent\nhallo,greet\n").unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let taken = snapshots.take(&at(later), QUIET).await.unwrap();
    assert_eq!((taken.is_new, taken.files_read), (true, 1));
}

#[tokio::test]
async fn damage_is_reported_by_name_and_never_written_back() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    let bench = Bench::memory();
    let snapshots = Snapshots::open(bench.store.clone());
    let first = take(&snapshots, &folder).await.snapshot;
    fs::write(folder.join("new.csv"), noise(40_000, 3)).unwrap();
    let second = take(&snapshots, &folder).await.snapshot;
    let new_pack = |snapshot: &Snapshot| {
        let before: Vec<_> = first.manifest.packs.iter().map(|pack| pack.digest).collect();
        let mut packs = snapshot.manifest.packs.iter().map(|pack| pack.digest);
        packs.find(|pack| !before.contains(pack)).unwrap()
    };
    let pack = new_pack(&second);

    bench
        .alter(&blob_path(&pack), |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        })
        .await;
    let verification = snapshots.verify(Some("support")).await.unwrap();
    assert_eq!(verification.damaged, ["support@2"]);
    let [problem] = &verification.problems[..] else { panic!("{verification:?}") };
    assert_eq!(problem.code, "BOT-5005");
    let message = format!(
        "blob `{pack}` is damaged in 1 of its 1 chunks: `new.csv` of `support@2` cannot be restored"
    );
    assert_eq!(problem.message, message);
    let out = held.path().join("out");
    let fault = snapshots.pull(&second, &out, QUIET).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5005", FaultKind::Gate));
    assert!(!out.exists(), "complete or absent");
    snapshots.pull(&first, &held.path().join("first"), QUIET).await.unwrap();

    bench.remove(&blob_path(&pack)).await;
    let verification = snapshots.verify(None).await.unwrap();
    assert_eq!(verification.damaged, ["support@2"]);
    assert_eq!(verification.problems[0].code, "BOT-5004");
    assert_eq!(snapshots.pull(&second, &out, QUIET).await.unwrap_err().code(), "BOT-5004");

    let old = first.manifest.packs[0].digest;
    bench.alter(&blob_path(&old), |bytes| bytes[..bytes.len() - 20].to_vec()).await;
    let verification = snapshots.verify(None).await.unwrap();
    assert_eq!(verification.damaged, ["support@1", "support@2"]);
    let fault = snapshots.pull(&first, &out, QUIET).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-5005", "{fault}");

    bench.alter(&blob_path(&second.manifest_digest), |_| b"{}".to_vec()).await;
    let verification = snapshots.verify(None).await.unwrap();
    assert!(
        verification
            .problems
            .iter()
            .any(|problem| problem.message.starts_with("manifest of `support@2`: "))
    );
    bench.alter("datasets/support/log/00000000000000000001.json", |_| b"{}".to_vec()).await;
    let verification = snapshots.verify(None).await.unwrap();
    assert!(verification.problems.iter().any(|problem| problem.code == "BOT-5006"));
}

#[tokio::test]
async fn lost_blobs_are_written_again_by_the_next_snapshot_of_the_same_files() {
    let bench = Bench::memory();
    let snapshots = Snapshots::open(bench.store.clone());
    let data = Folder::empty();
    fill(data.path());
    let stamps = Folder::empty();
    let stamps = Some(stamps.path().join("stamps.json"));
    let request = SnapshotRequest { stamps, ..snapshot_request(&[data.path()]) };
    let first = snapshots.take(&request, QUIET).await.unwrap().snapshot;
    // A second snapshot has packs of its own, and shares those of the first.
    data.write("new.bin", noise(300_000, 9));
    let second = snapshots.take(&request, QUIET).await.unwrap().snapshot;
    assert!(second.manifest.packs.len() > first.manifest.packs.len());
    for pack in second.manifest.packs.iter().map(|pack| pack.digest).chain([second.manifest_digest])
    {
        bench.remove(&blob_path(&pack)).await;
        assert!(!snapshots.verify(None).await.unwrap().problems.is_empty());
        let dry = SnapshotRequest { dry_run: true, ..request.clone() };
        for request in [&dry, &request] {
            let taken = snapshots.take(request, QUIET).await.unwrap();
            assert_eq!((taken.restored, taken.lost, taken.is_new), (1, 0, false), "{pack}");
            assert_eq!(taken.snapshot.number, 2);
        }
        assert!(snapshots.verify(None).await.unwrap().problems.is_empty(), "{pack}");
    }
    let again = snapshots.take(&request, QUIET).await.unwrap();
    assert_eq!((again.restored, again.is_new, again.stored_bytes), (0, false, 0));
}

#[tokio::test]
async fn a_snapshot_does_not_name_a_blob_that_is_missing() {
    let bench = Bench::memory();
    let snapshots = Snapshots::open(bench.store.clone());
    let data = Folder::empty();
    data.write("a.bin", noise(900_000, 1)).write("b.bin", noise(400_000, 2));
    let first = take(&snapshots, data.path()).await.snapshot;
    // The pack of the first snapshot is lost, and the files no longer hold all of it.
    fs::remove_file(data.path().join("b.bin")).unwrap();
    data.write("c.bin", noise(100_000, 3));
    for pack in &first.manifest.packs {
        bench.remove(&blob_path(&pack.digest)).await;
    }
    let taken = take(&snapshots, data.path()).await;
    assert_eq!((taken.is_new, taken.restored, taken.lost), (true, 0, 1));
    for pack in &taken.snapshot.manifest.packs {
        assert!(bench.store.has_blob(&pack.digest).await.unwrap());
    }
    assert_eq!(resolve(&snapshots, "support@2").await.unwrap(), taken.snapshot);
    assert!(!snapshots.verify(None).await.unwrap().problems.is_empty(), "the first one is damaged");
}

#[tokio::test]
async fn a_sweep_spares_blobs_of_snapshots_and_a_snapshot_restores_swept_blobs() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    let bench = Bench::memory();
    let snapshots = Snapshots::open(bench.store.clone());
    let experiments = Experiments::open(bench.store.clone());
    let taken = take(&snapshots, &folder).await.snapshot;
    bench.store.put_blob("named by nobody".into()).await.unwrap();
    let rule = |blobs, logged| SweepRule {
        retention: Retention::Newest(0),
        runs_in_use: [].into(),
        blobs_in_use: blobs,
        logged,
        grace: TimeDelta::zero(),
        now: Utc::now(),
        clock: Utc::now() + TimeDelta::hours(1),
    };
    let logged = experiments.logged().await.unwrap();
    assert_eq!(logged.len(), 1);
    let spares = rule(snapshots.blobs().await.unwrap(), logged.clone());
    let plan = experiments.plan_sweep(&spares).await.unwrap();
    let swept = experiments.sweep(&plan, &spares, "a").await.unwrap();
    assert_eq!(swept.blobs.len(), 1);
    assert_eq!(snapshots.verify(None).await.unwrap().problems, []);

    // A sweep that listed the blobs before the snapshot was logged removes nothing after it.
    let late = rule([].into(), [].into());
    let plan = experiments.plan_sweep(&late).await.unwrap();
    assert!(!plan.blobs.is_empty());
    let swept = experiments.sweep(&plan, &late, "b").await.unwrap();
    assert_eq!(swept.blobs, []);
    assert_eq!(snapshots.verify(None).await.unwrap().problems, []);

    // If a sweep removes packs during a snapshot, they are stored again. The mark stays while the sweep runs.
    let other = Bench::memory();
    let again = Snapshots::open(other.store.clone());
    other.store.create("sweeps/c", "a sweep".into()).await.unwrap();
    let waiting = tokio::spawn({
        let (again, folder) = (again.clone(), folder.clone());
        async move { take(&again, &folder).await.snapshot }
    });
    let log = ObjectPath::parse("datasets/support/log/00000000000000000001.json").unwrap();
    while other.raw.head(&log).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (digest, _) in other.store.blobs().await.unwrap() {
        other.remove(&blob_path(&digest)).await;
    }
    other.store.remove("sweeps/c").await.unwrap();
    assert_eq!(waiting.await.unwrap(), taken);
    assert_eq!(again.verify(None).await.unwrap().problems, []);
}

#[tokio::test]
async fn concurrent_runs_take_one_snapshot() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    let snapshots = Snapshots::open(Bench::memory().store);
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (snapshots, folder) = (snapshots.clone(), folder.clone());
            tokio::spawn(async move { take(&snapshots, &folder).await })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        let taken = task.await.unwrap();
        assert_eq!(taken.snapshot.number, 1);
        new += u32::from(taken.is_new);
    }
    assert_eq!(new, 1);
    assert_eq!(snapshots.history("support").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_pull_writes_only_into_its_own_folder() {
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    let snapshots = Snapshots::open(Bench::memory().store);
    let taken = take(&snapshots, &folder).await.snapshot;
    let out = held.path().join("out");
    let staging = held.path().join(format!(".out.{}.part", taken.digest.short()));
    let outside = held.path().join("outside");
    fs::create_dir_all(&outside).unwrap();

    let refused = async |code: &str, kind: FaultKind| {
        let fault = snapshots.pull(&taken, &out, QUIET).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), (code, kind), "{fault}");
        assert!(fs::read_dir(&outside).unwrap().next().is_none());
    };
    fs::write(&out, "a file").unwrap();
    refused("BOT-5065", FaultKind::Usage).await;
    fs::remove_file(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine.txt"), "mine").unwrap();
    refused("BOT-5065", FaultKind::Usage).await;
    assert_eq!(fs::read(out.join("mine.txt")).unwrap(), b"mine");
    fs::remove_dir_all(&out).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(&outside, &out).unwrap();
        refused("BOT-5065", FaultKind::Usage).await;
        fs::remove_file(&out).unwrap();
        symlink(&outside, &staging).unwrap();
        refused("BOT-1002", FaultKind::Internal).await;
        fs::remove_file(&staging).unwrap();
        fs::create_dir(&staging).unwrap();
        symlink(&outside, staging.join("more")).unwrap();
        refused("BOT-1002", FaultKind::Internal).await;
        // Other files may have been written before the refusal, or are still being written.
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::remove_dir_all(&staging).unwrap();
        fs::create_dir(&staging).unwrap();
        symlink(outside.join("x"), staging.join("small.csv")).unwrap();
        refused("BOT-1002", FaultKind::Internal).await;
        fs::remove_file(staging.join("small.csv")).unwrap();
    }
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join("stranger"), "x").unwrap();
    refused("BOT-1002", FaultKind::Internal).await;
    fs::remove_file(staging.join("stranger")).unwrap();
    // An empty folder is accepted.
    fs::create_dir(&out).unwrap();
    snapshots.pull(&taken, &out, QUIET).await.unwrap();
    assert_eq!(files(&out), files(&folder));
    assert!(!staging.exists());
}

const SNAPSHOT: &str = "BOTOPS_TEST_SNAPSHOT_UNTIL_KILLED";
const PULL: &str = "BOTOPS_TEST_PULL_UNTIL_KILLED";

fn child(name: &str, variable: &str, value: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("data_snapshots::{name}"), "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn local(folder: &Path) -> Snapshots {
    let location = folder.join("registry");
    Snapshots::open(Store::open(location.to_str().unwrap(), &BTreeMap::new()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_snapshot_is_complete_or_absent_and_the_next_run_completes_it() {
    if let Some(folder) = std::env::var_os(SNAPSHOT) {
        let folder = PathBuf::from(folder);
        take(&local(&folder), &folder.join("data")).await;
        return;
    }
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    fs::write(folder.join("huge.bin"), noise(16 << 20, 4)).unwrap();
    let snapshots = local(held.path());
    let name = "a_killed_snapshot_is_complete_or_absent_and_the_next_run_completes_it";
    let mut killed = 0;
    for round in 0..40_u64 {
        let mut child = child(name, SNAPSHOT, held.path());
        tokio::time::sleep(Duration::from_millis(40 * round)).await;
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
        assert_eq!(snapshots.verify(None).await.unwrap().problems, [], "round {round}");
        if !snapshots.names().await.unwrap().is_empty() {
            break;
        }
    }
    assert!(killed > 1, "the first ones were killed half-way");
    let taken = take(&snapshots, &folder).await.snapshot;
    assert_eq!(taken.number, 1);
    assert_eq!(snapshots.verify(None).await.unwrap().problems, []);
    // The packs that killed runs stored are those of the last run.
    let stored = snapshots.store().blobs().await.unwrap().len();
    assert_eq!(stored, snapshots.blobs().await.unwrap().len());
    snapshots.pull(&taken, &held.path().join("out"), QUIET).await.unwrap();
    assert_eq!(files(&held.path().join("out")), files(&folder));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_pull_continues_where_it_stopped() {
    if let Some(folder) = std::env::var_os(PULL) {
        let folder = PathBuf::from(folder);
        let snapshots = local(&folder);
        let snapshot = resolve(&snapshots, "support@1").await.unwrap();
        // As slow as a bucket, so that the process is killed while it writes.
        let slow = |_: u64, _: u64| std::thread::sleep(Duration::from_millis(30));
        snapshots.pull(&snapshot, &folder.join("out"), &slow).await.unwrap();
        return;
    }
    let held = tempfile::tempdir().unwrap();
    let folder = held.path().join("data");
    fill(&folder);
    fs::write(folder.join("huge.bin"), noise(24 << 20, 4)).unwrap();
    let snapshots = local(held.path());
    let taken = take(&snapshots, &folder).await.snapshot;
    let out = held.path().join("out");
    let staging = held.path().join(format!(".out.{}.part", taken.digest.short()));
    let there =
        || if staging.exists() { files(&staging).values().map(Vec::len).sum::<usize>() } else { 0 };
    let mut before = 0;
    for round in 0..3 {
        let mut child = child("a_killed_pull_continues_where_it_stopped", PULL, held.path());
        // Waits until it wrote more than the process before it.
        while there() <= before {
            assert!(child.try_wait().unwrap().is_none(), "round {round}: it ended by itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!out.exists(), "complete or absent");
        before = there();
    }
    // Partial, wrong and too long files are not trusted.
    let small = staging.join("small.csv");
    if small.exists() {
        fs::write(&small, "text,intent\nhexxo,greet\nand more than there should be").unwrap();
    }
    let pulled = snapshots.pull(&taken, &out, QUIET).await.unwrap();
    assert!(pulled.kept_bytes > 0 && pulled.kept_bytes <= before as u64, "{pulled:?} of {before}");
    assert_eq!(files(&out), files(&folder));
    assert!(!staging.exists());
}

#[test]
fn a_second_pull_into_the_same_folder_is_refused() {
    let folder = Folder::empty();
    folder.write("data/train.csv", "text,intent\nhello,greet\n");
    assert!(
        terminal_output(&mut folder.botops(["data", "snapshot", "data"])).starts_with("exit: 0")
    );
    let snapshots = local(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let taken = runtime.block_on(resolve(&snapshots, "data@1")).unwrap();
    let staging = folder.path().join(format!(".data-1.{}.part", taken.digest.short()));
    fs::create_dir(&staging).unwrap();
    let held = fs::File::open(&staging).unwrap();
    held.lock().unwrap();
    botops_snapshot!(folder.botops(["data", "pull", "data@1"]), @r#"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error[BOT-5066]: another run is pulling into `data-1`
      --> data-1
    hint: wait for it to end, or name another folder: `--out FOLDER`
    "#);
}

#[test]
fn a_data_set_is_followed_through_its_snapshots() {
    let folder = Folder::empty();
    let rows = |rows: &[(&str, &str)]| {
        let rows: String = rows.iter().map(|(text, intent)| format!("{text},{intent}\n")).collect();
        format!("text,intent\n{rows}")
    };
    folder.write(
        "data/train.csv",
        rows(&[
            (
                "where is my parcel? it was due last week on monday and i have waited since",
                "tracking",
            ),
            ("i want my money back", "refund"),
            ("cancel my order please", "cancel"),
            ("good morning", "greet"),
        ]),
    );
    folder.write("data/notes.txt", "first").write("data/.hidden", "x");
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "--name", "support", "--dry-run"]), @r#"
    exit: 0
    ----- stdout -----
    support@1 would be 2 files, 178 B ([digest]), 857 B of them new; nothing was stored (dry run)
    hidden files skipped: 1
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["data", "log"]), @r#"
    exit: 0
    ----- stdout -----
    no data set is stored in [folder]/registry
    ----- stderr -----
    next: `botops data snapshot datasets/support`
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "--name", "support", "--reason", "first export"]), @r#"
    exit: 0
    ----- stdout -----
    support@1 is in [folder]/registry ([digest]): 2 files, 178 B; stored 857 B
    hidden files skipped: 1
    ----- stderr -----
    next: `botops data log support`
    "#);
    folder.write(
        "data/train.csv",
        rows(&[
            (
                "where is my parcel? it was due last week on tuesday and i have waited since",
                "tracking",
            ),
            ("i want my money back", "complaint"),
            ("cancel my order please", "cancel"),
            ("write to jo@example.com \u{1b}[31mnow", "contact"),
        ]),
    );
    folder.write("data/notes.txt", "second");
    botops_snapshot!(folder.botops(["data", "diff", "support@1", "data"]), @r#"
    exit: 0
    ----- stdout -----
    support@1 -> data: 4 -> 4 records
    1 unchanged, 1 added, 1 removed, 1 moved to another intent, 1 reworded

    intent     before  after  added  removed  moved in  moved out  reworded
    complaint       0      1                        +1
    contact         0      1     +1
    greet           1      0              -1
    refund          1      0                                   -1
    tracking        1      1                                             ~1

    added to contact
      + write to [email] \u{1b}[31mnow
          data/train.csv, record 4 (line 5)
    removed from greet
      - good morning
          support@1:train.csv, record 4 (line 5)
    moved from refund to complaint
        i want my money back
          data/train.csv, record 2 (line 3)
    reworded in tracking
      - where is my parcel? it was due last week on monday and i have waited since
      + where is my parcel? it was due last week on tuesday and i have waited since
          data/train.csv, record 1 (line 2)

    other files
        changed: notes.txt
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "--name", "support"]), @r#"
    exit: 0
    ----- stdout -----
    support@2 is in [folder]/registry ([digest]): 2 files, 205 B; stored 878 B
    hidden files skipped: 1
    ----- stderr -----
    next: `botops data diff support@1 support@2`
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "--name", "support"]), @r#"
    exit: 0
    ----- stdout -----
    support@2 has this content already ([digest]): 2 files, 205 B; nothing was stored
    hidden files skipped: 1
    ----- stderr -----
    next: `botops data log support`
    "#);
    botops_snapshot!(folder.botops(["data", "diff", "support@1:train.csv", "support@2:train.csv", "--samples", "0"]), @r#"
    exit: 0
    ----- stdout -----
    support@1:train.csv -> support@2:train.csv: 4 -> 4 records
    1 unchanged, 1 added, 1 removed, 1 moved to another intent, 1 reworded

    intent     before  after  added  removed  moved in  moved out  reworded
    complaint       0      1                        +1
    contact         0      1     +1
    greet           1      0              -1
    refund          1      0                                   -1
    tracking        1      1                                             ~1
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["data", "diff", "support@2", "support@latest"]), @r#"
    exit: 0
    ----- stdout -----
    support@2 -> support@2: 4 -> 4 records
    nothing changed
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["data", "log", "support"]), @r#"
    exit: 0
    ----- stdout -----
    snapshot   taken (UTC)          who     files   size  stored  identity      why
    support@1  [time]  tester      2  178 B   857 B  [digest]  first export
    support@2  [time]  tester      2  205 B   878 B  [digest]
    ----- stderr -----
    next: `botops data pull support@2`
    "#);
    botops_snapshot!(folder.botops(["data", "pull", "support@1"]), @r#"
    exit: 0
    ----- stdout -----
    support-1 is support@1: 2 files, 178 B, [digest], verified
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["data", "pull", "support@2", "--out", "support-1"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5065]: `support-1` exists and holds something else
      --> support-1
    hint: name a new folder: `--out FOLDER`
    hint: see how it differs: `botops data diff support@2 support-1`
    "#);
    botops_snapshot!(folder.botops(["data", "verify"]), @r#"
    exit: 0
    ----- stdout -----
    verified: 2 log entries and 4 chunks in 2 blobs (317 B) checked in [folder]/registry, no problems
    ----- stderr -----
    "#);
    botops_snapshot!(folder.botops(["validate", "support@1:train.csv"]), @r#"
    exit: 0
    ----- stdout -----
    support@1:train.csv: 4 records, 4 intents, 4 accepted, 0 rejected
    warning[BOT-2123] an intent has too few examples: 4
        support@1:train.csv: the intent `cancel` has 1 example: expected at least 5
        support@1:train.csv: the intent `greet` has 1 example: expected at least 5
        support@1:train.csv: the intent `refund` has 1 example: expected at least 5
        support@1:train.csv: the intent `tracking` has 1 example: expected at least 5
        help: add examples, merge it with another intent, or lower `min_examples_per_intent` in the expectations
    passed: 0 errors, 4 warnings
    ----- stderr -----
    next: `botops explain BOT-2123`
    "#);
    botops_snapshot!(folder.botops(["data", "where-used", "support@2"]), @r#"
    exit: 0
    ----- stdout -----
    no run in [folder]/experiments read support@2

    no version in [folder]/registry was made from support@2
    ----- stderr -----
    "#);
}

#[test]
fn where_used_finds_runs_and_versions_by_snapshot() {
    let folder = Folder::workspace();
    let run = |arguments: &[&str]| {
        let text = terminal_output(&mut folder.botops(arguments.iter().copied()));
        assert!(text.starts_with("exit: 0"), "{arguments:?}: {text}");
    };
    run(&["data", "snapshot", "datasets/support"]);
    run(&[
        "train",
        "support@1:utterances.csv",
        "--test",
        "support@1:holdout.csv",
        "--head",
        "complement_naive_bayes",
    ]);
    run(&["push", "model.botops", "--name", "bot"]);
    // A file that is not read from the snapshot is found by its contents.
    run(&[
        "train",
        "datasets/support/holdout.csv",
        "--head",
        "complement_naive_bayes",
        "--seed",
        "3",
    ]);
    run(&["evaluate", "model.botops", "support@1:holdout.csv"]);
    let mut command = folder.botops(["data", "where-used", "support@1", "--format", "json"]);
    let answer: serde_json::Value =
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let runs = answer["data"]["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{answer:#}");
    let mut read: Vec<String> = runs.iter().map(|run| run["read"].to_string()).collect();
    read.sort();
    let expected =
        [r#"{"test":"holdout.csv","train":"utterances.csv"}"#, r#"{"train":"holdout.csv"}"#];
    assert_eq!(read, expected);
    assert_eq!(answer["data"]["versions"][0]["version"], "bot@1");
    let mut command =
        folder.botops(["data", "where-used", "support@1:expectations.yaml", "--format", "json"]);
    let answer: serde_json::Value =
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(answer["data"]["runs"].as_array().unwrap().len(), 0);
    botops_snapshot!(folder.botops(["evaluate", "support@1"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5064]: `support@1` has 22 files, and the reference names none of them
    hint: name one of `support@1:behaviour.yaml`, `support@1:dialogue.yaml`, `support@1:expectations.yaml`, `support@1:holdout.csv`, `support@1:knowledge/en/account.md` and others
    "#);
    botops_snapshot!(folder.botops(["evaluate", "bot@1"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-1003]: `bot@1` is a model, and no data was named
    hint: name the data after it: `botops evaluate bot@1 test.csv`
    "#);
    // A sweep removes nothing that a snapshot needs, in a store that runs share with the registry.
    run(&["runs", "gc", "--keep", "0", "--grace", "0s", "--experiments", "registry"]);
    run(&["data", "verify"]);
}

#[test]
fn verbs_accept_a_snapshot_in_place_of_a_file() {
    let folder = Folder::empty();
    let things = [
        "parcel",
        "invoice",
        "password",
        "charger",
        "keyboard",
        "chair",
        "gift card",
        "warranty",
        "newsletter",
        "jacket",
        "lamp",
        "phone",
    ];
    let rows: String = things
        .map(|thing| {
            format!("where is the {thing} now,track\ni want to be paid for a {thing},refund\n")
        })
        .concat();
    let train = format!("text,intent\n{rows}");
    let traffic: String = (0..12)
        .map(|i| {
            let at = format!("2026-01-05T08:00:{i:02}Z");
            format!(r#"{{"at":"{at}","conversation_id":"c{i}","text":"track parcel {i}"}}"#) + "\n"
        })
        .collect();
    folder
        .write("data/train.csv", &train)
        .write("data/traffic.jsonl", traffic)
        .write("train.csv", &train)
        .write("labelled.csv", "id,text,intent\na1,do tell me where it is,track\n");
    let done = |args: &[&str]| {
        let output = terminal_output(&mut folder.botops(args.iter().copied()));
        assert!(output.starts_with("exit: 0"), "{args:?}: {output}");
        output
    };
    done(&["data", "snapshot", "data", "--name", "support"]);
    done(&["train", "train.csv", "--out", "intents.botops"]);

    let drift = ["drift", "support@1:train.csv", "support@1:traffic.jsonl", "--model"];
    let output = terminal_output(
        &mut folder.botops([&drift[..], &["intents.botops", "--min-rows", "13"]].concat()),
    );
    assert!(output.contains("support@1:train.csv (24 rows)"), "{output}");
    assert!(output.contains("support@1:traffic.jsonl (12 rows)"), "{output}");
    assert!(output.contains("the model was trained on the reference"), "{output}");

    // Rows read in parts from the snapshot are those of the file.
    for data in ["support@1:train.csv", "train.csv"] {
        let out = format!("{}.out.csv", data.replace([':', '@'], "-"));
        done(&["predict", "intents.botops", "--data", data, "--out", &out]);
    }
    assert_eq!(folder.read("support-1-train.csv.out.csv"), folder.read("train.csv.out.csv"));

    done(&["data", "split", "support@1:train.csv", "--out", "sides"]);
    let merge = ["data", "merge", "support@1:train.csv", "labelled.csv", "--out", "merged.csv"];
    let output = terminal_output(&mut folder.botops(merge));
    assert!(
        output.contains("support@1:train.csv: 24 records; labelled.csv: 1 utterance"),
        "{output}"
    );
    assert_eq!(folder.read("merged.csv").lines().count(), 25);
    botops_snapshot!(folder.botops(["predict", "intents.botops", "--data", "support@1:trian.csv"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5064]: `support@1` has no file `trian.csv`
    hint: name one of `support@1:traffic.jsonl`, `support@1:train.csv`
    "#);
}

#[test]
fn mistakes_with_snapshots_are_explained() {
    let folder = Folder::empty();
    folder.write("data/train.csv", "text,intent\nhello,greet\n").write("only/.hidden", "x");
    fs::create_dir(folder.path().join("empty")).unwrap();
    botops_snapshot!(folder.botops(["data", "snapshot", "nothere"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-1001]: `nothere` does not exist
      --> nothere
    hint: check the path, which is relative to the current folder
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "empty"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5062]: there is no file in `empty`
      --> empty
    hint: name a file, or a folder with files in it
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "only"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5062]: there is no file in `only`
      --> only
    hint: hidden files are skipped: name such a file itself
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "only"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5061]: a data set of several paths needs a name
    hint: name the data set: `--name support`
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data", "--name", "My Data"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5061]: `My Data` cannot be the name of a data set
    hint: use up to 64 lowercase letters, digits, `-` and `_`: `--name support`
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "data/train.csv", "data/train.csv", "--name", "x"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5062]: a file of `data/train.csv`, `data/train.csv` cannot be stored: another file has the same name, `train.csv`
      --> data/train.csv
      error[BOT-5062] data/train.csv: another file has the same name, `train.csv`
    hint: name the folder that contains both, or rename one of them
    "#);
    botops_snapshot!(folder.botops(["data", "pull", "data@1"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5063]: `[folder]/registry` has no data set `data`
    hint: nothing is stored yet: `botops data snapshot PATH --name data`
    "#);
    botops_snapshot!(folder.botops(["data", "pull", "data@one"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5060]: `data@one`: `one` is not a number from 1, `latest` or a digest
    hint: write `data@3`, `data@latest` or `data@sha256:…`
    "#);
    botops_snapshot!(folder.botops(["data", "diff", "nothere.csv", "data/train.csv"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-1001]: `nothere.csv` does not exist
      --> nothere.csv
    hint: check the path, which is relative to the current folder
    "#);
    assert!(
        terminal_output(&mut folder.botops(["data", "snapshot", "data"])).starts_with("exit: 0")
    );
    botops_snapshot!(folder.botops(["data", "log", "date"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5063]: `[folder]/registry` has no data set `date`
    hint: did you mean `data`?
    hint: list the data sets: `botops data log`
    "#);
    botops_snapshot!(folder.botops(["train", "data@2"]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5064]: `data` has no snapshot 2: its newest is 1
    hint: list the snapshots: `botops data log data`
    "#);
    botops_snapshot!(folder.botops(["data", "snapshot", "."]), @r#"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error[BOT-5061]: a data set at `.` needs a name
    hint: name the data set: `--name support`
    "#);
}

#[cfg(unix)]
#[test]
fn files_that_cannot_be_stored_are_listed_and_nothing_is_stored() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, os::unix::fs::symlink};
    let folder = Folder::empty();
    folder.write("data/train.csv", "text,intent\nhello,greet\n");
    symlink("train.csv", folder.path().join("data/a-link.csv")).unwrap();
    folder.write("data/b-line\nbreak.csv", "x");
    fs::write(folder.path().join("data").join(OsStr::from_bytes(b"c-\xff.csv")), "x").unwrap();
    let output = terminal_output(&mut folder.botops(["data", "snapshot", "data"]));
    for expected in [
        "exit: 2",
        "error[BOT-5062]: 3 files of `data` cannot be stored",
        "data/a-link.csv: it is a symbolic link",
        "data/b-line\\u{a}break.csv: its name is not valid on every system",
        "its name is not UTF-8",
    ] {
        assert!(output.contains(expected), "{expected}: {output}");
    }
    assert!(!folder.path().join("registry").exists());
    // A link that is named on the command line is followed.
    symlink("data/train.csv", folder.path().join("named.csv")).unwrap();
    assert!(
        terminal_output(&mut folder.botops(["data", "snapshot", "named.csv"]))
            .starts_with("exit: 0")
    );
}

#[tokio::test]
async fn a_file_that_changes_during_reading_is_reported() {
    let held = tempfile::tempdir().unwrap();
    let path = held.path().join("growing.csv");
    fs::write(&path, noise(33 << 20, 5)).unwrap();
    let snapshots = Snapshots::open(Bench::memory().store);
    // Progress is reported after the first part and before the second.
    let grow = |done: u64, _: u64| {
        if done == 0 {
            use std::io::Write as _;
            let mut file = fs::File::options().append(true).open(&path).unwrap();
            file.write_all(b"one more").unwrap();
        }
    };
    let fault = snapshots.take(&snapshot_request(&[&path]), &grow).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5048", FaultKind::Conflict));
    assert!(snapshots.names().await.unwrap().is_empty());
}
