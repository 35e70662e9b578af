//! Erasure by conversation and person, its log, and retention.

use super::{
    conversations, data_key, in_memory,
    racing::{all, say},
    sqlite,
};
use crate::{Conversations, ErasureAct, Names, Subject};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

fn act() -> ErasureAct<'static> {
    ErasureAct { by: "ada", reason: "she asked for it", at: DateTime::<Utc>::UNIX_EPOCH }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_forgotten_and_the_log_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let of = conversations(sqlite(folder.path()).await, Some(&data_key("k", 7)));
    let log = Store::in_memory();
    // `say` speaks as alice.
    say(&of, "first talk", "my order", None).await;
    say(&of, "second talk", "my refund", None).await;
    let found = of.find(Subject::Person, "alice").await.unwrap();
    assert_eq!((found.conversations.len(), found.turns()), (2, 2));
    assert_eq!(of.find(Subject::Person, "bob").await.unwrap().turns(), 0);
    let erased = of.forget(&log, (Subject::Person, &found), act()).await.unwrap();
    assert_eq!((erased.turns, erased.keys), (2, 2));
    assert_eq!(all(&of, "first talk").await, []);
    assert_eq!(of.find(Subject::Person, "alice").await.unwrap().turns(), 0);
    let entries = Conversations::erasures(&log).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.done).collect::<Vec<_>>(), [false, true]);
    assert_eq!(entries[0].id, entries[1].id);
    assert_eq!((entries[1].turns, entries[1].keys, entries[1].n_conversations), (2, 2, 2));
    let written = serde_json::to_string(&entries).unwrap();
    // No text of these can be a part of a name, which is hexadecimal.
    for text in ["alice", "talk", "order"] {
        assert!(!written.contains(text), "{written}");
    }
}

#[tokio::test]
async fn what_was_stored_under_the_identity_key_before_is_found_and_forgotten() {
    let old = in_memory();
    say(&old, "c", "hello", None).await;
    let names = Names::new(b"a new identity key", Some(b"an identity key"));
    let new = Conversations::new(old.store.clone(), names, None);
    say(&new, "c", "and then", None).await;
    let found = new.find(Subject::Conversation, "c").await.unwrap();
    assert_eq!((found.conversations.len(), found.turns()), (2, 2));
    assert_eq!(new.find(Subject::Person, "alice").await.unwrap().turns(), 2);
    let name = found.conversations[0].conversation.to_string();
    let listed = new.find(Subject::Conversation, &name).await.unwrap();
    assert_eq!(listed.turns(), 1, "by the name that a list shows");
    let log = Store::in_memory();
    new.forget(&log, (Subject::Conversation, &found), act()).await.unwrap();
    assert_eq!(all(&old, "c").await, []);
    assert_eq!(all(&new, "c").await, []);
}

#[tokio::test]
async fn what_is_older_than_the_retention_is_erased() {
    let of = in_memory();
    // `say` speaks one second after 1970.
    for i in 0..1_200 {
        say(&of, &format!("c{}", i % 7), &format!("message {i}"), None).await;
    }
    let day = Duration::from_secs(86_400);
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(30);
    assert_eq!(of.expire(now, 30 * day).await.unwrap().turns, 0);
    let later = now + TimeDelta::seconds(2);
    assert_eq!(of.expire(later, 30 * day).await.unwrap().turns, 1_200);
    assert_eq!(of.expire(later, 30 * day).await.unwrap().turns, 0);
    assert_eq!(say(&of, "c1", "again", None).await.slots["count"], 1, "it begins anew");
}
