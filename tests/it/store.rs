//! The contract of a store, on memory, a local folder, s3s-fs and moto; and writers that are killed.

use crate::servers::{self, Moto, S3Server};
use botops_digest::Digest;
use botops_findings::FaultKind;
use botops_store::{Appended, Entry, Log, Store, blob_path};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt as _, memory::InMemory, path::Path as ObjectPath};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// A store, and direct access to the same objects, for tampering.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) raw: Arc<dyn ObjectStore>,
}

impl Bench {
    pub(crate) fn memory() -> Self {
        let raw: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        Self { store: Store::wrap(raw.clone(), "memory://"), raw }
    }

    pub(crate) fn local(folder: &tempfile::TempDir) -> Self {
        let store =
            Store::open(folder.path().to_str().unwrap(), &std::collections::BTreeMap::new())
                .unwrap();
        let raw = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        Self { store, raw: Arc::new(raw) }
    }

    pub(crate) fn s3(endpoint: &str, prefix: &str) -> Self {
        let (store, raw) = servers::open(endpoint, prefix);
        Self { store, raw }
    }

    /// Changes the bytes of the object `path`.
    pub(crate) async fn alter(&self, path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = ObjectPath::parse(path).unwrap();
        let bytes = self.raw.get(&path).await.unwrap().bytes().await.unwrap();
        self.raw.put(&path, change(bytes.to_vec()).into()).await.unwrap();
    }

    /// Removes the object `path`.
    pub(crate) async fn remove(&self, path: &str) {
        self.raw.delete(&ObjectPath::parse(path).unwrap()).await.unwrap();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Note {
    writer: u32,
    n: u32,
}

fn written<T: std::fmt::Debug>(appended: Appended<T>) -> Entry<T> {
    match appended {
        Appended::Written(entry) => entry,
        Appended::Conflict => panic!("nobody else writes to this log"),
    }
}

async fn filled(log: &Log<Note>, n: u32) -> Vec<Entry<Note>> {
    let mut last = None;
    for n in 1..=n {
        let note = Note { writer: 0, n };
        last = Some(written(log.append(last.as_ref(), note).await.unwrap()));
    }
    log.entries().await.unwrap()
}

async fn check_contract(bench: &Bench) {
    blobs_are_read_back(bench).await;
    created_objects_are_not_overwritten(bench).await;
    logs_are_chained(bench).await;
    damaged_blobs_are_found(bench).await;
    damaged_logs_are_found(bench).await;
    folders_are_listed(bench).await;
    removed_objects_are_absent(bench).await;
}

async fn blobs_are_read_back(Bench { store, .. }: &Bench) {
    for bytes in [Bytes::new(), Bytes::from_static(b"model"), vec![7; 3 << 20].into()] {
        let digest = store.put_blob(bytes.clone()).await.unwrap();
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(store.put_blob(bytes.clone()).await.unwrap(), digest);
        assert_eq!(store.blob(&digest).await.unwrap(), bytes);
        assert!(store.has_blob(&digest).await.unwrap());
    }
    let absent = Digest::of(b"never stored");
    assert!(!store.has_blob(&absent).await.unwrap());
    let fault = store.blob(&absent).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5004", FaultKind::Internal));
}

async fn created_objects_are_not_overwritten(Bench { store, .. }: &Bench) {
    assert_eq!(store.read("contract/a b/é.json").await.unwrap(), None);
    assert!(store.create("contract/a b/é.json", Bytes::from_static(b"first")).await.unwrap());
    assert!(!store.create("contract/a b/é.json", Bytes::from_static(b"second")).await.unwrap());
    assert_eq!(store.read("contract/a b/é.json").await.unwrap().unwrap(), "first");
}

async fn removed_objects_are_absent(Bench { store, .. }: &Bench) {
    for (path, bytes) in [("removal/b/c", "four"), ("removal/a", "three"), ("removed", "other")] {
        assert!(store.create(path, bytes.into()).await.unwrap());
    }
    let listed = store.list("removal").await.unwrap();
    let found: Vec<(&str, u64)> =
        listed.iter().map(|stored| (stored.path.as_str(), stored.size_bytes)).collect();
    assert_eq!(found, [("removal/a", 5), ("removal/b/c", 4)]);
    let age = chrono::Utc::now() - listed[0].written_at;
    assert!(age.num_seconds().abs() < 120, "written {age} ago");

    for _ in 0..2 {
        // Removing an object that does not exist succeeds.
        store.remove("removal/b/c").await.unwrap();
        assert_eq!(store.list("removal").await.unwrap(), listed[..1]);
        assert_eq!(store.read("removal/b/c").await.unwrap(), None);
    }
    assert!(store.create("removal/b/c", Bytes::from_static(b"again")).await.unwrap());
    assert_eq!(store.read("removed").await.unwrap().unwrap(), "other");

    let digest = store.put_blob(Bytes::from_static(b"a blob to remove")).await.unwrap();
    let blobs = store.blobs().await.unwrap();
    let (_, blob) = blobs.iter().find(|(found, _)| *found == digest).unwrap();
    assert_eq!((blob.path.as_str(), blob.size_bytes), (blob_path(&digest).as_str(), 16));
    store.remove(&blob.path).await.unwrap();
    assert!(!store.has_blob(&digest).await.unwrap());
    assert_eq!(store.put_blob(Bytes::from_static(b"a blob to remove")).await.unwrap(), digest);
    assert!(store.list("nothing/here").await.unwrap().is_empty());
}

async fn logs_are_chained(Bench { store, .. }: &Bench) {
    let log = store.log::<Note>("contract/chained/log");
    assert!(log.entries().await.unwrap().is_empty() && log.is_empty().await.unwrap());
    // More entries than one page of concurrent reads, and numbers with one and two digits.
    let entries = filled(&log, 21).await;
    assert!(!log.is_empty().await.unwrap());
    assert_eq!(entries.iter().map(|e| e.payload.n).collect::<Vec<_>>(), Vec::from_iter(1..=21));
    let mut previous = None;
    for entry in &entries {
        assert_eq!(entry.previous, previous, "entry {}", entry.seq);
        let path = format!("contract/chained/log/{:020}.json", entry.seq);
        previous = Some(Digest::of(&store.read(&path).await.unwrap().unwrap()));
    }
    let late = log.append(entries.get(4), Note { writer: 1, n: 6 }).await.unwrap();
    assert!(matches!(late, Appended::Conflict));
    let early = log.append(None, Note { writer: 1, n: 1 }).await.unwrap();
    assert!(matches!(early, Appended::Conflict));
    let newer = store.log::<Note>("contract/chained/log").entries_after(&entries[18]).await;
    assert_eq!(newer.unwrap().iter().map(|e| e.seq).collect::<Vec<_>>(), [20, 21]);
}

async fn damaged_blobs_are_found(bench: &Bench) {
    let changes: [fn(Vec<u8>) -> Vec<u8>; 3] = [
        |bytes| bytes[..bytes.len() - 1].to_vec(),
        |mut bytes| {
            bytes[0] ^= 1;
            bytes
        },
        |_| Vec::new(),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let digest = bench.store.put_blob(format!("blob to damage {i}").into()).await.unwrap();
        let path = blob_path(&digest);
        bench.alter(&path, change).await;
        let fault = bench.store.blob(&digest).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5005", FaultKind::Gate), "{i}");
        assert_eq!(fault.place().file.as_deref(), Some(bench.store.object_url(&path).as_str()));
    }
}

async fn damaged_logs_are_found(bench: &Bench) {
    let object = |case: &str, seq: u64| format!("contract/damaged/{case}/log/{seq:020}.json");
    let log = |case: &str| bench.store.log::<Note>(&format!("contract/damaged/{case}/log"));
    let alter = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from));
            text.replace(from, to).into_bytes()
        }
    };
    for (case, seq) in [("first", 1), ("middle", 3), ("newest", 5)] {
        filled(&log(case), 5).await;
        bench.alter(&object(case, seq), alter("\"writer\":0", "\"writer\":9")).await;
        let fault = log(case).entries().await.unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-5006", FaultKind::Gate));
        let place = bench.store.object_url(&object(case, seq));
        assert_eq!(fault.place().file, Some(place), "{fault}");
        let inspection = log(case).inspect().await.unwrap();
        assert_eq!((inspection.entries.len(), inspection.problems.len()), (4, 1), "{case}");
    }

    filled(&log("cut"), 3).await;
    bench.alter(&object("cut", 2), |bytes| bytes[..bytes.len() / 2].to_vec()).await;
    assert_eq!(log("cut").entries().await.unwrap_err().code(), "BOT-5006");

    filled(&log("gap"), 5).await;
    bench.remove(&object("gap", 2)).await;
    bench.remove(&object("gap", 3)).await;
    let fault = log("gap").entries().await.unwrap_err();
    let message = "entries 2 to 3 of `contract/damaged/gap/log` are missing";
    assert_eq!((fault.code(), fault.message()), ("BOT-5006", message));

    filled(&log("headless"), 3).await;
    bench.remove(&object("headless", 1)).await;
    let fault = log("headless").entries().await.unwrap_err();
    assert_eq!(fault.message(), "entry 1 of `contract/damaged/headless/log` is missing");

    // An entry with a valid digest, forged by somebody who knows the format: the next entry does not match it.
    filled(&log("forged"), 3).await;
    let forged = bench.store.log::<Note>("contract/damaged/forger/log");
    filled(&forged, 1).await;
    let last = forged.entries().await.unwrap();
    let note = Note { writer: 6, n: 6 };
    written(forged.append(last.last(), note).await.unwrap());
    let bytes = bench.store.read(&object("forger", 2)).await.unwrap().unwrap();
    bench.alter(&object("forged", 2), |_| bytes.to_vec()).await;
    let fault = log("forged").entries().await.unwrap_err();
    let message = "entry 3 of `contract/damaged/forged/log` does not match the entry before it: one of them was altered";
    assert_eq!(fault.message(), message);

    // A newer format is not damage.
    filled(&log("newer"), 1).await;
    bench.alter(&object("newer", 1), alter("botops.log/1", "botops.log/2")).await;
    let fault = log("newer").entries().await.unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-5007", FaultKind::Policy));
}

async fn folders_are_listed(Bench { store, .. }: &Bench) {
    assert!(store.folders("contract/none").await.unwrap().is_empty());
    for path in ["b/log/1", "a/log/1", "a/log/2", "file"] {
        store.create(&format!("contract/folders/{path}"), Bytes::new()).await.unwrap();
    }
    assert_eq!(store.folders("contract/folders").await.unwrap(), ["a", "b"]);
}

/// 16 writers append after the same entry: one succeeds, and the others get a conflict, in every round.
async fn check_append_race(store: &Store) {
    let path = "contract/race/log";
    let mut last: Option<Entry<Note>> = None;
    for round in 1..=4 {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let (store, last) = (store.clone(), last.clone());
                tokio::spawn(async move {
                    let note = Note { writer, n: round };
                    store.log::<Note>(path).append(last.as_ref(), note).await.unwrap()
                })
            })
            .collect();
        let mut winners = Vec::new();
        for writer in writers {
            if let Appended::Written(entry) = writer.await.unwrap() {
                winners.push(entry);
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        let stored = store.log::<Note>(path).entries().await.unwrap();
        assert_eq!(stored.len(), round as usize);
        assert_eq!(stored.last().unwrap().payload, winners[0].payload);
        last = winners.pop();
    }
}

/// 8 tasks append 5 entries each, and read again after a conflict: no entry is lost or written twice.
async fn check_contended_appends(store: &Store) {
    let path = "contract/contended/log";
    let tasks: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let log = store.log::<Note>(path);
                for n in 0..5 {
                    loop {
                        let entries = log.entries().await.unwrap();
                        let note = Note { writer, n };
                        match log.append(entries.last(), note).await.unwrap() {
                            Appended::Written(_) => break,
                            Appended::Conflict => {}
                        }
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = store.log::<Note>(path).entries().await.unwrap();
    assert_eq!(entries.len(), 40);
    let notes: BTreeSet<_> = entries.into_iter().map(|entry| entry.payload).collect();
    let all = (0..8).flat_map(|writer| (0..5).map(move |n| Note { writer, n })).collect();
    assert_eq!(notes, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_the_contract() {
    let bench = Bench::memory();
    check_contract(&bench).await;
    check_append_race(&bench.store).await;
    check_contended_appends(&bench.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_local_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::local(&folder);
    check_contract(&bench).await;
    check_append_race(&bench.store).await;
    check_contended_appends(&bench.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3s_fs_keeps_the_contract() {
    let server = S3Server::start();
    let bench = Bench::s3(&server.endpoint(), "some prefix/été");
    check_contract(&bench).await;
    // The lock around writes ensures this here; moto tests it.
    check_append_race(&bench.store).await;
    check_contended_appends(&bench.store).await;

    let whole = Bench::s3(&server.endpoint(), "");
    blobs_are_read_back(&whole).await;
    assert!(whole.store.folders("").await.unwrap().contains(&"some prefix".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moto_keeps_the_contract_and_each_race_has_one_winner() {
    let Some(moto) = Moto::start() else { return };
    let bench = Bench::s3(&moto.endpoint(), "team/registry");
    check_contract(&bench).await;
    check_append_race(&bench.store).await;
    check_contended_appends(&bench.store).await;

    // The same server, with a bucket that does not exist.
    let settings = servers::settings(&moto.endpoint());
    let store = Store::open("s3://nobody-made-this/x", &settings).unwrap();
    for fault in [
        store.put_blob(Bytes::from_static(b"x")).await.unwrap_err(),
        store.folders("models").await.unwrap_err(),
        store.read("a").await.unwrap_err(),
    ] {
        assert_eq!((fault.code(), fault.kind()), ("BOT-5008", FaultKind::Usage), "{fault}");
        assert_eq!(fault.message(), "bucket `nobody-made-this` does not exist");
    }
}

const CHILD: &str = "BOTOPS_TEST_WRITE_UNTIL_KILLED";

/// The child process: writes blobs and log entries until it is killed.
async fn write_until_killed(location: &str) {
    let store = Store::open(location, &std::collections::BTreeMap::new()).unwrap();
    let log = store.log::<Digest>("log");
    let mut last = log.entries().await.unwrap().pop();
    loop {
        let seq = last.as_ref().map_or(0, |entry| entry.seq);
        // Sizes up to 4 MiB, so that some writes take long.
        let bytes = vec![seq as u8; 1 << (seq % 23)];
        let blob = [seq.to_le_bytes().as_slice(), &bytes].concat();
        let digest = store.put_blob(blob.into()).await.unwrap();
        last = Some(written(log.append(last.as_ref(), digest).await.unwrap()));
    }
}

#[tokio::test]
async fn a_killed_writer_leaves_no_partial_object() {
    if let Ok(location) = std::env::var(CHILD) {
        return write_until_killed(&location).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::local(&folder);
    let name = "store::a_killed_writer_leaves_no_partial_object";
    let mut entries = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // After the first write of this round, at an offset that differs from round to round.
        let log = bench.store.log::<Digest>("log");
        while log.entries().await.unwrap().len() == entries {
            assert!(child.try_wait().unwrap().is_none(), "the writer ended by itself");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(7 * round % 40)).await;
        // This sends SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();

        let stored = log.entries().await.unwrap();
        for entry in &stored {
            bench.store.blob(&entry.payload).await.unwrap();
        }
        assert!(stored.len() > entries, "round {round}");
        entries = stored.len();
        for object in all_objects(&bench.raw).await {
            let bytes = bench.raw.get(&object).await.unwrap().bytes().await.unwrap();
            let name = object.filename().unwrap();
            let is_named = ["log/", "probes/"].iter().any(|at| object.as_ref().starts_with(at));
            let whole = is_named || Digest::of(&bytes).hex() == name;
            assert!(whole, "round {round}: half of `{object}`");
        }
    }
}

async fn all_objects(raw: &Arc<dyn ObjectStore>) -> Vec<ObjectPath> {
    use futures::TryStreamExt as _;
    raw.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap()
}
