//! Opt-outs, hours, hand-offs, and messages that the bot cannot read.

use super::bench::{
    Echo, Fake, OLD_IDENTITY_KEY, counts, deliver, open, payload, setting, text_message, until,
    whatsapp,
};
use crate::{
    Handoff, HandoffShape, Hours, Platform, ReplyButton, TextKind, Texts, TurnReply,
    name_key::NameKey, opt_outs::OptOuts,
};
use botops_http::SigningKey;
use botops_store::Store;
use botops_workspace::Secret;
use chrono::Utc;
use serde_json::json;
use std::sync::Arc;

const PERSON: &str = "15550100001";

#[tokio::test]
async fn a_person_who_opts_out_gets_one_confirmation_and_nothing_until_opting_in() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    let now = Utc::now().timestamp() - 100;
    let texts = ["Hello", "STOP", "Are you there?", "stop", "START", "Hello again"];
    for (at, text) in (0..).zip(texts) {
        let id = format!("wamid.{at}");
        deliver(&set, &payload(&[text_message(&id, PERSON, now + at, text)])).await;
        let processed = u64::try_from(at).unwrap() + 1;
        until(text, || counts(&set).processed == processed).await;
    }
    let confirmed = Texts::default();
    let polite = |kind| confirmed.text(kind, None, "en").to_owned();
    let expected = [
        "You wrote: Hello".to_owned(),
        polite(TextKind::OptedOut),
        polite(TextKind::OptedIn),
        "You wrote: Hello again".to_owned(),
    ];
    assert_eq!(fake.texts(), expected);
    assert_eq!(counts(&set).silenced, 2);
    // Another person is not affected, and nothing in the store names the person.
    deliver(&set, &payload(&[text_message("wamid.9", "15550100002", now, "Hello")])).await;
    fake.wait_for(5).await;
    let paths = store.objects("channels", None).await.unwrap();
    assert!(paths.iter().all(|path| !path.contains("15550100")), "{paths:?}");
}

#[tokio::test]
async fn an_opt_out_under_the_identity_key_before_holds_until_opting_in() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let old = NameKey::new(OLD_IDENTITY_KEY.as_bytes(), None, "shop");
    OptOuts::new(store.clone(), "shop").opt_out(&old.persons(PERSON), ("m", 7)).await.unwrap();
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    let now = Utc::now().timestamp() - 100;
    for (at, text) in (0..).zip(["Hello", "START", "Hello again"]) {
        deliver(&set, &payload(&[text_message(text, PERSON, now + at, text)])).await;
        let processed = u64::try_from(at).unwrap() + 1;
        until(text, || counts(&set).processed == processed).await;
    }
    assert_eq!((counts(&set).silenced, fake.texts().len()), (1, 2));
    assert!(store.objects("channels/shop/optouts", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_that_the_bot_cannot_read_is_answered_in_the_language_of_the_channel() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let french = crate::ChannelSetting {
        language: "fr".to_owned(),
        ..setting(Platform::WhatsApp(whatsapp(&fake)))
    };
    let set = open(&store, french, Arc::clone(&bot) as _);
    let at = Utc::now().timestamp().to_string();
    let message = |id: &str, kind: &str, content: serde_json::Value| {
        let mut message = json!({ "from": PERSON, "id": id, "timestamp": at, "type": kind });
        message[kind] = content;
        message
    };
    let image = json!({ "id": "1003383421387256", "mime_type": "image/jpeg", "sha256": "x" });
    let reaction = json!({ "message_id": "wamid.0", "emoji": "👍" });
    let messages = [message("wamid.1", "image", image), message("wamid.2", "reaction", reaction)];
    deliver(&set, &payload(&messages)).await;
    until("it is answered", || counts(&set).processed == 1).await;
    assert_eq!(fake.texts().len(), 1, "a reaction gets no answer");
    assert!(fake.texts()[0].starts_with("Désolé"), "{:?}", fake.texts());
    assert!(bot.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_hand_off_is_signed_and_sent_after_the_answer_in_either_shape() {
    for shape in [HandoffShape::Botops, HandoffShape::Chatwoot] {
        let (fake, people) = (Fake::start().await, Fake::start().await);
        let key = SigningKey::new(&"k".repeat(32)).unwrap();
        let url = Secret::new(format!("{}/handoff", people.url));
        let handoff = Handoff { url, shape, keys: vec![key.clone()] };
        let with = crate::ChannelSetting {
            handoff: Some(handoff),
            ..setting(Platform::WhatsApp(whatsapp(&fake)))
        };
        let bot = Arc::new(Echo::default());
        *bot.reply.lock().unwrap() = Some(TurnReply {
            texts: vec!["A colleague goes on.".to_owned()],
            handed_off: true,
            ..TurnReply::default()
        });
        let store = Store::in_memory();
        let set = open(&store, with, Arc::clone(&bot) as _);
        let now = Utc::now().timestamp();
        deliver(&set, &payload(&[text_message("wamid.1", PERSON, now, "A person, please")])).await;
        people.wait_for(1).await;
        assert_eq!(fake.texts(), ["A colleague goes on."]);
        let got = people.taken().remove(0);
        let timestamp = got.headers["webhook-timestamp"].parse().unwrap();
        let signature = key.sign(&got.headers["webhook-id"], timestamp, &got.raw);
        assert_eq!(got.headers["webhook-signature"], signature);
        match shape {
            HandoffShape::Botops => {
                assert_eq!(got.body["schema"], "botops.channel-handoff/1");
                assert_eq!(got.body["answers"], json!(["A colleague goes on."]));
            }
            HandoffShape::Chatwoot => {
                assert_eq!(got.body["event"], "message_created");
                assert_eq!(got.body["message_type"], "incoming");
                assert_eq!(got.body["content"], "A person, please");
                assert_eq!(got.body["conversation"]["id"], PERSON);
            }
        }
        until("it is counted", || counts(&set).processed == 1).await;
        assert_eq!(counts(&set).handoffs, 1);
    }
}

#[tokio::test]
async fn outside_the_hours_the_bot_answers_and_a_hand_off_says_that_nobody_is_there() {
    let now = Utc::now();
    // Open for the minutes around 12 hours from now.
    let other = now + chrono::TimeDelta::hours(12);
    let span = format!("mon-sun {}:00-{}:59", other.format("%H"), other.format("%H"));
    for (bot_answers, expected) in [(true, 2), (false, 1)] {
        let (fake, bot) = (Fake::start().await, Arc::new(Echo::default()));
        let hours = Hours::parse("UTC", std::slice::from_ref(&span), bot_answers).unwrap();
        let closed = crate::ChannelSetting {
            hours: Some(hours),
            ..setting(Platform::WhatsApp(whatsapp(&fake)))
        };
        *bot.reply.lock().unwrap() = Some(TurnReply {
            texts: vec!["A colleague goes on.".to_owned()],
            handed_off: true,
            ..TurnReply::default()
        });
        let store = Store::in_memory();
        let set = open(&store, closed, Arc::clone(&bot) as _);
        let message = text_message("wamid.1", PERSON, now.timestamp(), "A person, please");
        deliver(&set, &payload(&[message])).await;
        fake.wait_for(expected).await;
        let texts = fake.texts();
        assert_eq!(texts.len(), expected);
        assert!(texts[expected - 1].starts_with("Our team is not available"), "{texts:?}");
        assert_eq!(bot.requests.lock().unwrap().len(), usize::from(bot_answers));
    }
}

#[tokio::test]
async fn a_button_of_an_answer_comes_back_with_its_id() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let button = ReplyButton { id: "yes".to_owned(), title: "Yes".to_owned() };
    *bot.reply.lock().unwrap() = Some(TurnReply {
        texts: vec!["Shall I?".to_owned()],
        buttons: vec![button],
        ..TurnReply::default()
    });
    let set = open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::clone(&bot) as _);
    let message = json!({
        "from": PERSON, "id": "wamid.2", "timestamp": Utc::now().timestamp().to_string(),
        "type": "interactive",
        "interactive": { "type": "button_reply", "button_reply": { "id": "yes", "title": "Yes" } },
    });
    deliver(&set, &payload(&[message])).await;
    fake.wait_for(1).await;
    let got = fake.taken().remove(0);
    assert_eq!(got.path, "/v21.0/100000000000001/messages");
    assert_eq!(got.headers["authorization"], "Bearer a-token");
    assert_eq!(got.body["interactive"]["action"]["buttons"][0]["reply"]["id"], "yes");
    let request = bot.requests.lock().unwrap()[0].clone();
    assert_eq!((request.button.as_deref(), request.text.as_str()), (Some("yes"), "Yes"));
    assert_eq!(request.conversation, format!("shop:{PERSON}"));
}
