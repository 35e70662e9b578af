//! A server that is killed under load: the prediction log lacks at most the group that was not yet synced.

use super::{
    http,
    server_process::{Server, folder_with_registry},
};
use botops_predictions::{Record, hours, read_segment};
use botops_store::Store;
use chrono::Utc;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The time that records gather before they are synced, in milliseconds, as `botops serve` has it.
const GROUP: i64 = 100;
/// The time that the records of other threads may be older than the newest one, in milliseconds.
const DISORDER: i64 = 50;
/// The longest time that a loaded machine needs to write and sync a group, in milliseconds.
const SYNC: i64 = 2_000;
const CLIENTS: usize = 4;

/// Returns the records in the folder of the only server.
fn local(folder: &Path) -> Vec<Record> {
    let own = folder.join(".botops/predictions/server-0");
    let mut records = Vec::new();
    for entry in fs::read_dir(own).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("date=") {
            let segment = read_segment(&fs::read(&path).unwrap(), "s").unwrap();
            assert_eq!(segment.refused, 0);
            records.extend(segment.records);
        }
    }
    records
}

async fn in_store(folder: &Path) -> Vec<Record> {
    let place = folder.join("registry");
    let store = Store::open(place.to_str().unwrap(), &BTreeMap::new()).unwrap();
    let mut records = Vec::new();
    for hour in hours(&store, "test", None, None).await.unwrap() {
        let findings = hour.records(&store, |record| records.push(record)).await.unwrap();
        assert!(findings.is_empty(), "a half group is cut before it is shipped: {findings:?}");
    }
    records
}

/// Sends messages until the server is gone. Adds the id of each answer, and the time at which it came.
async fn load(url: String, stopped: Arc<AtomicBool>, answers: Arc<Mutex<Vec<(String, i64)>>>) {
    let client = http();
    for n in 0.. {
        let text = json!({"text": format!("please parcel today {n}")});
        let Ok(answer) = client.post(&url).json(&text).send().await else { break };
        let Ok(answer) = answer.json::<Value>().await else { break };
        let id = answer["request_id"].as_str().unwrap().to_owned();
        answers.lock().unwrap().push((id, Utc::now().timestamp_millis()));
        if stopped.load(Ordering::Relaxed) {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_at_most_the_group_that_was_not_synced() {
    let folder = folder_with_registry().await;
    let server = Server::start(folder.path());
    let (answers, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let url = format!("{}/v1/chat", server.address());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(load(url.clone(), Arc::clone(&stopped), Arc::clone(&answers))))
        .collect();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let killed_at = Utc::now().timestamp_millis();
    server.signal("-KILL");
    stopped.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    drop(server);
    let answers: Vec<(String, i64)> = std::mem::take(&mut *answers.lock().unwrap());
    let before: Vec<Record> =
        local(folder.path()).into_iter().chain(in_store(folder.path()).await).collect();
    let newest = before.iter().map(|record| record.at).max().expect("some groups are synced");
    let logged: BTreeSet<&str> = before.iter().map(|record| record.request_id.as_str()).collect();
    assert_eq!(logged.len(), before.len(), "no record is there twice");
    let lost: Vec<i64> =
        answers.iter().filter(|(id, _)| !logged.contains(id.as_str())).map(|(_, at)| *at).collect();
    let oldest = lost.iter().min().copied().unwrap_or(killed_at);
    let measured = format!(
        "{} answers, {} records, {} lost; the oldest lost one was answered {} ms before the kill, the newest record is {} ms older than it",
        answers.len(),
        before.len(),
        lost.len(),
        killed_at - oldest,
        killed_at - newest,
    );
    assert!(answers.len() > 20, "{measured}");
    // Whatever was answered before the newest synced record is there: what is lost is the end, and not more than a group and the
    // time to write it.
    assert!(oldest >= newest - DISORDER, "{measured}");
    assert!(killed_at - newest <= GROUP + DISORDER + SYNC, "{measured}");

    // The next server takes over what the killed one left, and moves it to the store.
    let mut next = Server::start(folder.path());
    next.signal("-TERM");
    assert_eq!(next.end(Duration::from_secs(60)), Some(0));
    let after = in_store(folder.path()).await;
    let shipped: BTreeSet<&str> = after.iter().map(|record| record.request_id.as_str()).collect();
    assert_eq!(shipped, logged, "{measured}");
    assert_eq!(after.len(), before.len());
}
