//! Requests that are refused, and those that are answered without a message.

use super::bench::{
    Echo, Fake, counts, deliver, open, payload, post, setting, text_message, whatsapp,
};
use crate::{ChannelSet, Platform, ReceivedRequest};
use botops_store::Store;
use chrono::Utc;
use serde_json::json;
use std::sync::Arc;

async fn set(fake: &Fake, store: &Store) -> ChannelSet {
    open(store, setting(Platform::WhatsApp(whatsapp(fake))), Arc::new(Echo::default()))
}

async fn get(set: &ChannelSet, query: &str) -> (u16, String) {
    let request =
        ReceivedRequest { method: "GET", query, headers: &[], body: b"", now: Utc::now() };
    let response = set.receive("shop", &request).await;
    (response.status, response.body)
}

#[tokio::test]
async fn the_challenge_is_answered_to_the_right_token_only() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = set(&fake, &store).await;
    let right = "hub.mode=subscribe&hub.verify_token=a-verify-token&hub.challenge=1158201444";
    assert_eq!(get(&set, right).await, (200, "1158201444".to_owned()));
    for (query, status) in [
        ("", 403),
        ("hub.mode=subscribe&hub.verify_token=a-verify-toke&hub.challenge=1", 403),
        ("hub.mode=unsubscribe&hub.verify_token=a-verify-token&hub.challenge=1", 403),
        ("hub.mode=subscribe&hub.verify_token=a-verify-token&hub.challenge=%3Cscript%3E", 400),
    ] {
        let (found, body) = get(&set, query).await;
        assert_eq!(found, status, "{query}");
        assert!(!body.contains("script") && !body.contains("a-verify-token"), "{body}");
    }
    assert_eq!(counts(&set).bad_signatures, 3);
}

#[tokio::test]
async fn a_request_that_is_unsigned_changed_or_too_large_stores_nothing() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = set(&fake, &store).await;
    let now = Utc::now().timestamp();
    let body = payload(&[text_message("wamid.1", "15550100001", now, "Hello")]).to_string();
    let digits = botops_digest::hmac_sha256(super::bench::APP_SECRET.as_bytes(), body.as_bytes());
    let signed = |value: String| [("x-hub-signature-256".to_owned(), value)];
    let right = format!("sha256={}", digits.hex());
    assert_eq!(post(&set, &[], body.as_bytes()).await.status, 401);
    for bad in ["", "sha256=", &right[..right.len() - 1], &right.replace("sha256", "sha1")] {
        let response = post(&set, &signed(bad.to_owned()), body.as_bytes()).await;
        assert_eq!((response.status, response.retry_after), (401, None), "{bad}");
    }
    let changed = body.replace("Hello", "Hallo");
    assert_eq!(post(&set, &signed(right.clone()), changed.as_bytes()).await.status, 401);
    let large = vec![b' '; 10 << 20];
    assert_eq!(post(&set, &signed(right.clone()), &large).await.status, 413);
    let paths = store.objects("channels", None).await.unwrap();
    assert!(paths.is_empty(), "{paths:?}");
    assert_eq!(post(&set, &signed(right), body.as_bytes()).await.status, 200);
    fake.wait_for(1).await;
    assert_eq!(counts(&set).bad_signatures, 6);
}

#[tokio::test]
async fn a_signed_body_that_is_no_payload_is_refused_and_another_number_is_passed_over() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = set(&fake, &store).await;
    for bad in [json!([]), json!({ "object": "page" }), json!("text")] {
        assert_eq!(deliver(&set, &bad).await.status, 400, "{bad}");
    }
    let now = Utc::now().timestamp();
    let mut other = payload(&[text_message("wamid.1", "15550100001", now, "Hello")]);
    other["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "1".into();
    assert_eq!(deliver(&set, &other).await.status, 200);
    let counts = counts(&set);
    assert_eq!((counts.malformed, counts.unknown_accounts, counts.received), (3, 1, 0));
    let request =
        ReceivedRequest { method: "POST", query: "", headers: &[], body: b"{}", now: Utc::now() };
    assert_eq!(set.receive("other", &request).await.status, 404);
}

#[tokio::test]
async fn a_replay_is_accepted_and_answered_once_and_an_old_message_never() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = set(&fake, &store).await;
    let now = Utc::now().timestamp();
    let fresh = payload(&[text_message("wamid.1", "15550100001", now, "Hello")]);
    for _ in 0..3 {
        assert_eq!(deliver(&set, &fresh).await.status, 200);
        fake.wait_for(1).await;
    }
    super::bench::until("it is marked", || counts(&set).processed == 1).await;
    assert_eq!(deliver(&set, &fresh).await.status, 200);
    let old = payload(&[text_message("wamid.0", "15550100001", now - 8 * 86_400, "Hello")]);
    assert_eq!(deliver(&set, &old).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let counts = counts(&set);
    assert_eq!((counts.received, counts.duplicates, counts.stale), (1, 3, 1));
    assert_eq!(fake.taken().len(), 1);
}

#[tokio::test]
async fn a_full_queue_asks_the_platform_to_send_again_and_nothing_is_lost() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let small = crate::ChannelSetting { queue: 2, ..setting(Platform::WhatsApp(whatsapp(&fake))) };
    let hanging = open(&store, small, Arc::new(Echo { hangs: true, ..Echo::default() }));
    let now = Utc::now().timestamp();
    let message = |n: usize| {
        let (id, from) = (format!("wamid.{n}"), format!("1555010{n:04}"));
        payload(&[text_message(&id, &from, now, "Hello")])
    };
    for n in 0..2 {
        assert_eq!(deliver(&hanging, &message(n)).await.status, 200);
    }
    let response = deliver(&hanging, &message(2)).await;
    assert_eq!((response.status, response.retry_after), (503, Some(5)));
    assert_eq!((counts(&hanging).overloaded, counts(&hanging).received), (1, 2));
    assert_eq!(store.objects("channels/shop/inbox", None).await.unwrap().len(), 2);
}
