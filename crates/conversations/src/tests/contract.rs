//! The contract that every store keeps.

use super::sqlite;
use crate::{
    Appended, Erased, Id, MemoryStore, Row, Summary, WrappedKey, store::ConversationStore,
};
use std::sync::Arc;

/// Two replicas of one store.
pub(super) struct Pair {
    pub(super) a: Arc<dyn ConversationStore>,
    pub(super) b: Arc<dyn ConversationStore>,
}

fn row(conversation: Id, number: i64) -> Row {
    let id = Id::random().unwrap();
    let body = format!("{{\"body\":{number}}}").into_bytes();
    let at = 1_000 + number;
    Row { conversation, number, turn: id, message: id, person: None, at, open: false, body }
}

/// Appends `n` turns to a conversation.
async fn said(store: &dyn ConversationStore, conversation: Id, n: i64) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for number in 0..n {
        let row = row(conversation, number);
        let after = rows.last().map(|row| row.turn);
        assert_eq!(store.append(&row, after).await.unwrap(), Appended::Written);
        rows.push(row);
    }
    rows
}

async fn turns_are_appended_once_and_in_order(Pair { a, b }: &Pair) {
    let conversation = Id::random().unwrap();
    assert_eq!(a.last(conversation).await.unwrap(), None);
    let first = row(conversation, 0);
    assert_eq!(a.append(&first, None).await.unwrap(), Appended::Written);
    assert_eq!(a.append(&first, None).await.unwrap(), Appended::Known(first.clone()));
    assert_eq!(b.last(conversation).await.unwrap(), Some(first.clone()));
    assert_eq!(b.of_message(first.message).await.unwrap(), Some(first.clone()));
    // Another first turn comes too late, and so does one after a turn that is not there.
    let late = row(conversation, 0);
    let moved = Appended::Moved(Some(first.clone()));
    assert_eq!(b.append(&late, None).await.unwrap(), moved);
    assert_eq!(b.append(&row(conversation, 1), Some(late.turn)).await.unwrap(), moved);
    assert_eq!(b.append(&row(conversation, 2), Some(first.turn)).await.unwrap(), moved);
    let second = row(conversation, 1);
    assert_eq!(b.append(&second, Some(first.turn)).await.unwrap(), Appended::Written);
    // A message that was answered earlier is known, wherever the conversation ends by now.
    let again = Row { turn: late.turn, ..first.clone() };
    assert_eq!(a.append(&again, Some(second.turn)).await.unwrap(), Appended::Known(first.clone()));
    let moved = Appended::Moved(Some(second.clone()));
    assert_eq!(a.append(&row(conversation, 1), Some(first.turn)).await.unwrap(), moved);
    let nowhere = Id::random().unwrap();
    let lost = a.append(&row(nowhere, 1), Some(first.turn)).await.unwrap();
    assert_eq!(lost, Appended::Moved(None));
    assert_eq!(a.turns(conversation, 0, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(a.turns(conversation, 0, 1).await.unwrap(), [first]);
    assert_eq!(a.turns(conversation, 1, 10).await.unwrap(), [second]);
    assert_eq!(a.turns(conversation, 2, 10).await.unwrap(), []);
    assert_eq!(a.turns(nowhere, 0, 10).await.unwrap(), []);
}

async fn an_open_turn_is_settled_once(Pair { a, b }: &Pair) {
    let conversation = Id::random().unwrap();
    let intent = Row { open: true, ..row(conversation, 0) };
    a.append(&intent, None).await.unwrap();
    assert!(b.last(conversation).await.unwrap().unwrap().open);
    let outcome = Row { open: false, body: b"{\"done\":1}".to_vec(), ..intent.clone() };
    let stranger = Row { turn: Id::random().unwrap(), ..outcome.clone() };
    assert!(!b.settle(&stranger).await.unwrap());
    assert!(b.settle(&outcome).await.unwrap());
    assert!(a.settle(&outcome).await.unwrap(), "the same outcome again");
    let other = Row { body: b"{\"done\":2}".to_vec(), ..outcome.clone() };
    assert!(!a.settle(&other).await.unwrap());
    assert_eq!(a.last(conversation).await.unwrap(), Some(outcome));
}

async fn conversations_are_listed_by_their_last_turn(Pair { a, b }: &Pair) {
    let person = Id::random().unwrap();
    let mut ids: Vec<Id> = (0..3).map(|_| Id::random().unwrap()).collect();
    ids.sort();
    for (i, id) in ids.iter().enumerate() {
        // Later than every other turn of these tests; the last two at the same time.
        let at = 2_000_000 + (i as i64).min(1);
        let first = Row { at: at - 5, ..row(*id, 0) };
        let second = Row { at, person: Some(person), ..row(*id, 1) };
        a.append(&first, None).await.unwrap();
        a.append(&second, Some(first.turn)).await.unwrap();
    }
    let summary = |i: usize| {
        let last = 2_000_000 + (i as i64).min(1);
        let (conversation, first) = (ids[i], last - 5);
        Summary { conversation, person: Some(person), turns: 2, first, last }
    };
    assert_eq!(b.recent(None, 2).await.unwrap(), [summary(2), summary(1)]);
    let rest = b.recent(Some((2_000_001, ids[1])), 1).await.unwrap();
    assert_eq!(rest, [summary(0)]);
    assert_eq!(b.of_person(person).await.unwrap(), ids);
    assert_eq!(b.of_person(Id::random().unwrap()).await.unwrap(), []);
    a.erase(&ids).await.unwrap();
}

fn wrapped(conversation: Id, person: Id, key_id: &str, at: i64) -> WrappedKey {
    let wrapped = format!("wrapped by {key_id} at {at}").into_bytes();
    WrappedKey { person, conversation, key_id: key_id.to_owned(), wrapped, at }
}

async fn the_first_key_of_a_person_is_kept(Pair { a, b }: &Pair) {
    let (conversation, person) = (Id::random().unwrap(), Id::random().unwrap());
    assert_eq!(a.key(conversation, person).await.unwrap(), None);
    let first = wrapped(conversation, person, "k1", 10);
    assert_eq!(a.keep_key(&first).await.unwrap(), first);
    let kept = b.keep_key(&wrapped(conversation, person, "k2", 20)).await.unwrap();
    assert_eq!(kept, WrappedKey { at: 20, ..first.clone() }, "only its time is new");
    let other = wrapped(conversation, conversation, "k2", 10);
    assert_eq!(b.keep_key(&other).await.unwrap(), other);
    assert_eq!(a.keys_not_under("k2", 10).await.unwrap(), std::slice::from_ref(&kept));
    let again = WrappedKey { key_id: "k2".to_owned(), ..kept };
    assert!(!a.replace_key(&again, "k0").await.unwrap());
    assert!(a.replace_key(&again, "k1").await.unwrap());
    assert_eq!(b.key(conversation, person).await.unwrap(), Some(again));
    assert_eq!(a.keys_not_under("k2", 10).await.unwrap(), []);
    assert_eq!(a.keys_not_under("k3", 1).await.unwrap().len(), 1);
    a.erase(&[conversation]).await.unwrap();
}

async fn what_is_erased_is_gone(Pair { a, b }: &Pair) {
    let (gone, kept) = (Id::random().unwrap(), Id::random().unwrap());
    let rows = said(&**a, gone, 3).await;
    let others = said(&**a, kept, 1).await;
    for conversation in [gone, kept] {
        a.keep_key(&wrapped(conversation, conversation, "k", 10)).await.unwrap();
    }
    let nobody = Id::random().unwrap();
    assert_eq!(b.erase(&[gone, nobody]).await.unwrap(), Erased { turns: 3, keys: 1 });
    b.scrub().await.unwrap();
    assert_eq!(a.last(gone).await.unwrap(), None);
    assert_eq!(a.of_message(rows[1].message).await.unwrap(), None);
    assert_eq!(a.key(gone, gone).await.unwrap(), None);
    assert!(a.key(kept, kept).await.unwrap().is_some());
    assert_eq!(a.turns(kept, 0, 10).await.unwrap(), others);
    // A replica that has not heard of it cannot go on, and the message is new again.
    let next = row(gone, 3);
    assert_eq!(a.append(&next, Some(rows[2].turn)).await.unwrap(), Appended::Moved(None));
    assert_eq!(a.append(&rows[0], None).await.unwrap(), Appended::Written);
    a.erase(&[gone, kept]).await.unwrap();
}

async fn old_turns_and_their_keys_expire(Pair { a, b }: &Pair) {
    let (old, going_on) = (Id::random().unwrap(), Id::random().unwrap());
    let rows = said(&**a, old, 2).await;
    let first = Row { at: -50, ..row(going_on, 0) };
    let second = row(going_on, 1);
    a.append(&first, None).await.unwrap();
    a.append(&second, Some(first.turn)).await.unwrap();
    for conversation in [old, going_on] {
        a.keep_key(&wrapped(conversation, conversation, "k", 10)).await.unwrap();
    }
    let fresh = Id::random().unwrap();
    a.keep_key(&wrapped(fresh, fresh, "k", 500)).await.unwrap();
    assert_eq!(b.expire(0, 10).await.unwrap(), 1, "the first turn of the one that goes on");
    assert_eq!(b.turns(going_on, 0, 10).await.unwrap(), std::slice::from_ref(&second));
    let third = Row { at: 3_000, ..row(going_on, 2) };
    let late = row(going_on, 0);
    assert_eq!(b.append(&late, None).await.unwrap(), Appended::Moved(Some(second.clone())));
    assert_eq!(b.append(&third, Some(second.turn)).await.unwrap(), Appended::Written);
    let mut n_expired = 0;
    while b.expire(2_500, 1).await.unwrap() == 1 {
        n_expired += 1;
    }
    assert!(n_expired >= 3, "one at a time");
    assert_eq!(a.turns(going_on, 0, 10).await.unwrap(), [third]);
    assert_eq!(a.of_message(rows[0].message).await.unwrap(), None);
    assert_eq!(b.sweep_keys(500).await.unwrap(), 1);
    assert_eq!(a.key(old, old).await.unwrap(), None);
    assert!(a.key(going_on, going_on).await.unwrap().is_some(), "it has a turn");
    assert!(a.key(fresh, fresh).await.unwrap().is_some(), "its first turn may be under way");
    a.erase(&[going_on, fresh]).await.unwrap();
}

async fn of_appends_after_one_turn_one_is_written(Pair { a, b }: &Pair) {
    let conversation = Id::random().unwrap();
    let mut after = None;
    for number in 0..10 {
        let rivals: Vec<Row> = (0..8).map(|_| row(conversation, number)).collect();
        let appends = rivals.iter().enumerate().map(|(i, row)| {
            let store = if i % 2 == 0 { a } else { b };
            store.append(row, after)
        });
        let outcomes = futures::future::join_all(appends).await;
        let written: Vec<usize> = (0..rivals.len())
            .filter(|i| *outcomes[*i].as_ref().unwrap() == Appended::Written)
            .collect();
        assert_eq!(written.len(), 1, "turn {number}");
        after = Some(rivals[written[0]].turn);
    }
    assert_eq!(a.turns(conversation, 0, 100).await.unwrap().len(), 10);
    // The same message at both at once.
    let message = Id::random().unwrap();
    let rivals: Vec<Row> = (0..2).map(|_| Row { message, ..row(conversation, 10) }).collect();
    let (one, two) = tokio::join!(a.append(&rivals[0], after), b.append(&rivals[1], after));
    let outcomes = [one.unwrap(), two.unwrap()];
    let n_written = outcomes.iter().filter(|done| **done == Appended::Written).count();
    assert_eq!(n_written, 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|done| matches!(done, Appended::Known(_))), "{outcomes:?}");
    a.erase(&[conversation]).await.unwrap();
}

/// Checks a store through two replicas of it. The store is empty before.
pub(super) async fn check(pair: &Pair) {
    old_turns_and_their_keys_expire(pair).await;
    turns_are_appended_once_and_in_order(pair).await;
    an_open_turn_is_settled_once(pair).await;
    conversations_are_listed_by_their_last_turn(pair).await;
    the_first_key_of_a_person_is_kept(pair).await;
    what_is_erased_is_gone(pair).await;
    of_appends_after_one_turn_one_is_written(pair).await;
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    let a: Arc<dyn ConversationStore> = Arc::new(MemoryStore::default());
    check(&Pair { b: Arc::clone(&a), a }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    check(&Pair { a: sqlite(folder.path()).await, b: sqlite(folder.path()).await }).await;
}
