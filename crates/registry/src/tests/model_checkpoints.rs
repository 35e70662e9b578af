//! Checkpoints of a model's log: a registry opens from them, and verification compares them with the log.

use super::*;
use crate::state::State;
use botops_store::Entry;
use bytes::Bytes;
use serde_json::{Value, json};

const CHECKPOINT: &str = "models/support/checkpoints/00000000000000001000.json";

fn event(action: Action) -> Event {
    Event { at: DateTime::UNIX_EPOCH, actor: "ada".to_owned(), reason: "a test".to_owned(), action }
}

/// Returns a registry whose model has a version and `n` entries, the last ones moves of a free alias, and no checkpoint.
async fn filled(n: u64) -> (Store, Vec<Entry<Event>>) {
    let (store, _, versions) = bench().await;
    let log = store.log::<Event>("models/support/log");
    let mut entries = log.entries().await.unwrap();
    let mut at = None;
    while (entries.len() as u64) < n {
        let to = versions[entries.len() % 2].manifest_digest;
        let moved = Action::AliasMoved { alias: "beta".to_owned(), from: at, to, evidence: None };
        match log.append(entries.last(), event(moved)).await.unwrap() {
            Appended::Written(entry) => entries.push(entry),
            Appended::Conflict => panic!("nobody else writes"),
        }
        at = Some(to);
    }
    (store, entries)
}

async fn problems(store: &Store) -> Vec<String> {
    let verified = Registry::open(store.clone()).verify(None).await.unwrap();
    // The files and the gates of these versions are of no interest here.
    let logs = verified.problems.iter().filter(|found| found.code.starts_with("BOT-50"));
    logs.map(|found| format!("{} {}", found.code, found.message)).collect()
}

#[tokio::test]
async fn a_registry_opens_a_models_log_from_its_checkpoint() {
    let (store, _) = filled(1_002).await;
    let writer = Registry::open(store.clone());
    let third = writer.resolve(&"support@3".parse().unwrap()).await.unwrap();
    writer.move_alias("gamma", &third, None, &act("ben")).await.unwrap();
    let bytes = store.read(CHECKPOINT).await.unwrap().unwrap();
    let checkpoint: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(checkpoint["fold"], "botops.model_log/1");

    // An entry before the checkpoint is not read any more, so its loss is not noticed by a reader.
    let lost = "models/support/log/00000000000000000500.json";
    let entry = store.read(lost).await.unwrap().unwrap();
    store.remove(lost).await.unwrap();
    let opened = Registry::open(store.clone());
    assert_eq!(opened.resolve(&"support@gamma".parse().unwrap()).await.unwrap(), third_now(&third));
    let found = problems(&store).await;
    assert_eq!(found, ["BOT-5006 entry 500 of `models/support/log` is missing"]);
    store.create(lost, entry).await.unwrap();
    assert_eq!(problems(&store).await, [""; 0]);
    let all = store.log::<Event>("models/support/log").entries().await.unwrap();
    assert_eq!(*opened.state("support").await.unwrap().unwrap(), State::of(&all));
    // The folder of the checkpoints is no model.
    assert_eq!(opened.models().await.unwrap(), ["support"]);
}

/// Returns `third` with the alias that it got.
fn third_now(third: &Version) -> Version {
    Version { aliases: vec!["gamma".to_owned()], ..third.clone() }
}

#[tokio::test]
async fn a_checkpoint_of_a_model_that_is_damaged_or_false_is_reported_and_a_damaged_one_is_not_used()
 {
    let (store, entries) = filled(1_000).await;
    let writer = Registry::open(store.clone());
    let first = writer.resolve(&"support@1".parse().unwrap()).await.unwrap();
    writer.move_alias("gamma", &first, None, &act("ben")).await.unwrap();
    let bytes = store.read(CHECKPOINT).await.unwrap().unwrap();
    let mut value: Value = serde_json::from_slice(&bytes).unwrap();
    value["state"]["versions"][0]["actor"] = json!("eve");
    value.as_object_mut().unwrap().remove("digest");
    let body = canonical_json(&value);
    let head = format!("{{\"digest\":\"{}\",", Digest::of(&body)).into_bytes();
    store.remove(CHECKPOINT).await.unwrap();
    store.create(CHECKPOINT, [&head, &body[1..]].concat().into()).await.unwrap();
    let forged = "BOT-5051 the checkpoint of `models/support/log` after entry 1000 is not the fold of the entries up to it";
    assert_eq!(problems(&store).await, [forged]);

    store.remove(CHECKPOINT).await.unwrap();
    store.create(CHECKPOINT, Bytes::from_static(b"{\"half")).await.unwrap();
    let reader = Registry::open(store.clone());
    let state = reader.state("support").await.unwrap().unwrap();
    assert_eq!(state.versions, State::of(&entries).versions);
    let found = problems(&store).await;
    assert!(found.len() == 1 && found[0].starts_with("BOT-5050"), "{found:?}");
}

/// As `the_fold_of_known_entries_does_not_change_without_a_new_version` of the deployment log: if this test fails because a
/// member was added whose default is right for older entries, change the expectation; else give `Fold::SCHEMA` of `State`
/// the next version, too.
#[test]
fn the_fold_of_known_events_does_not_change_without_a_new_version() {
    let (one, two, gate) = (Digest::of(b"one"), Digest::of(b"two"), Digest::of(b"gate"));
    let alias = |name: &str| name.to_owned();
    let actions = [
        Action::Registered { manifest: one },
        Action::Registered { manifest: two },
        Action::AliasMoved { alias: alias("champion"), from: None, to: one, evidence: Some(gate) },
        Action::AliasMoved { alias: alias("beta"), from: None, to: two, evidence: None },
        Action::AliasRemoved { alias: alias("beta"), from: two },
        Action::Yanked { manifest: two },
        Action::Deprecated { manifest: one },
        Action::Undeprecated { manifest: one },
    ];
    let entries: Vec<_> = (1..)
        .zip(actions)
        .map(|(seq, action)| Entry {
            schema: "botops.log/1".to_owned(),
            seq,
            previous: None,
            payload: event(action),
        })
        .collect();
    let state = State::of(&entries);
    let folded = serde_json::to_value(&state).unwrap();
    let by = json!({"at": DateTime::UNIX_EPOCH, "actor": "ada", "reason": "a test"});
    let with = |more: Value| {
        let mut all = by.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let version =
        |manifest| json!({"manifest": manifest, "at": DateTime::UNIX_EPOCH, "actor": "ada"});
    let expected = json!({
        "versions": [version(one), version(two)],
        "aliases": {"beta": with(json!({"to": null})), "champion": with(json!({"to": one}))},
        "champion_moves": [with(json!({"to": one, "evidence": gate}))],
        "marks": {one.to_string(): {}, two.to_string(): {"yanked": by}},
    });
    assert_eq!(folded, expected);
    assert_eq!(serde_json::from_value::<State>(folded).unwrap(), state);
}
