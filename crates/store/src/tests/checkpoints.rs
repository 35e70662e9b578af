//! Checkpoints: opening a log from them, and what happens if one is missing or wrong.

use super::{local, observed::Observed, quick};
use crate::{Appended, Entry, Fold, Folded, Store, contradictions};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A fold that depends on the order and the number of every entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    entries: u64,
    mixed: u64,
    newest: Vec<u64>,
}

impl Fold<u64> for Sum {
    const SCHEMA: &'static str = "botops.sum/1";

    fn apply(&mut self, entry: &Entry<u64>) {
        self.entries += 1;
        self.mixed = (self.mixed * 31 + entry.payload) % 1_000_003;
        self.newest.insert(0, entry.payload);
        self.newest.truncate(3);
    }
}

const LOG: &str = "deployments/test/log";

fn folded(store: &Store) -> Folded<u64, Sum> {
    Folded::new(store.clone(), LOG).with_interval(10)
}

fn checkpoint(seq: u64) -> String {
    format!("deployments/test/checkpoints/{seq:020}.json")
}

async fn append(log: &Folded<u64, Sum>, payload: u64) -> u64 {
    loop {
        let last = log.read().await.unwrap().last;
        if let Appended::Written(entry) = log.append(last.as_deref(), payload).await.unwrap() {
            return entry.seq;
        }
    }
}

async fn filled(store: &Store, n: u64) {
    let log = folded(store);
    for payload in 1..=n {
        append(&log, payload * payload).await;
    }
    assert_eq!(log.checkpoint_problem(), None);
}

async fn from_entry_1(store: &Store) -> Sum {
    let mut sum = Sum::default();
    store.log(LOG).entries().await.unwrap().iter().for_each(|entry| sum.apply(entry));
    sum
}

async fn problems(store: &Store) -> Vec<(&'static str, String)> {
    let entries = store.log::<u64>(LOG).entries().await.unwrap();
    let faults = contradictions::<u64, Sum>(store, LOG, &entries).await.unwrap();
    faults.iter().map(|fault| (fault.code(), fault.message().to_owned())).collect()
}

#[tokio::test]
async fn a_log_is_opened_from_its_newest_checkpoint() {
    let inner = Observed::in_memory();
    let store = Store::wrap(inner.clone(), "memory://");
    filled(&store, 34).await;
    inner.take();
    let log = folded(&store);
    let read = log.read().await.unwrap();
    let requests = inner.take();
    assert_eq!(requests[0], "LIST deployments/test/checkpoints");
    assert_eq!(requests.iter().filter(|request| request.starts_with("LIST")).count(), 1);
    let entries: Vec<&String> = requests.iter().filter(|r| r.contains("/log/")).collect();
    assert!(entries.iter().all(|r| **r >= format!("GET {LOG}/{:020}.json", 30)), "{entries:?}");
    assert_eq!(read.last.unwrap().seq, 34);
    assert_eq!(*read.state, from_entry_1(&store).await);
    assert_eq!(problems(&store).await, []);

    // Warm: one request to read, two to append, and one more for a checkpoint that is due.
    inner.take();
    for seq in 35..=40 {
        append(&log, seq).await;
        let verbs: Vec<_> = inner.take().iter().map(|r| r[..3].to_owned()).collect();
        let expected: &[&str] = if seq == 40 { &["GET", "PUT", "PUT"] } else { &["GET", "PUT"] };
        assert_eq!(verbs, expected, "entry {seq}");
    }
    assert!(store.read(&checkpoint(40)).await.unwrap().is_some());
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_used_is_reported_and_the_whole_log_is_read() {
    let sound = {
        let store = Store::in_memory();
        filled(&store, 25).await;
        store.read(&checkpoint(20)).await.unwrap().unwrap()
    };
    let text = String::from_utf8(sound.to_vec()).unwrap();
    let cases = [
        (20, text[..text.len() / 2].to_owned(), "cannot be read: ", 1),
        (20, text.replace("\"entries\":20", "\"entries\":21"), "was altered", 1),
        (20, text.replace("botops.checkpoint/1", "other/1"), "has the format `other/1`", 1),
        (20, text.replace("botops.checkpoint/1", "botops.checkpoint/2"), "has the format `bo", 1),
        (20, resealed(&text, "botops.sum/1", "botops.sum/2"), "has the format `botops.sum/2`", 0),
        (21, text.clone(), "has the number 20", 1),
        (30, resealed(&text, "\"seq\":20", "\"seq\":30"), "names entry 30, which the log does", 1),
        (21, resealed(&text, "\"seq\":20", "\"seq\":21"), "names another entry 21 than", 1),
        (20, "[]".to_owned(), "cannot be read: ", 1),
    ];
    for (seq, content, expected, n) in cases {
        let store = Store::in_memory();
        filled(&store, 25).await;
        if seq == 20 {
            store.remove(&checkpoint(20)).await.unwrap();
        }
        assert!(store.create(&checkpoint(seq), Bytes::from(content)).await.unwrap());
        let log = folded(&store);
        let read = log.read().await.unwrap();
        assert_eq!(*read.state, from_entry_1(&store).await, "{expected}");
        assert_eq!(read.state.entries, 25);
        let problem = log.checkpoint_problem().expect(expected).message;
        assert!(problem.contains(expected), "{problem}");
        assert_eq!(problems(&store).await.len(), n, "{expected}");
        append(&log, 7).await;
        assert_eq!(*folded(&store).read().await.unwrap().state, from_entry_1(&store).await);
    }
}

/// Replaces `from`, and makes the digest right again, as somebody would who knows the format.
fn resealed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from));
    let mut value: serde_json::Value = serde_json::from_str(&text.replace(from, to)).unwrap();
    value.as_object_mut().unwrap().remove("digest");
    String::from_utf8(crate::sealed::seal(&value)).unwrap()
}

#[tokio::test]
async fn verification_finds_a_forged_checkpoint_that_a_reader_believes() {
    let store = Store::in_memory();
    filled(&store, 25).await;
    let sound = store.read(&checkpoint(20)).await.unwrap().unwrap();
    let text = String::from_utf8(sound.to_vec()).unwrap();
    store.remove(&checkpoint(20)).await.unwrap();
    let forged = resealed(&text, "\"entries\":20", "\"entries\":99");
    store.create(&checkpoint(20), forged.into()).await.unwrap();
    let message = "the checkpoint of `deployments/test/log` after entry 20 is not the fold of the entries up to it";
    assert_eq!(problems(&store).await, [("BOT-5051", message.to_owned())]);
    let log = folded(&store);
    assert_eq!(log.read().await.unwrap().state.entries, 104, "a digest is no signature");
}

#[tokio::test]
async fn entries_lost_after_a_checkpoint_are_noticed() {
    for lost in [21..=21, 22..=24, 24..=24, 20..=20, 23..=37] {
        let store = Store::in_memory();
        filled(&store, 39).await;
        store.remove(&checkpoint(30)).await.unwrap();
        for seq in lost.clone() {
            store.remove(&format!("{LOG}/{seq:020}.json")).await.unwrap();
        }
        let fault = folded(&store).read().await.unwrap_err();
        assert_eq!(fault.code(), "BOT-5006", "{lost:?}: {fault}");
        let first = format!("entry {} of", lost.start());
        let several = format!("entries {} to", lost.start());
        let message = fault.message();
        assert!(message.starts_with(&first) || message.starts_with(&several), "{message}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_a_killed_writer_left_out_is_written_by_the_next_append() {
    let store = Store::in_memory();
    filled(&store, 23).await;
    for seq in [10, 20] {
        store.remove(&checkpoint(seq)).await.unwrap();
    }
    let reader = folded(&store);
    assert_eq!(reader.read().await.unwrap().state.entries, 23);
    assert_eq!(reader.checkpoint_problem(), None);
    assert!(store.read(&checkpoint(20)).await.unwrap().is_none(), "a reader writes nothing");
    append(&reader, 24).await;
    assert!(store.read(&checkpoint(20)).await.unwrap().is_some());
    assert!(store.read(&checkpoint(10)).await.unwrap().is_none());
    assert_eq!(problems(&store).await, []);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_fails_no_append() {
    let folder = tempfile::tempdir().unwrap();
    let store = local(folder.path());
    let log = folded(&store);
    // A file in the place of the folder.
    store.create("deployments/test/checkpoints", Bytes::from_static(b"x")).await.unwrap();
    for payload in 1..=12 {
        assert_eq!(append(&log, payload).await, payload);
    }
    let problem = log.checkpoint_problem().unwrap().message;
    assert!(problem.contains("cannot be written"), "{problem}");
    assert_eq!(log.read().await.unwrap().state.entries, 12);
}

/// Numbers that look random, and are the same for a seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// One writer, and the store as it sees it.
struct Writer {
    inner: Arc<Observed>,
    log: Folded<u64, Sum>,
    /// The last value that it read, which may be stale.
    last: Option<Arc<Entry<u64>>>,
}

impl Writer {
    fn over(shared: &Arc<object_store::memory::InMemory>, interval: u64) -> Self {
        let inner = Observed::over(shared.clone());
        let store = Store::wrap(inner.clone(), "memory://").with_retries(quick());
        let log = Folded::new(store, LOG).with_interval(interval);
        Self { inner, log, last: None }
    }
}

#[tokio::test]
async fn two_writers_with_lost_answers_and_crashes_always_lead_to_the_fold_from_entry_1() {
    let (mut conflicts, mut crashes, mut lost, mut stored) = (0, 0, 0, 0);
    for seed in 0..40 {
        let mut draws = Draws(seed);
        let shared = Arc::new(object_store::memory::InMemory::new());
        let store = Store::wrap(shared.clone(), "memory://");
        let interval = 1 + draws.below(7);
        let mut writers = [0, 1].map(|_| Writer::over(&shared, interval));
        for payload in 0..60 {
            let which = draws.below(2) as usize;
            let writer = &mut writers[which];
            match draws.below(8) {
                // Killed between its append and the checkpoint, and started again.
                0 => {
                    crashes += 1;
                    let entries = store.log::<u64>(LOG).entries().await.unwrap();
                    store.log::<u64>(LOG).append(entries.last(), payload).await.unwrap();
                    *writer = Writer::over(&shared, interval);
                }
                fate @ 1..=3 => {
                    let next = writer.last.as_ref().map_or(1, |last| last.seq + 1);
                    if fate == 1 {
                        lost += 1;
                        writer.inner.lose_answer_of(&format!("{LOG}/{next:020}.json"));
                    }
                    writer.inner.lose_answer_of(&checkpoint(next));
                    // By what it read earlier.
                    let last = writer.last.clone();
                    let appended = writer.log.append(last.as_deref(), payload).await.unwrap();
                    conflicts += u32::from(matches!(appended, Appended::Conflict));
                }
                4 => {
                    append(&writer.log, payload).await;
                }
                _ => {
                    let read = writer.log.read().await.unwrap();
                    assert_eq!(*read.state, from_entry_1(&store).await, "seed {seed}");
                    writer.last = read.last;
                }
            }
        }
        let expected = from_entry_1(&store).await;
        for writer in &writers {
            assert_eq!(*writer.log.read().await.unwrap().state, expected, "seed {seed}");
        }
        let fresh = Writer::over(&shared, interval);
        assert_eq!(*fresh.log.read().await.unwrap().state, expected, "seed {seed}");
        assert_eq!(fresh.log.checkpoint_problem(), None);
        assert_eq!(problems(&store).await, [], "seed {seed}");
        stored += store.objects("deployments/test/checkpoints", None).await.unwrap().len();
    }
    assert!(
        conflicts > 50 && crashes > 50 && lost > 50 && stored > 200,
        "{conflicts} {crashes} {lost} {stored}"
    );
}
