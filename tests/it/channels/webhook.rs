//! The generic webhook: signed JSON in both directions.

use super::{
    graph::Does,
    shop::{
        ANSWER, Framing, QUESTION, SECRETS, Shop, TEN_MEGABYTES, assert_nothing_leaked, count,
        post, send_large,
    },
};
use crate::serving::server_process::Server;
use botops_http::SigningKey;
use chrono::Utc;
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = SECRETS[3].1;

fn sign(secret: &str, id: &str, at: i64, body: &str) -> String {
    SigningKey::new(secret).unwrap().sign(id, at, body)
}

fn message(id: &str) -> Value {
    json!({
        "conversation_id": "c-1", "message_id": id, "person": "p-1", "text": QUESTION,
        "language": "en",
    })
}

/// Sends a body with the three headers; returns the status and the answer.
async fn send(
    server: &Server,
    (id, at, signature): (&str, &str, &str),
    body: Vec<u8>,
) -> (u16, Value) {
    let headers = [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)];
    let given: Vec<(&str, &str)> =
        headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let answer = post(server, "crm", (&given, body)).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn deliver(server: &Server, message: &Value) -> u16 {
    let (body, at) = (message.to_string(), Utc::now().timestamp());
    let signature = sign(SECRET, "evt-1", at, &body);
    send(server, ("evt-1", &at.to_string(), &signature), body.into_bytes()).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_message_is_answered_by_one_signed_call() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    for _ in 0..3 {
        assert_eq!(deliver(&server, &message("m-1")).await, 200);
    }
    let sends = shop.platform.wait_for(1).await;
    let call = &sends[0];
    assert_eq!((call.path.as_str(), call.method.as_str()), ("/answers", "POST"));
    let (id, at) = (call.header("webhook-id"), call.header("webhook-timestamp"));
    let expected = sign(SECRET, id, at.parse().unwrap(), &call.raw);
    assert_eq!(call.header("webhook-signature"), expected);
    for (field, value) in [
        ("schema", json!("botops.channel-answer/1")),
        ("channel", json!("crm")),
        ("conversation_id", json!("c-1")),
        ("message_id", json!("m-1")),
        ("person", json!("p-1")),
        ("texts", json!([ANSWER])),
        ("handed_off", json!(false)),
    ] {
        assert_eq!(call.body[field], value, "{field}: {}", call.raw);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(shop.platform.sends().len(), 1);
    assert_eq!(count(&server, "crm", "duplicates").await, 2);
    assert_eq!(count(&server, "crm", "turns").await, 1);
    assert_nothing_leaked(&shop.written(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_not_genuine_are_refused_and_nothing_is_processed() {
    let shop = Shop::new("").await;
    let server = shop.serve();
    let body = message("m-1").to_string();
    let now = Utc::now().timestamp();
    let text = |at: i64| at.to_string();
    let (old, early) = (now - 360, now + 360);
    let signed = sign(SECRET, "evt-1", now, &body);
    let other = sign("another webhook secret of 24 bytes", "evt-1", now, &body);
    let cases = [
        ("unsigned", (401, "BOT-7512"), ("", text(now), String::new()), body.clone()),
        ("no id", (401, "BOT-7512"), ("", text(now), signed.clone()), body.clone()),
        ("another secret", (401, "BOT-7512"), ("evt-1", text(now), other), body.clone()),
        ("another id", (401, "BOT-7512"), ("evt-2", text(now), signed.clone()), body.clone()),
        ("another time", (401, "BOT-7512"), ("evt-1", text(now + 1), signed.clone()), body.clone()),
        (
            "another body",
            (401, "BOT-7512"),
            ("evt-1", text(now), signed.clone()),
            format!("{body} "),
        ),
        (
            "an old request",
            (401, "BOT-7512"),
            ("evt-1", text(old), sign(SECRET, "evt-1", old, &body)),
            body.clone(),
        ),
        (
            "a request of the future",
            (401, "BOT-7512"),
            ("evt-1", text(early), sign(SECRET, "evt-1", early, &body)),
            body.clone(),
        ),
        (
            "no message",
            (400, "BOT-7511"),
            ("evt-1", text(now), sign(SECRET, "evt-1", now, "[]")),
            "[]".to_owned(),
        ),
        (
            "no text",
            (400, "BOT-7511"),
            (
                "evt-1",
                text(now),
                sign(SECRET, "evt-1", now, r#"{"conversation_id":"c","message_id":"m"}"#),
            ),
            r#"{"conversation_id":"c","message_id":"m"}"#.to_owned(),
        ),
    ];
    for (name, (status, code), (id, at, signature), body) in cases {
        let (found, answer) = send(&server, (id, &at, &signature), body.into_bytes()).await;
        assert_eq!(found, status, "{name}: {answer}");
        assert_eq!(answer["error"]["code"], code, "{name}: {answer}");
    }
    let signature = sign(SECRET, "evt-1", now, &"a".repeat(TEN_MEGABYTES));
    let headers = format!(
        "webhook-id: evt-1\r\nwebhook-timestamp: {now}\r\nwebhook-signature: {signature}\r\n"
    );
    let answer = send_large(&server, "crm", &headers, Framing::Length).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("BOT-6014"), "{answer}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(shop.platform.calls().len(), 0);
    for kind in ["inbox", "done", "dead"] {
        assert_eq!(shop.stored("crm", kind), Vec::<String>::new(), "{kind}");
    }
    assert_eq!(deliver(&server, &message("m-1")).await, 200);
    shop.platform.wait_for(1).await;
    assert_nothing_leaked(&shop.written(&server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_keeps_its_id_in_every_try_and_after_a_replay() {
    let shop = Shop::new("    attempts: 2\n").await;
    let server = shop.serve();
    shop.platform.does(|_| Does::Refuse(500, Value::Null));
    assert_eq!(deliver(&server, &message("m-1")).await, 200);
    shop.until("a dead letter", || shop.stored("crm", "dead").len() == 1).await;
    shop.platform.does(|_| Does::Accept);
    let replayed = shop.channels(&["replay", "crm", "--all"]);
    assert!(replayed.contains("1 dead letter wait"), "{replayed}");
    let sends = shop.platform.wait_for(3).await;
    assert!(sends[2].was_accepted);
    for call in &sends {
        assert_eq!(call.header("webhook-id"), sends[0].header("webhook-id"));
        let at = call.header("webhook-timestamp").parse().unwrap();
        let expected = sign(SECRET, call.header("webhook-id"), at, &call.raw);
        assert_eq!(call.header("webhook-signature"), expected);
    }
    shop.until("nothing waits", || shop.stored("crm", "inbox").is_empty()).await;
    assert_eq!(shop.dead("crm"), Vec::<String>::new());
    assert_nothing_leaked(&shop.written(&server));
}
