//! Every message is processed once and answered at least once.

use super::bench::{
    Does, Echo, Fake, counts, deliver, open, open_with, payload, setting, text_message, until,
    whatsapp,
};
use crate::Platform;
use botops_store::Store;
use chrono::Utc;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Returns a number in 0..1,000 that depends on the text alone.
fn draw(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish() % 1_000
}

/// Makes the messages of a test: `conversations` with `each` messages, in the order of their times.
fn messages(conversations: usize, each: usize) -> Vec<Value> {
    let begin = Utc::now().timestamp() - 3_600;
    let mut messages = Vec::new();
    for turn in 0..each {
        for conversation in 0..conversations {
            let from = format!("1555{conversation:07}");
            let at = begin + i64::try_from(turn).unwrap();
            let text = format!("{conversation} {turn:03}");
            messages.push(text_message(&format!("wamid.{conversation}.{turn}"), &from, at, &text));
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_are_processed_once_and_answered_although_calls_and_turns_fail() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let messages = messages(500, 20);
    assert_eq!(messages.len(), 10_000);
    // One in 50 turns fails at first.
    let texts = messages.iter().map(|it| it["text"]["body"].as_str().unwrap().to_owned());
    *bot.fails.lock().unwrap() = texts.filter(|text| draw(text) < 20).collect();
    let lost = Arc::new(AtomicUsize::new(0));
    let (tries, counted) = (Mutex::new(BTreeMap::<String, u64>::new()), Arc::clone(&lost));
    fake.does(move |got| {
        let mut tries = tries.lock().unwrap();
        let n = tries.entry(got.raw.clone()).or_default();
        *n += 1;
        match draw(&format!("{} {n}", got.raw)) {
            0..30 => Does::Refuse(429, "{\"error\":{\"code\":130429}}".to_owned()),
            30..50 => Does::Refuse(503, String::new()),
            50..70 => Does::Break,
            70..100 => {
                counted.fetch_add(1, Ordering::Relaxed);
                Does::Lose
            }
            _ => Does::Accept,
        }
    });
    // No call may take too long on a busy machine: every duplicate is one that the platform makes.
    let patient = crate::ChannelPace {
        timeout: Duration::from_secs(60),
        lease: Duration::from_secs(240),
        ..super::bench::pace()
    };
    let settings = setting(Platform::WhatsApp(whatsapp(&fake)));
    let set = open_with(&store, (settings, patient), Arc::clone(&bot) as _);
    set.start();
    for (n, several) in messages.chunks(7).enumerate() {
        // The messages of a request arrive in any order, and one in 10 requests twice.
        let several: Vec<Value> = several.iter().rev().cloned().collect();
        for _ in 0..=usize::from(n % 10 == 0) {
            assert_eq!(deliver(&set, &payload(&several)).await.status, 200);
        }
    }
    until("all are processed", || counts(&set).processed >= 10_000).await;
    let counts = counts(&set);
    assert_eq!((counts.received, counts.processed, counts.dead), (10_000, 10_000, 0), "{counts:?}");
    assert!(counts.duplicates >= 1_000 && counts.failed_turns > 100, "{counts:?}");
    let made = bot.made.lock().unwrap().clone();
    assert_eq!(made.len(), 10_000);
    assert!(made.values().all(|n| *n == 1), "a message is processed once");
    let mut seen = HashSet::new();
    let answers = fake.texts();
    let duplicates = answers.iter().filter(|text| !seen.insert(text.as_str())).count();
    assert_eq!(seen.len(), 10_000, "every message is answered");
    let lost = lost.load(Ordering::Relaxed);
    assert_eq!(duplicates, lost, "an answer comes twice only where a response was lost");
    assert!(lost > 100 && counts.uncertain_sends >= lost as u64, "{lost} {counts:?}");
    assert_eq!(set.waiting(), [("shop", 0)]);
    let left = store.objects("channels/shop/inbox", None).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn the_messages_of_a_conversation_are_answered_in_the_order_of_their_times() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    let messages: Vec<Value> = messages(3, 20).into_iter().rev().collect();
    assert_eq!(deliver(&set, &payload(&messages)).await.status, 200);
    fake.wait_for(60).await;
    for conversation in 0..3 {
        let prefix = format!("You wrote: {conversation} ");
        let texts: Vec<String> =
            fake.texts().into_iter().filter(|text| text.starts_with(&prefix)).collect();
        let expected: Vec<String> = (0..20).map(|turn| format!("{prefix}{turn:03}")).collect();
        assert_eq!(texts, expected);
    }
}

#[tokio::test]
async fn another_server_answers_what_a_killed_one_left_and_nothing_twice() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let settings = || setting(Platform::WhatsApp(whatsapp(&fake)));
    let hanging = Arc::new(Echo { hangs: true, ..Echo::default() });
    let first = open(&store, settings(), hanging);
    first.start();
    let messages = messages(20, 3);
    assert_eq!(deliver(&first, &payload(&messages)).await.status, 200);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let claims = store.objects("channels/shop/claims", None).await.unwrap();
    assert_eq!(claims.len(), 20, "every conversation is claimed");
    let bot = Arc::new(Echo::default());
    let second = open(&store, settings(), Arc::clone(&bot) as _);
    second.start();
    // As long as the first server lives, it keeps its claims, longer than a lease.
    tokio::time::sleep(super::bench::pace().lease + Duration::from_millis(700)).await;
    assert!(fake.taken().is_empty() && bot.requests.lock().unwrap().is_empty());
    drop(first);
    fake.wait_for(60).await;
    until("all are marked", || counts(&second).processed == 60).await;
    assert_eq!((fake.taken().len(), counts(&second).takeovers), (60, 20));
    let claims = store.objects("channels/shop/claims", None).await.unwrap();
    assert!(claims.is_empty(), "{claims:?}");
}

#[tokio::test]
async fn two_servers_share_the_messages_and_no_answer_comes_twice() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let bot = Arc::new(Echo::default());
    let settings = || setting(Platform::WhatsApp(whatsapp(&fake)));
    let sets = [0, 1].map(|_| open(&store, settings(), Arc::clone(&bot) as _));
    sets.iter().for_each(crate::ChannelSet::start);
    for (n, message) in messages(20, 15).into_iter().enumerate() {
        let payload = payload(&[message]);
        assert_eq!(deliver(&sets[n % 2], &payload).await.status, 200);
        assert_eq!(deliver(&sets[(n + n / 2) % 2], &payload).await.status, 200);
    }
    fake.wait_for(300).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fake.texts().len(), 300);
    assert!(bot.made.lock().unwrap().values().all(|n| *n == 1));
    for set in &sets {
        set.stop(Duration::from_secs(5)).await;
    }
}
