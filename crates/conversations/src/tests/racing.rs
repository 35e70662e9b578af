//! One conversation from several replicas at once.

use super::{conversations, in_memory, sqlite};
use crate::{Conversations, Head, Recorded, Turn, turn::tests::turn};
use serde_json::json;
use std::collections::BTreeSet;

/// The turns that are read at once.
const PAGE: u32 = 100;

/// Says `text`, as a server does: what came first is read, and the turn is made again.
pub(super) async fn say(of: &Conversations, id: &str, text: &str, message: Option<&str>) -> Turn {
    let named = of.named(id, Some("alice"));
    let mut head = of.head(&named).await.unwrap();
    loop {
        let count = head.slots()["count"].as_i64().unwrap_or(0);
        let turn = Turn {
            message_id: message.map(str::to_owned),
            slots: json!({ "count": count + 1 }),
            answer: format!("{{\"n\":{}}}", head.next()),
            ..turn(text)
        };
        match of.append(&named, &head, (&turn, false, 1_000)).await.unwrap() {
            Recorded::Written(_) => return turn,
            Recorded::Known(known) => return known.turn.unwrap(),
            Recorded::Moved(moved) => head = *moved,
        }
    }
}

pub(super) async fn all(of: &Conversations, id: &str) -> Vec<Turn> {
    let conversation = of.named(id, None).conversation;
    let mut found = Vec::new();
    // A client of a fast machine says more than one page holds.
    loop {
        let page = of.store.turns(conversation, found.len() as i64, PAGE).await.unwrap();
        let is_last = page.len() < PAGE as usize;
        for row in page {
            found.push(of.read(row).await.unwrap().turn.unwrap());
        }
        if is_last {
            return found;
        }
    }
}

/// Races a conversation from two replicas: all messages are sent twice, once to each.
pub(super) async fn race(a: &Conversations, b: &Conversations) {
    let texts: Vec<String> = (0..20).map(|i| format!("message {i}")).collect();
    let said =
        texts.iter().flat_map(|text| [a, b].map(|replica| say(replica, "raced", text, Some(text))));
    let answers = futures::future::join_all(said).await;
    for pair in answers.chunks(2) {
        assert_eq!(pair[0].answer, pair[1].answer, "the same id gets the first answer");
    }
    let turns = all(a, "raced").await;
    let distinct: BTreeSet<&str> = turns.iter().map(|turn| &*turn.text).collect();
    assert_eq!((turns.len(), distinct.len()), (20, 20), "none lost, none doubled");
    for (i, turn) in turns.iter().enumerate() {
        assert_eq!(turn.slots["count"], i as i64 + 1, "each saw the slots of the one before");
        assert_eq!(turn.answer, format!("{{\"n\":{i}}}"));
    }
}

#[tokio::test]
async fn one_conversation_raced_in_memory_has_one_order() {
    let a = in_memory();
    let b = conversations(a.store.clone(), None);
    race(&a, &b).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_conversation_raced_from_two_processes_has_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let key = super::data_key("k", 7);
    let a = conversations(sqlite(folder.path()).await, Some(&key));
    let b = conversations(sqlite(folder.path()).await, Some(&key));
    race(&a, &b).await;
}

#[tokio::test]
async fn a_message_id_gets_its_first_answer_or_a_refusal() {
    let of = in_memory();
    let first = say(&of, "c", "hello", Some("m1")).await;
    say(&of, "c", "and then", Some("m2")).await;
    assert_eq!(say(&of, "c", "hello", Some("m1")).await.answer, first.answer);
    assert_ne!(say(&of, "d", "hello", Some("m1")).await.text, "", "another conversation");
    let named = of.named("c", None);
    let head = of.head(&named).await.unwrap();
    let turn = Turn { message_id: Some("m1".to_owned()), ..turn("something else") };
    let fault = of.append(&named, &head, (&turn, false, 0)).await.unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6121", 5));
    assert!(!fault.message().contains("hello"), "the text of the first is not told");
    assert_eq!(all(&of, "c").await.len(), 2);
}

#[tokio::test]
async fn an_action_is_stored_before_and_settled_after() {
    let of = in_memory();
    let named = of.named("c", None);
    let intent = Turn { message_id: None, ..turn("return my order") };
    let head = Head::default();
    let Recorded::Written(id) = of.append(&named, &head, (&intent, true, 5)).await.unwrap() else {
        panic!("nothing came first")
    };
    assert!(of.head(&named).await.unwrap().is_open());
    let outcome = Turn { answer: "{\"label\":17}".to_owned(), ..intent };
    assert!(of.settle(&named, (0, id), (&outcome, false)).await.unwrap());
    let other = Turn { answer: "{\"label\":18}".to_owned(), ..outcome.clone() };
    assert!(!of.settle(&named, (0, id), (&other, false)).await.unwrap());
    let head = of.head(&named).await.unwrap();
    assert!(!head.is_open());
    assert_eq!((head.next(), head.at()), (1, Some(5)));
    assert_eq!(all(&of, "c").await, [outcome]);
}

#[tokio::test]
async fn a_conversation_goes_on_under_a_new_identity_key() {
    use crate::{Names, conversations::Conversations as C};
    let old = in_memory();
    let first = say(&old, "c", "hello", Some("m1")).await;
    let names = Names::new(b"a new identity key", Some(b"an identity key"));
    let new = C::new(old.store.clone(), names, None);
    assert_eq!(say(&new, "c", "hello", Some("m1")).await, first, "a retry over the rotation");
    let next = say(&new, "c", "and then", Some("m2")).await;
    assert_eq!(next.slots["count"], 2, "its slots are those of before");
    assert_eq!(all(&old, "c").await.len(), 1, "nothing is written under the key before");
    assert_eq!(all(&new, "c").await.len(), 1);
}
