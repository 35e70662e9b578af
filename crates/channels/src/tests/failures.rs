//! Calls that fail for good, dead letters, and the 24-hour window.

use super::bench::{
    Does, Echo, Fake, counts, deliver, open, payload, setting, text_message, until, whatsapp,
};
use crate::{ChannelSet, DeadLetters, Platform, Template, TurnReply, WhatsApp};
use botops_findings::Result;
use botops_store::Store;
use bytes::Bytes;
use chrono::Utc;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const PERSON: &str = "15550100001";

fn error(code: i64) -> Does {
    Does::Refuse(400, format!("{{\"error\":{{\"code\":{code},\"message\":\"to {PERSON}\"}}}}"))
}

async fn send(set: &ChannelSet, id: &str, text: &str) {
    let now = Utc::now().timestamp();
    let response = deliver(set, &payload(&[text_message(id, PERSON, now, text)])).await;
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_a_dead_letter_that_can_be_replayed() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    fake.does(|_| error(131_026));
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    send(&set, "wamid.1", "Hello").await;
    until("it is dead", || counts(&set).dead == 1).await;
    let letters = set.dead_letters("shop").unwrap();
    let dead = letters.list().await.unwrap();
    assert_eq!((dead.len(), dead[0].attempts, dead[0].replays()), (1, 1, 0));
    assert_eq!(dead[0].reason, "the platform answers 400 with the error 131026");
    // The next messages are answered, and a second delivery of the dead one is not.
    fake.does(|_| Does::Accept);
    send(&set, "wamid.1", "Hello").await;
    send(&set, "wamid.2", "Again").await;
    fake.wait_for(1).await;
    assert_eq!(fake.texts(), ["You wrote: Again"]);
    set.start();
    letters.replay(&dead[0].id).await.unwrap();
    fake.wait_for(2).await;
    assert_eq!(fake.texts()[1], "You wrote: Hello");
    until("it is marked", || counts(&set).processed == 2).await;
    assert!(letters.list().await.unwrap().is_empty());
    for unknown in [dead[0].id.as_str(), "../log", "x"] {
        assert_eq!(letters.replay(unknown).await.unwrap_err().code(), "BOT-7503");
    }
}

#[tokio::test]
async fn a_platform_that_stays_down_makes_a_dead_letter_after_the_last_try() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    fake.does(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Does::Refuse(503, String::new())
    });
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    send(&set, "wamid.1", "Hello").await;
    until("it is dead", || counts(&set).dead == 1).await;
    assert_eq!((tries.load(Ordering::Relaxed), counts(&set).retried_sends), (8, 8));
    let dead = set.dead_letters("shop").unwrap().list().await.unwrap();
    assert_eq!(dead[0].reason, "the platform took no call in 8 tries");
}

#[tokio::test]
async fn a_part_that_was_sent_is_not_sent_again_by_a_replay() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let texts = ["One", "Two", "Three"].map(str::to_owned).to_vec();
    *bot.reply.lock().unwrap() = Some(TurnReply { texts, ..TurnReply::default() });
    fake.does(|got| if got.text() == "Two" { error(100) } else { Does::Accept });
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    set.start();
    send(&set, "wamid.1", "Hello").await;
    until("it is dead", || counts(&set).dead == 1).await;
    fake.does(|_| Does::Accept);
    let letters = set.dead_letters("shop").unwrap();
    let id = letters.list().await.unwrap().remove(0).id;
    letters.replay(&id).await.unwrap();
    fake.wait_for(3).await;
    until("it is marked", || counts(&set).processed == 1).await;
    assert_eq!(fake.texts(), ["One", "Two", "Three"]);
}

#[tokio::test]
async fn a_closed_window_sends_the_template_or_makes_a_dead_letter() {
    let template = Template {
        name: "reopen".to_owned(),
        language: "en_US".to_owned(),
        parameters: Vec::new(),
    };
    for template in [Some(template), None] {
        let (fake, store) = (Fake::start().await, Store::in_memory());
        fake.does(|got| if got.body["type"] == "text" { error(131_047) } else { Does::Accept });
        let spec = WhatsApp { template: template.clone(), ..whatsapp(&fake) };
        let set = open(&store, setting(Platform::WhatsApp(spec)), Arc::new(Echo::default()));
        send(&set, "wamid.1", "Hello").await;
        let old = text_message("wamid.2", "15550100002", Utc::now().timestamp() - 90_000, "Old");
        deliver(&set, &payload(&[old])).await;
        let done = || counts(&set).processed + counts(&set).dead == 2;
        until("both are done", done).await;
        let expected = if template.is_some() { (2, 0) } else { (0, 2) };
        assert_eq!((counts(&set).processed, counts(&set).dead), expected);
        for got in fake.taken() {
            assert_eq!(got.body["template"]["name"], "reopen");
            assert_eq!(got.body["template"]["language"]["code"], "en_US");
        }
    }
}

#[tokio::test]
async fn a_newer_or_damaged_letter_is_refused_with_its_place() -> Result<()> {
    let store = Store::in_memory();
    let letters = DeadLetters::new(store.clone(), "shop");
    let path = |n: u32| format!("channels/shop/dead/{n:032}.json");
    let newer = Bytes::from_static(b"{\"schema\":\"botops.channel-dead-letter/2\"}");
    store.create(&path(1), newer).await?;
    let fault = letters.list().await.unwrap_err();
    assert_eq!(fault.code(), "BOT-7504");
    store.remove(&path(1)).await?;
    for damaged in ["{", "{}", "{\"schema\":\"botops.channel-dead-letter/1\"}", "[]"] {
        store.create(&path(2), Bytes::from(damaged)).await?;
        let fault = letters.list().await.unwrap_err();
        assert_eq!(fault.code(), "BOT-7505", "{damaged}");
        store.remove(&path(2)).await?;
    }
    Ok(())
}
