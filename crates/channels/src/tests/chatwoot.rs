//! An agent bot of Chatwoot.

use super::bench::{Echo, Fake, counts, open, setting, until};
use crate::{
    ChannelResponse, ChannelSet, Chatwoot, Platform, ReceivedRequest, ReplyButton, TurnReply,
};
use botops_digest::hmac_sha256;
use botops_store::Store;
use botops_workspace::Secret;
use chrono::Utc;
use serde_json::{Value, json};
use std::sync::Arc;

const SECRET: &str = "a-secret-of-the-agent-bot";

fn spec(fake: &Fake) -> crate::ChannelSetting {
    setting(Platform::Chatwoot(Chatwoot {
        account_id: 3,
        secret: Secret::new(SECRET),
        token: Secret::new("a-token"),
        base_url: fake.url.clone(),
    }))
}

/// Makes the event of a message in the documented shape.
fn event(id: u64, status: &str, text: &str) -> Value {
    json!({
        "event": "message_created", "id": id, "content": text, "content_type": "text",
        "message_type": "incoming", "private": false, "created_at": Utc::now().to_rfc3339(),
        "account": { "id": 3, "name": "Shop" }, "inbox": { "id": 58, "name": "Website" },
        "sender": { "id": 52, "name": "A person", "type": "contact" },
        "conversation": {
            "id": 130, "status": status, "channel": "Channel::WebWidget",
            "contact_inbox": { "id": 62, "contact_id": 52, "source_id": "96e55744" },
            "additional_attributes": { "browser_language": "fr" },
        },
    })
}

async fn receive(
    set: &ChannelSet,
    (query, headers): (&str, &[(String, String)]),
    body: &str,
) -> ChannelResponse {
    let (method, now) = ("POST", Utc::now());
    let request = ReceivedRequest { method, query, headers, body: body.as_bytes(), now };
    set.receive("shop", &request).await
}

async fn deliver(set: &ChannelSet, event: &Value) {
    let response = receive(set, ("token=a-secret-of-the-agent-bot", &[]), &event.to_string()).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test]
async fn an_event_is_verified_by_its_signature_or_by_the_secret_in_the_address() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = open(&store, spec(&fake), Arc::new(Echo::default()));
    let (body, now) = (event(1, "pending", "Bonjour").to_string(), Utc::now().timestamp());
    let signed = |at: i64, secret: &str| {
        let digits = hmac_sha256(secret.as_bytes(), format!("{at}.{body}").as_bytes()).hex();
        [
            ("X-Chatwoot-Timestamp".to_owned(), at.to_string()),
            ("X-Chatwoot-Signature".to_owned(), format!("sha256={digits}")),
        ]
    };
    for (at, secret, status) in
        [(now, SECRET, 200), (now - 301, SECRET, 401), (now + 301, SECRET, 401), (now, "x", 401)]
    {
        // A signature counts even where the address has the secret.
        let query = "token=a-secret-of-the-agent-bot";
        assert_eq!(receive(&set, (query, &signed(at, secret)), &body).await.status, status);
    }
    for (query, status) in [("token=a-secret-of-the-agent-bot", 200), ("token=x", 401), ("", 401)] {
        assert_eq!(receive(&set, (query, &[]), &body).await.status, status, "{query}");
    }
    let query = "token=a-secret-of-the-agent-bot";
    assert_eq!(receive(&set, (query, &[]), "{").await.status, 400);
    until("it is answered", || counts(&set).processed == 1).await;
    let got = fake.taken();
    assert_eq!(got.len(), 1, "the second delivery is known");
    assert_eq!(got[0].path, "/api/v1/accounts/3/conversations/130/messages");
    assert_eq!(got[0].headers["api_access_token"], "a-token");
    let expected = json!({ "content": "You wrote: Bonjour", "message_type": "outgoing", "private": false,
        "content_type": "text" });
    assert_eq!(got[0].body, expected);
    assert_eq!((counts(&set).bad_signatures, counts(&set).duplicates), (5, 1));
}

#[tokio::test]
async fn the_bot_answers_pending_conversations_hands_over_and_goes_on_when_they_are_given_back() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let set = open(&store, spec(&fake), Arc::clone(&bot) as _);
    let texts = vec!["A colleague goes on.".to_owned()];
    let reply = TurnReply { texts, handed_off: true, ..TurnReply::default() };
    *bot.reply.lock().unwrap() = Some(reply);
    deliver(&set, &event(1, "pending", "A person, please")).await;
    until("it is handed over", || counts(&set).processed == 1).await;
    *bot.reply.lock().unwrap() = None;
    let got = fake.taken();
    assert_eq!(got[1].path, "/api/v1/accounts/3/conversations/130/toggle_status");
    assert_eq!(got[1].body, json!({ "status": "open" }));
    deliver(&set, &event(2, "open", "To the person")).await;
    deliver(&set, &event(3, "resolved", "Thanks")).await;
    assert_eq!((counts(&set).received, counts(&set).with_person), (1, 2));
    for n in [4, 5] {
        deliver(&set, &event(n, "pending", "To the bot")).await;
        until("it is answered", || counts(&set).processed == n - 2).await;
    }
    assert_eq!(fake.taken()[2].body["content"], "You wrote: To the bot");
    let given: Vec<bool> =
        bot.requests.lock().unwrap().iter().map(|request| request.is_given_back).collect();
    assert_eq!(given, [false, true, false]);
}

#[tokio::test]
async fn buttons_are_items_and_a_chosen_one_comes_back_and_other_events_are_passed_over() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let set = open(&store, spec(&fake), Arc::clone(&bot) as _);
    let button = ReplyButton { id: "/yes".to_owned(), title: "Yes".to_owned() };
    let reply = TurnReply {
        texts: vec!["Sure?".to_owned()],
        buttons: vec![button],
        ..TurnReply::default()
    };
    *bot.reply.lock().unwrap() = Some(reply);
    deliver(&set, &event(1, "pending", "Hello")).await;
    fake.wait_for(1).await;
    let body = &fake.taken()[0].body;
    assert_eq!(body["content_type"], "input_select");
    assert_eq!(body["content_attributes"]["items"], json!([{ "title": "Yes", "value": "/yes" }]));
    let mut chosen = event(2, "pending", "Sure?");
    chosen["event"] = "message_updated".into();
    chosen["message_type"] = "outgoing".into();
    chosen["content_attributes"] =
        json!({ "submitted_values": [{ "title": "Yes", "value": "/yes" }] });
    deliver(&set, &chosen).await;
    until("it is answered", || counts(&set).processed == 2).await;
    let requests = bot.requests.lock().unwrap().clone();
    assert_eq!((requests[1].button.as_deref(), requests[1].text.as_str()), (Some("/yes"), "Yes"));
    assert_eq!(requests[0].person, requests[1].person, "the bot sent the message, not the person");
    assert_eq!(requests[0].language.as_deref(), Some("fr"));

    let changed = |change: fn(&mut Value)| {
        let mut event = event(9, "pending", "Hello");
        change(&mut event);
        event
    };
    let passed_over = [
        changed(|event| event["message_type"] = "outgoing".into()),
        changed(|event| event["private"] = true.into()),
        changed(|event| event["event"] = "conversation_resolved".into()),
        changed(|event| event["account"]["id"] = 4.into()),
        changed(|event| event["conversation"]["id"] = "../1".into()),
        changed(|event| event["event"] = "message_updated".into()),
    ];
    for event in &passed_over {
        deliver(&set, event).await;
    }
    assert_eq!((counts(&set).received, counts(&set).unknown_accounts), (2, 1));
    let mut image = event(10, "pending", "");
    image["attachments"] = json!([{ "file_type": "image" }]);
    deliver(&set, &image).await;
    until("it is answered politely", || counts(&set).unsupported == 1).await;
}
