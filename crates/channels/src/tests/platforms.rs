//! The generic webhook, Slack and Telegram.

use super::bench::{Echo, Fake, counts, open, post, setting, until};
use crate::{GenericWebhook, Platform, ReplyButton, Slack, Telegram, TurnReply};
use botops_digest::hmac_sha256;
use botops_http::SigningKey;
use botops_store::Store;
use botops_workspace::Secret;
use chrono::Utc;
use serde_json::{Value, json};
use std::sync::Arc;

fn key() -> SigningKey {
    SigningKey::new(&"w".repeat(32)).unwrap()
}

fn headers(pairs: &[(&str, String)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn signed(id: &str, at: i64, body: &str) -> Vec<(String, String)> {
    headers(&[
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", format!("v1,AAAA {}", key().sign(id, at, body))),
    ])
}

#[tokio::test]
async fn a_webhook_is_signed_in_both_directions_and_a_replay_is_answered_once() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let url = Secret::new(format!("{}/answers", fake.url));
    let spec = GenericWebhook { keys: vec![key()], url, reply_keys: vec![key()] };
    let set = open(&store, setting(Platform::Webhook(spec)), Arc::clone(&bot) as _);
    let now = Utc::now().timestamp();
    let body = json!({
        "conversation_id": "c1", "message_id": "m1", "person": "p1", "text": "Bonjour", "language": "fr",
    })
    .to_string();
    for (at, status) in [(now - 301, 401), (now + 301, 401), (now, 200), (now, 200)] {
        assert_eq!(post(&set, &signed("msg_1", at, &body), body.as_bytes()).await.status, status);
    }
    for bad in ["{\"conversation_id\":\"c1\",\"message_id\":\"m2\"}", "[]", "{"] {
        let response = post(&set, &signed("msg_2", now, bad), bad.as_bytes()).await;
        assert_eq!(response.status, 400, "{bad}");
    }
    let mut unsigned = signed("msg_3", now, &body);
    unsigned[2].1 = "v1,AAAA".to_owned();
    assert_eq!(post(&set, &unsigned, body.as_bytes()).await.status, 401);
    fake.wait_for(1).await;
    until("it is marked", || counts(&set).processed == 1).await;
    let got = fake.taken();
    assert_eq!(got.len(), 1);
    let got = &got[0];
    assert_eq!(
        (got.path.as_str(), &got.body["schema"]),
        ("/answers", &json!("botops.channel-answer/1"))
    );
    assert_eq!(got.body["texts"], json!(["You wrote: Bonjour"]));
    assert_eq!(got.body["message_id"], "m1");
    let timestamp = got.headers["webhook-timestamp"].parse().unwrap();
    let signature = key().sign(&got.headers["webhook-id"], timestamp, &got.raw);
    assert_eq!(got.headers["webhook-signature"], signature);
    let request = bot.requests.lock().unwrap()[0].clone();
    assert_eq!(request.language.as_deref(), Some("fr"));
    assert_eq!((counts(&set).duplicates, counts(&set).bad_signatures), (1, 3));
}

#[tokio::test]
async fn slack_events_are_verified_answered_and_bots_are_ignored() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let spec = Slack {
        signing_secret: Secret::new("a-signing-secret"),
        token: Secret::new("xoxb-a-token"),
        base_url: fake.url.clone(),
    };
    let set = open(&store, setting(Platform::Slack(spec)), Arc::clone(&bot) as _);
    let now = Utc::now().timestamp();
    let sign = |at: i64, body: &str| {
        let signed = format!("v0:{at}:{body}");
        let digits = hmac_sha256(b"a-signing-secret", signed.as_bytes()).hex();
        headers(&[
            ("X-Slack-Request-Timestamp", at.to_string()),
            ("X-Slack-Signature", format!("v0={digits}")),
            ("X-Slack-Retry-Num", "1".to_owned()),
        ])
    };
    let challenge = json!({ "type": "url_verification", "challenge": "3eZbrw1aB" }).to_string();
    let response = post(&set, &sign(now, &challenge), challenge.as_bytes()).await;
    assert_eq!((response.status, response.body.as_str()), (200, "3eZbrw1aB"));
    let event = |event: Value| {
        json!({ "type": "event_callback", "event_id": "Ev1", "event": event }).to_string()
    };
    let message = event(json!({
        "type": "message", "channel": "C0001", "user": "U0001", "text": "Hello",
        "ts": format!("{now}.000200"), "thread_ts": format!("{now}.000100"),
    }));
    let of_bot = event(json!({
        "type": "message", "channel": "C0001", "bot_id": "B1", "user": "U2", "text": "Hi", "ts": format!("{now}.3"),
    }));
    let edited = event(json!({
        "type": "message", "subtype": "message_changed", "channel": "C0001", "ts": format!("{now}.4"),
    }));
    assert_eq!(post(&set, &sign(now - 400, &message), message.as_bytes()).await.status, 401);
    assert_eq!(post(&set, &sign(now, &of_bot), message.as_bytes()).await.status, 401);
    for body in [&message, &message, &of_bot, &edited] {
        assert_eq!(post(&set, &sign(now, body), body.as_bytes()).await.status, 200);
    }
    fake.wait_for(1).await;
    until("it is marked", || counts(&set).processed == 1).await;
    let got = fake.taken();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].path, "/chat.postMessage");
    assert_eq!(got[0].headers["authorization"], "Bearer xoxb-a-token");
    let expected = json!({
        "channel": "C0001", "text": "You wrote: Hello", "thread_ts": format!("{now}.000100"),
    });
    assert_eq!(got[0].body, expected);
}

#[tokio::test]
async fn telegram_updates_are_verified_known_by_their_id_and_answered_with_a_keyboard() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let button = ReplyButton { id: "yes".to_owned(), title: "Yes".to_owned() };
    *bot.reply.lock().unwrap() = Some(TurnReply {
        texts: vec!["Shall I?".to_owned()],
        buttons: vec![button],
        ..TurnReply::default()
    });
    let spec = Telegram {
        secret_token: Secret::new("a-secret-token"),
        token: Secret::new("1:abc"),
        base_url: fake.url.clone(),
    };
    let set = open(&store, setting(Platform::Telegram(spec)), Arc::clone(&bot) as _);
    let update = json!({
        "update_id": 10_000,
        "message": {
            "message_id": 1, "date": Utc::now().timestamp(), "text": "Hello",
            "chat": { "id": 1_111, "type": "private" },
            "from": { "id": 1_111, "is_bot": false, "language_code": "fr" },
        },
    })
    .to_string();
    let query = json!({
        "update_id": 10_001,
        "callback_query": {
            "id": "1", "data": "yes", "from": { "id": 1_111, "is_bot": false },
            "message": { "chat": { "id": 1_111 } },
        },
    })
    .to_string();
    let token = |token: &str| headers(&[("X-Telegram-Bot-Api-Secret-Token", token.to_owned())]);
    for wrong in ["", "a-secret-toke", "another"] {
        assert_eq!(post(&set, &token(wrong), update.as_bytes()).await.status, 401, "{wrong}");
    }
    for body in [&update, &update, &query] {
        assert_eq!(post(&set, &token("a-secret-token"), body.as_bytes()).await.status, 200);
    }
    assert_eq!(post(&set, &token("a-secret-token"), b"{}").await.status, 400);
    until("both are marked", || counts(&set).processed == 2).await;
    let got = fake.taken();
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].path, "/bot1:abc/sendMessage");
    let keyboard = json!({ "inline_keyboard": [[{ "text": "Yes", "callback_data": "yes" }]] });
    assert_eq!(got[0].body["reply_markup"], keyboard);
    assert_eq!(got[0].body["chat_id"], 1_111);
    let requests = bot.requests.lock().unwrap();
    assert_eq!(requests[0].language.as_deref(), Some("fr"));
    assert_eq!(requests[1].button.as_deref(), Some("yes"));
}
