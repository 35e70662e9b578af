//! Entries of both versions, and their fold.

use super::*;
use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_store::{Appended, Entry, Store};
use chrono::{DateTime, TimeDelta, Utc};

/// A rollback as a server of version 1 wrote it.
const SERVED: &str = r#"{"schema":"botops.deployment/1","at":"2026-10-01T10:00:00Z","actor":"ada","reason":"worse",
    "model":"support","primary":"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","phase":"none",
    "weight_percent":0.0,"rollout":null,"slow_bound_seconds":null}"#;

fn at(hours: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
}

fn entry(seq: u64, hours: i64, change: Change) -> Entry<Deployment> {
    let by = (Identity::new(IdentityKind::Key, "ada"), "because");
    let mut payload = Deployment::new(by, at(hours), "support", change);
    payload.writer = Some("server".to_owned());
    Entry { schema: "botops.log/1".to_owned(), seq, previous: None, payload }
}

#[test]
fn an_entry_of_version_1_is_read_and_moves_no_champion() {
    let read: Deployment = serde_json::from_str(SERVED).unwrap();
    assert!(matches!(read.change, Change::Served { primary } if primary == Digest::of(b"test")));
    assert_eq!((read.actor.as_str(), read.by.as_ref()), ("ada", None));
    let mut first = entry(1, 0, Change::Lease { identity: None, token_keys: Vec::new() });
    first.payload = read;
    assert!(Environment::of(&[first]).models().is_empty());
}

#[test]
fn an_entry_keeps_its_author_through_the_log() {
    let written = entry(1, 0, Change::Frozen { until: Some(at(5)) }).payload;
    let json = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Deployment>(&json).unwrap(), written);
    assert!(!json.contains("break_glass") && !json.contains("request"), "{json}");
}

#[tokio::test]
async fn an_entry_of_a_newer_version_is_told_from_a_damaged_one() {
    let store = Store::in_memory();
    let newer = serde_json::json!({"schema": "botops.deployment/3", "at": at(0), "actor": "a", "reason": ""});
    let log = store.log::<serde_json::Value>(&log_path("production"));
    assert!(matches!(log.append(None, newer).await.unwrap(), Appended::Written(_)));
    let fault = deployment_log(&store, "production").entries().await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5007", 6));
    assert!(fault.message().contains("botops.deployment/3"), "{fault}");
}

#[test]
fn a_freeze_ends_at_its_time_or_by_an_entry() {
    let frozen = Environment::of(&[entry(1, 0, Change::Frozen { until: Some(at(5)) })]);
    assert_eq!(frozen.freeze(at(4)).unwrap().actor, "ada");
    assert_eq!(frozen.freeze(at(5)), None);
    let entries = [entry(1, 0, Change::Frozen { until: None }), entry(2, 1, Change::Unfrozen)];
    assert!(Environment::of(&entries[..1]).freeze(at(9_999)).is_some());
    assert_eq!(Environment::of(&entries).freeze(at(1)), None);
}

#[test]
fn a_repeated_request_is_known_for_a_day() {
    let mut asked = entry(7, 0, Change::Lease { identity: None, token_keys: Vec::new() });
    let mark = RequestMark { key: Digest::of(b"key"), body: Digest::of(b"body") };
    asked.payload.request = Some(mark.clone());
    let environment = Environment::of(&[asked]);
    assert_eq!(environment.request(&mark.key, at(23)), Some((&mark, 7)));
    assert_eq!(environment.request(&mark.key, at(24)), None);
    assert_eq!(environment.request(&Digest::of(b"other"), at(1)), None);
    assert_eq!(environment.model("support").unwrap().lease.as_ref().unwrap().holder, "server");
}
