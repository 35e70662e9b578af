//! Polls of a log: their requests, and the gaps that they notice.

use super::{observed::Observed, quick};
use crate::{Appended, Entry, KnownLogs, Log, Store};
use object_store::ObjectStore as _;
use std::sync::Arc;

fn observed() -> (Store, Arc<Observed>) {
    let inner = Observed::in_memory();
    (Store::wrap(inner.clone(), "memory://"), inner)
}

fn path(seq: u64) -> String {
    format!("log/{seq:020}.json")
}

fn request(verb: &str, seq: u64) -> String {
    format!("{verb} {}", path(seq))
}

async fn append(log: &Log<u64>, last: Option<&Entry<u64>>) -> Entry<u64> {
    let payload = last.map_or(1, |last| last.seq + 1);
    match log.append(last, payload).await.unwrap() {
        Appended::Written(entry) => entry,
        Appended::Conflict => panic!("nobody else writes"),
    }
}

/// Appends the entries 1 to `n`, and returns them.
async fn filled(store: &Store, n: u64) -> Vec<Entry<u64>> {
    let log = store.log("log");
    let mut entries: Vec<Entry<u64>> = Vec::new();
    for _ in 0..n {
        entries.push(append(&log, entries.last()).await);
    }
    entries
}

#[tokio::test]
async fn a_poll_without_news_is_one_request() {
    let (store, inner) = observed();
    let log = store.log::<u64>("log");
    assert!(log.poll(None).await.unwrap().is_empty());
    assert_eq!(inner.take(), [request("GET", 1)]);
    let entries = filled(&store, 20).await;
    inner.take();
    assert!(log.entries_after(&entries[19]).await.unwrap().is_empty());
    assert_eq!(inner.take(), [request("GET", 21)]);
}

#[tokio::test]
async fn a_poll_finds_any_number_of_new_entries_and_lists_nothing() {
    let (store, inner) = observed();
    let entries = filled(&store, 60).await;
    for known in 0..60 {
        let log = store.log::<u64>("log");
        inner.take();
        let newer = log.poll(entries[..known].last()).await.unwrap();
        let seqs: Vec<u64> = newer.iter().map(|entry| entry.seq).collect();
        assert_eq!(seqs, Vec::from_iter(known as u64 + 1..=60));
        let requests = inner.take();
        assert!(requests.iter().all(|request| request.starts_with("GET")), "{requests:?}");
        // One for each, up to 16 beyond the end, and one for the link to an entry that this log did not read.
        assert!(requests.len() <= seqs.len() + 17, "{} new: {requests:?}", seqs.len());
    }
    let reader = store.log::<u64>("log");
    reader.poll(entries[..59].last()).await.unwrap();
    let log = store.log::<u64>("log");
    append(&log, entries.last()).await;
    inner.take();
    assert_eq!(reader.poll(entries.last()).await.unwrap().len(), 1);
    assert_eq!(inner.take(), [request("GET", 61), request("GET", 62)]);
}

#[tokio::test]
async fn a_warm_append_is_at_most_three_requests() {
    let (store, inner) = observed();
    let ours = KnownLogs::<u64>::new(store.clone());
    assert!(ours.entries("log").await.unwrap().is_empty());
    assert_eq!(inner.take(), ["LIST log"]);
    for seq in 1..=3 {
        let entries = ours.entries("log").await.unwrap();
        assert_eq!(entries.len() as u64, seq - 1);
        let appended = ours.append("log", entries.last(), seq).await.unwrap();
        assert!(matches!(appended, Appended::Written(_)));
        assert_eq!(inner.take(), [request("GET", seq), request("PUT", seq)]);
    }
    // Another writer is first, after the poll.
    let before = ours.entries("log").await.unwrap();
    append(&store.log("log"), before.last()).await;
    inner.take();
    let appended = ours.append("log", before.last(), 4).await.unwrap();
    assert!(matches!(appended, Appended::Conflict));
    assert_eq!(inner.take(), [request("PUT", 4), request("GET", 4)]);
    assert_eq!(ours.entries("log").await.unwrap().len(), 4);
    assert_eq!(before.len(), 3, "entries that were returned do not change");
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_not_written_twice() {
    let (store, inner) = observed();
    let store = store.with_retries(quick());
    let ours = KnownLogs::<u64>::new(store.clone());
    ours.entries("log").await.unwrap();
    inner.lose_answer_of(&path(1));
    let appended = ours.append("log", None, 1).await.unwrap();
    assert!(matches!(appended, Appended::Written(_)));
    assert_eq!(ours.entries("log").await.unwrap().len(), 1);
    assert_eq!(store.log::<u64>("log").entries().await.unwrap().len(), 1);
}

#[tokio::test]
async fn readers_of_the_same_known_log_agree() {
    let (store, _) = observed();
    let known = Arc::new(KnownLogs::<u64>::new(store.clone()));
    let mut last = None;
    for n in 1..=8_usize {
        last = Some(append(&store.log("log"), last.as_ref()).await);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let known = known.clone();
                tokio::spawn(async move { known.entries("log").await.unwrap() })
            })
            .collect();
        for reader in readers {
            let entries = reader.await.unwrap();
            assert_eq!(
                entries.iter().map(|e| e.payload).collect::<Vec<_>>(),
                Vec::from_iter(1..=n as u64)
            );
        }
    }
}

#[tokio::test]
async fn a_poll_notices_a_gap_between_entries_that_it_reads() {
    let (store, inner) = observed();
    let entries = filled(&store, 12).await;
    inner.delete_one(4).await;
    let log = store.log::<u64>("log");
    let fault = log.entries_after(&entries[0]).await.unwrap_err();
    assert_eq!((fault.code(), fault.message()), ("BOT-5006", "entry 4 of `log` is missing"));
    // Directly after the known entry, a gap is the end of the log. A full read finds it.
    assert!(log.entries_after(&entries[2]).await.unwrap().is_empty());
    for fault in [log.entries().await.unwrap_err(), log.inspect().await.unwrap().problems.remove(0)]
    {
        assert_eq!(fault.message(), "entry 4 of `log` is missing");
    }
    // A writer that polls appends into such a gap. The entry after it then contradicts that entry.
    assert!(matches!(log.append(Some(&entries[2]), 9).await.unwrap(), Appended::Written(_)));
    let fault = log.entries_after(&entries[2]).await.unwrap_err();
    assert_eq!(
        fault.message(),
        "entry 5 of `log` does not match the entry before it: one of them was altered"
    );
}

#[tokio::test]
async fn an_empty_log_is_recognized_by_its_first_entry() {
    let (store, inner) = observed();
    let log = store.log::<u64>("log");
    assert!(log.is_empty().await.unwrap());
    filled(&store, 2).await;
    inner.take();
    assert!(!log.is_empty().await.unwrap());
    assert_eq!(inner.take(), [request("GET", 1)]);
    inner.delete_one(1).await;
    assert!(!log.is_empty().await.unwrap(), "a log without its first entry is damaged, not empty");
}

impl Observed {
    async fn delete_one(&self, seq: u64) {
        use futures::{StreamExt as _, stream};
        let path = object_store::path::Path::from(path(seq));
        let deleted: Vec<_> = self.delete_stream(stream::iter([Ok(path)]).boxed()).collect().await;
        assert!(deleted.iter().all(Result::is_ok));
    }
}
