//! Messages are sealed as conversations are, and erased with their conversation or person.

use super::bench::{
    Does, Echo, Fake, counts, deliver, names, open_sealed, pace, payload, setting, text_message,
    until, whatsapp,
};
use crate::{ChannelSet, ErasedNames, Platform, forget_messages, messages_under_other_keys};
use botops_conversations::DataKeys;
use botops_store::Store;
use chrono::Utc;
use std::sync::Arc;

const SECRET: &str = "my card is 4111";

fn keys(text: &str) -> DataKeys {
    DataKeys::parse(text).unwrap()
}

fn data_keys() -> DataKeys {
    keys(&format!("a:{}=", "A".repeat(43)))
}

fn refuses() -> Does {
    Does::Refuse(400, "{\"error\":{\"code\":131026}}".to_owned())
}

async fn send(set: &ChannelSet, id: &str, from: &str) {
    deliver(set, &payload(&[text_message(id, from, Utc::now().timestamp(), SECRET)])).await;
}

/// Returns everything that is stored, as text.
async fn stored(store: &Store) -> String {
    let mut all = String::new();
    for path in store.objects("channels", None).await.unwrap() {
        let bytes = store.read(&path).await.unwrap().unwrap();
        all.push_str(&format!("{path} {}\n", String::from_utf8_lossy(&bytes)));
    }
    all
}

fn of_person(person: &str) -> ErasedNames {
    let named = names().of("-", Some(&format!("shop:{person}")));
    ErasedNames { persons: [named.person.unwrap().to_string()].into(), ..ErasedNames::default() }
}

fn of_conversation(conversation: &str) -> ErasedNames {
    let named = names().of(&format!("shop:{conversation}"), None);
    ErasedNames { conversations: [named.conversation.to_string()].into(), ..Default::default() }
}

#[tokio::test]
async fn with_a_data_key_neither_texts_nor_persons_are_readable_in_the_store() {
    for sealed in [true, false] {
        let (fake, store) = (Fake::start().await, Store::in_memory());
        let keys = sealed.then(data_keys);
        let spec = || (setting(Platform::WhatsApp(whatsapp(&fake))), pace());
        let waits = Arc::new(Echo { hangs: true, ..Echo::default() });
        let set = open_sealed(&store, spec(), (waits as _, keys.clone()));
        send(&set, "wamid.1", "15550100001").await;
        let waiting = stored(&store).await;
        assert_eq!(waiting.contains(SECRET), !sealed, "{waiting}");
        assert_eq!(waiting.contains("15550100001"), !sealed, "{waiting}");
        drop(set);
        // Another process answers it, which cannot be sent: the dead letter is protected alike.
        fake.does(|_| refuses());
        end_claim(&store).await;
        let set = open_sealed(&store, spec(), (Arc::new(Echo::default()) as _, keys.clone()));
        set.start();
        until("it is dead", || counts(&set).dead == 1).await;
        let dead = stored(&store).await;
        assert!(dead.contains("/dead/"), "{dead}");
        assert_eq!(dead.contains(SECRET), !sealed, "{dead}");
        let other = messages_under_other_keys(&store, "b").await.unwrap();
        assert_eq!(other, u64::from(sealed));
        assert_eq!(messages_under_other_keys(&store, "a").await.unwrap(), 0);
        // A replay needs no key, and the answer has the text again.
        fake.does(|_| Does::Accept);
        let letters = set.dead_letters("shop").unwrap();
        let id = letters.list().await.unwrap().remove(0).id;
        letters.replay(&id).await.unwrap();
        fake.wait_for(1).await;
        assert_eq!(fake.texts(), [format!("You wrote: {SECRET}")]);
    }
}

/// Ends the claim of a process that is gone, which others would wait for.
async fn end_claim(store: &Store) {
    for path in store.objects("channels/shop/claims", None).await.unwrap() {
        store.remove(&path).await.unwrap();
    }
}

#[tokio::test]
async fn without_its_data_key_a_message_waits_and_is_answered_when_the_key_is_back() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let spec = || (setting(Platform::WhatsApp(whatsapp(&fake))), pace());
    let waits = Arc::new(Echo { hangs: true, ..Echo::default() });
    let set = open_sealed(&store, spec(), (waits as _, Some(data_keys())));
    send(&set, "wamid.1", "15550100001").await;
    drop(set);
    end_claim(&store).await;
    let other = keys(&format!("b:{}=", "B".repeat(42) + "A"));
    for wrong in [None, Some(other)] {
        let bot = Arc::new(Echo::default());
        let set = open_sealed(&store, spec(), (Arc::clone(&bot) as _, wrong));
        set.start();
        until("it fails", || counts(&set).store_failures > 0).await;
        assert_eq!((counts(&set).processed, counts(&set).dead), (0, 0));
        assert!(bot.requests.lock().unwrap().is_empty());
    }
    let both = keys(&format!("b:{}=,a:{}=", "B".repeat(42) + "A", "A".repeat(43)));
    let set = open_sealed(&store, spec(), (Arc::new(Echo::default()) as _, Some(both)));
    set.start();
    until("it is answered", || counts(&set).processed == 1).await;
}

#[tokio::test]
async fn a_person_or_conversation_is_erased_from_the_inbox_and_the_dead_letters() {
    for of in [of_person, of_conversation] {
        let (fake, store) = (Fake::start().await, Store::in_memory());
        let spec = || (setting(Platform::WhatsApp(whatsapp(&fake))), pace());
        fake.does(|_| refuses());
        let set = open_sealed(&store, spec(), (Arc::new(Echo::default()) as _, Some(data_keys())));
        for (id, from) in [("wamid.1", "15550100001"), ("wamid.2", "15550100002")] {
            send(&set, id, from).await;
        }
        until("both are dead", || counts(&set).dead == 2).await;
        let waits = Arc::new(Echo { hangs: true, ..Echo::default() });
        let set = open_sealed(&store, spec(), (waits as _, Some(data_keys())));
        for (id, from) in [("wamid.3", "15550100001"), ("wamid.4", "15550100002")] {
            send(&set, id, from).await;
        }
        let erased = of("15550100001");
        let before = stored(&store).await;
        let dry = forget_messages(&store, &erased, 7, true).await.unwrap();
        assert_eq!((dry.waiting, dry.dead_letters), (1, 1));
        let without_claims = |all: &str| {
            all.lines()
                .filter(|line| !line.contains("/claims/"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(without_claims(&stored(&store).await), without_claims(&before));
        assert_eq!(forget_messages(&store, &erased, 7, false).await.unwrap(), dry);
        let paths = store.objects("channels", None).await.unwrap();
        let of_kind = |kind: &str| paths.iter().filter(|path| path.contains(kind)).count();
        assert_eq!((of_kind("/inbox/"), of_kind("/dead/")), (1, 1), "the other person's stay");
        assert_eq!(forget_messages(&store, &erased, 7, false).await.unwrap().total(), 0);
        // The platform sends it again: it is not stored again.
        send(&set, "wamid.3", "15550100001").await;
        assert_eq!(counts(&set).duplicates, 1);
        assert_eq!(forget_messages(&store, &erased, 7, false).await.unwrap().total(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_erased_while_it_is_answered_makes_no_dead_letter() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let spec = (setting(Platform::WhatsApp(whatsapp(&fake))), pace());
    let (called, calls) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    fake.does(move |_| {
        called.send(()).unwrap();
        tokio::task::block_in_place(|| waits.recv().unwrap());
        refuses()
    });
    let set = open_sealed(&store, spec, (Arc::new(Echo::default()) as _, None));
    send(&set, "wamid.1", "15550100001").await;
    tokio::task::spawn_blocking(move || calls.recv().unwrap()).await.unwrap();
    let erased = forget_messages(&store, &of_person("15550100001"), 7, false).await.unwrap();
    assert_eq!(erased.waiting, 1);
    go_on.send(()).unwrap();
    until("it is done", || counts(&set).dead == 1).await;
    assert!(!stored(&store).await.contains(SECRET));
    assert!(set.dead_letters("shop").unwrap().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_that_cannot_be_read_is_reported_once_the_others_are_erased() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let spec = (setting(Platform::WhatsApp(whatsapp(&fake))), pace());
    let waits = Arc::new(Echo { hangs: true, ..Echo::default() });
    let set = open_sealed(&store, spec, (waits as _, None));
    send(&set, "wamid.1", "15550100001").await;
    let damaged = format!("channels/a/inbox/{0:032}/{0:032}.json", 0);
    store.create(&damaged, bytes::Bytes::from_static(b"{")).await.unwrap();
    let erased = of_person("15550100001");
    let fault = forget_messages(&store, &erased, 7, false).await.unwrap_err();
    assert_eq!(fault.code(), "BOT-7505");
    assert!(!stored(&store).await.contains(SECRET));
}
