//! After a hand-off the bot is silent until the conversation is given back, or a time has passed.

use super::bench::{
    Echo, Fake, counts, deliver, names, open, payload, post, setting, text_message, until, whatsapp,
};
use crate::{
    ChannelSet, ChannelSetting, HandedConversations, Handoff, HandoffShape, Platform, TurnReply,
    forget_messages,
};
use botops_http::SigningKey;
use botops_store::Store;
use botops_workspace::Secret;
use chrono::Utc;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const PERSON: &str = "15550100001";

fn key() -> SigningKey {
    SigningKey::new(&"k".repeat(32)).unwrap()
}

/// A channel whose bot hands over, its platform and its desk.
struct Desk {
    fake: Fake,
    people: Fake,
    bot: Arc<Echo>,
    store: Store,
    set: ChannelSet,
    requests: AtomicUsize,
}

impl Desk {
    async fn new(change: impl Fn(&mut ChannelSetting)) -> Self {
        let (fake, people) = (Fake::start().await, Fake::start().await);
        let url = Secret::new(format!("{}/desk", people.url));
        let handoff = Handoff { url, shape: HandoffShape::Botops, keys: vec![key()] };
        let mut with = ChannelSetting {
            handoff: Some(handoff),
            ..setting(Platform::WhatsApp(whatsapp(&fake)))
        };
        change(&mut with);
        let (bot, store) = (Arc::new(Echo::default()), Store::in_memory());
        let set = open(&store, with, Arc::clone(&bot) as _);
        Self { fake, people, bot, store, set, requests: AtomicUsize::new(0) }
    }

    /// Says whether the bot hands over from now on.
    fn hands_over(&self, does: bool) {
        let texts = vec!["A colleague goes on.".to_owned()];
        let reply = TurnReply { texts, handed_off: true, ..TurnReply::default() };
        *self.bot.reply.lock().unwrap() = does.then_some(reply);
    }

    async fn say(&self, id: &str, text: &str) {
        let before = counts(&self.set).processed;
        let message = text_message(id, PERSON, Utc::now().timestamp(), text);
        deliver(&self.set, &payload(&[message])).await;
        until(text, || counts(&self.set).processed > before).await;
    }

    /// Sends a request of the desk, signed by `key`; returns the status.
    async fn desk(&self, body: &Value, key: &SigningKey) -> u16 {
        let id = format!("d{}", self.requests.fetch_add(1, Ordering::Relaxed));
        self.desk_as(&id, body, key).await
    }

    async fn desk_as(&self, id: &str, body: &Value, key: &SigningKey) -> u16 {
        let (body, at) = (body.to_string(), Utc::now().timestamp());
        let header = |name: &str, value: String| (name.to_owned(), value);
        let headers = [
            header("webhook-id", id.to_owned()),
            header("webhook-timestamp", at.to_string()),
            header("webhook-signature", key.sign(id, at, &body)),
        ];
        post(&self.set, &headers, body.as_bytes()).await.status
    }

    fn status(status: &str) -> Value {
        json!({ "schema": "botops.channel-conversation/1", "conversation_id": PERSON, "status": status })
    }
}

#[tokio::test]
async fn the_bot_is_silent_and_the_desk_gets_each_message_until_it_gives_back() {
    let of = Desk::new(|_| {}).await;
    of.hands_over(true);
    of.say("wamid.1", "A person, please").await;
    of.hands_over(false);
    of.say("wamid.2", "Are you there?").await;
    assert_eq!(of.fake.texts(), ["A colleague goes on."]);
    let texts = || of.people.taken().iter().map(|got| got.body["text"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(), ["A person, please", "Are you there?"]);
    assert_eq!(of.people.taken()[1].body["answers"], json!([]));
    assert_eq!(counts(&of.set).with_person, 1);

    let other = SigningKey::new(&"x".repeat(32)).unwrap();
    assert_eq!(of.desk(&Desk::status("resolved"), &other).await, 401);
    assert_eq!(of.desk(&Desk::status("closed"), &key()).await, 400);
    of.say("wamid.3", "Hello?").await;
    assert_eq!(of.fake.texts().len(), 1, "neither gave it back");
    assert_eq!(of.desk(&Desk::status("resolved"), &key()).await, 200);
    assert_eq!(of.desk(&Desk::status("resolved"), &key()).await, 200, "a second time");
    assert_eq!(counts(&of.set).given_back, 1);
    of.say("wamid.4", "And the bot?").await;
    of.say("wamid.5", "Again").await;
    assert_eq!(of.fake.texts()[1..], ["You wrote: And the bot?", "You wrote: Again"]);
    // The turns between did not happen for the bot, and the first one after it starts afresh.
    let given: Vec<bool> =
        of.bot.requests.lock().unwrap().iter().map(|request| request.is_given_back).collect();
    assert_eq!(given, [false, true, false]);
    // It hands over once more, and is silent again.
    of.hands_over(true);
    of.say("wamid.6", "A person!").await;
    of.hands_over(false);
    of.say("wamid.7", "Hm").await;
    assert_eq!(of.fake.texts().last().unwrap(), "A colleague goes on.");
}

#[tokio::test]
async fn the_desk_takes_a_conversation_by_an_event_of_chatwoot() {
    let of = Desk::new(|_| {}).await;
    let event = |status: &str| {
        json!({ "event": "conversation_status_changed", "id": 7, "status": status,
            "contact_inbox": { "source_id": PERSON } })
    };
    of.say("wamid.1", "Hello").await;
    assert_eq!(of.desk(&event("open"), &key()).await, 200);
    of.say("wamid.2", "Quiet now").await;
    assert_eq!(of.fake.texts(), ["You wrote: Hello"]);
    assert_eq!(of.desk(&event("pending"), &key()).await, 200);
    of.say("wamid.3", "Back").await;
    assert_eq!(of.fake.texts(), ["You wrote: Hello", "You wrote: Back"]);
    assert_eq!((counts(&of.set).taken, counts(&of.set).given_back), (1, 1));
    // A request that comes again undoes nothing that came after it.
    assert_eq!(of.desk_as("one", &event("open"), &key()).await, 200);
    assert_eq!(of.desk_as("two", &event("resolved"), &key()).await, 200);
    assert_eq!(of.desk_as("one", &event("open"), &key()).await, 200);
    of.say("wamid.4", "Still back").await;
    assert_eq!(of.fake.texts().last().unwrap(), "You wrote: Still back");
}

#[tokio::test]
async fn the_silence_ends_by_itself_and_a_stop_is_obeyed_in_it() {
    let of = Desk::new(|setting| setting.silence = Duration::from_secs(1)).await;
    of.hands_over(true);
    of.say("wamid.1", "A person, please").await;
    of.hands_over(false);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    of.say("wamid.2", "Nobody came").await;
    assert_eq!(of.fake.texts().last().unwrap(), "You wrote: Nobody came");

    let of = Desk::new(|_| {}).await;
    of.hands_over(true);
    of.say("wamid.1", "A person, please").await;
    of.say("wamid.2", "STOP").await;
    assert_eq!(of.fake.texts().len(), 2, "the opt-out is confirmed");
    of.say("wamid.3", "Hello?").await;
    assert_eq!(of.people.taken().len(), 1, "no message of a person who opted out is passed on");
}

#[tokio::test]
async fn without_a_receiver_the_messages_are_kept_as_turns_and_are_not_answered() {
    let of = Desk::new(|setting| setting.handoff = None).await;
    of.hands_over(true);
    of.say("wamid.1", "A person, please").await;
    of.say("wamid.2", "Are you there?").await;
    assert_eq!(of.fake.texts(), ["A colleague goes on."]);
    let texts: Vec<String> =
        of.bot.requests.lock().unwrap().iter().map(|request| request.text.clone()).collect();
    assert_eq!(texts, ["A person, please", "Are you there?"]);
}

#[tokio::test]
async fn conversations_with_persons_are_listed_given_back_and_erased_without_a_server() {
    let of = Desk::new(|_| {}).await;
    of.hands_over(true);
    of.say("wamid.1", "A person, please").await;
    of.hands_over(false);
    let handed = HandedConversations::new(of.store.clone(), "shop");
    let listed = handed.list().await.unwrap();
    let name = names().of(&format!("shop:{PERSON}"), None).conversation;
    assert_eq!(listed.iter().map(|it| it.conversation).collect::<Vec<_>>(), [name]);
    assert!(handed.give_back(name).await.unwrap());
    assert!(!handed.give_back(name).await.unwrap(), "it is given back already");
    assert_eq!(handed.list().await.unwrap(), []);
    of.say("wamid.2", "Hello").await;
    assert_eq!(of.fake.texts().last().unwrap(), "You wrote: Hello");
    of.hands_over(true);
    of.say("wamid.3", "A person!").await;
    assert_eq!(handed.list().await.unwrap().len(), 1);
    let erased =
        crate::ErasedNames { conversations: [name.to_string()].into(), ..Default::default() };
    forget_messages(&of.store, &erased, 7, false).await.unwrap();
    assert_eq!(handed.list().await.unwrap(), []);
}
