//! Checkpoints of a deployment log: a registry opens from them, and verification compares them with the log.

use crate::{Act, Change, Deployment, Environment, Registry, RequestMark, deployment_log};
use botops_access::{Identity, IdentityKind, PolicyMode};
use botops_digest::{Digest, canonical_json};
use botops_store::{Appended, Entry, Store};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

const CHECKPOINT: &str = "deployments/production/checkpoints/00000000000000001000.json";

fn at(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn deployment(minutes: i64, change: Change) -> Deployment {
    let by = (Identity::new(IdentityKind::Key, "ada"), "because");
    let mut payload = Deployment::new(by, at(minutes), "support", change);
    payload.writer = Some("server".to_owned());
    payload
}

/// Returns a store with `n` entries in the deployment log, and no checkpoint.
async fn filled(n: i64) -> (Store, Vec<Entry<Deployment>>) {
    let store = Store::in_memory();
    let log = deployment_log(&store, "production");
    let mut entries: Vec<Entry<Deployment>> = Vec::new();
    for minute in 0..n {
        let payload = deployment(minute, Change::Frozen { until: Some(at(minute + 60)) });
        match log.append(entries.last(), payload).await.unwrap() {
            Appended::Written(entry) => entries.push(entry),
            Appended::Conflict => panic!("nobody else writes"),
        }
    }
    (store, entries)
}

async fn problems(store: &Store) -> Vec<String> {
    let verified = Registry::open(store.clone()).verify(None).await.unwrap();
    verified.problems.iter().map(|found| format!("{} {}", found.code, found.message)).collect()
}

async fn replace(store: &Store, change: impl Fn(&mut Value)) {
    let bytes = store.read(CHECKPOINT).await.unwrap().unwrap();
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    value.as_object_mut().unwrap().remove("digest");
    let body = canonical_json(&value);
    let head = format!("{{\"digest\":\"{}\",", Digest::of(&body)).into_bytes();
    store.remove(CHECKPOINT).await.unwrap();
    store.create(CHECKPOINT, [&head, &body[1..]].concat().into()).await.unwrap();
}

#[tokio::test]
async fn a_registry_opens_a_deployment_log_from_its_checkpoint() {
    let (store, _) = filled(1_004).await;
    let writer = Registry::open(store.clone());
    writer.unfreeze(&Act::claimed("ada", "done", at(1_004))).await.unwrap();
    assert!(store.read(CHECKPOINT).await.unwrap().is_some());
    let entries = deployment_log(&store, "production").entries().await.unwrap();
    // An entry before the checkpoint is not read any more, so its loss is not noticed.
    let lost = "deployments/production/log/00000000000000000500.json";
    let bytes = store.read(lost).await.unwrap().unwrap();
    store.remove(lost).await.unwrap();
    let opened = Registry::open(store.clone());
    assert_eq!(*opened.environment().await.unwrap(), Environment::of(&entries));
    assert_eq!(opened.checkpoint_problem(), None);
    let found = problems(&store).await;
    assert_eq!(found, ["BOT-5006 entry 500 of `deployments/production/log` is missing"]);
    store.create(lost, bytes).await.unwrap();
    assert_eq!(problems(&store).await, [""; 0]);
}

#[tokio::test]
async fn verification_reports_a_checkpoint_that_is_not_the_fold() {
    let (store, _) = filled(1_000).await;
    let writer = Registry::open(store.clone());
    writer.unfreeze(&Act::claimed("ada", "done", at(1_000))).await.unwrap();
    let entries = deployment_log(&store, "production").entries().await.unwrap();
    replace(&store, |value| value["state"]["freeze"]["actor"] = json!("eve")).await;
    let forged = "BOT-5051 the checkpoint of `deployments/production/log` after entry 1000 is not the fold of the entries up to it";
    assert_eq!(problems(&store).await, [forged]);

    // A damaged one is reported by the program that finds it, and by verification.
    store.remove(CHECKPOINT).await.unwrap();
    store.create(CHECKPOINT, Bytes::from_static(b"{\"half")).await.unwrap();
    let reader = Registry::open(store.clone());
    assert_eq!(*reader.environment().await.unwrap(), Environment::of(&entries));
    let problem = reader.checkpoint_problem().unwrap();
    assert!(
        problem.code == "BOT-5050" && problem.message.contains("cannot be read"),
        "{problem:?}"
    );
    assert_eq!(problems(&store).await.len(), 1);
}

/// Two programs with the same `Fold::SCHEMA` use the checkpoints of each other. If this test fails because a member was
/// added whose default is right for older entries, change the expectation. If older entries lead to another state than
/// before, give `Fold::SCHEMA` of `Environment` the next version, too.
#[test]
fn the_fold_of_known_entries_does_not_change_without_a_new_version() {
    let (manifest, gate) = (Digest::of(b"manifest"), Digest::of(b"gate"));
    let moved = json!({"from": null, "to": manifest, "evidence": gate});
    let mut asked = deployment(3, Change::Lease { identity: None, token_keys: Vec::new() });
    asked.request = Some(RequestMark { key: Digest::of(b"key"), body: Digest::of(b"body") });
    let digest = Digest::of(b"policy");
    let payloads = [
        deployment(1, Change::Frozen { until: None }),
        deployment(2, Change::Policy { digest, mode: PolicyMode::Warn }),
        asked,
        deployment(4, Change::Champion(serde_json::from_value(moved.clone()).unwrap())),
    ];
    let entries: Vec<_> = (1..)
        .zip(payloads)
        .map(|(seq, payload)| Entry {
            schema: "botops.log/1".to_owned(),
            seq,
            previous: None,
            payload,
        })
        .collect();
    let environment = Environment::of(&entries);
    let folded = serde_json::to_value(&environment).unwrap();
    let by = json!({"kind": "key", "name": "ada"});
    let lease = json!({"holder": "server", "seq": 3, "at": at(3), "admin": null, "identity": null});
    let reign = json!({"seq": 4, "at": at(4), "actor": "ada", "reason": "because", "moved": moved});
    let support = json!({
        "reigns": [reign], "step": null, "step_seq": 0, "decisions": [], "lease": lease,
    });
    let mark = json!({"key": Digest::of(b"key"), "body": Digest::of(b"body")});
    let expected = json!({
        "models": {"support": support},
        "freeze": {"until": null, "actor": "ada", "by": by, "reason": "because", "at": at(1)},
        "policy": {"digest": digest, "mode": "warn", "actor": "ada", "at": at(2)},
        "requests": [{"mark": mark, "seq": 3, "at": at(3)}],
    });
    assert_eq!(folded, expected);
    assert_eq!(serde_json::from_value::<Environment>(folded).unwrap(), environment);
}
