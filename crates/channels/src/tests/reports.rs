//! Reports about answers that the platform took and could not deliver, and templates with parameters.

use super::bench::{
    Does, Echo, Fake, NUMBER, counts, deliver, names, open, payload, setting, text_message, until,
    whatsapp,
};
use crate::{ChannelSet, ErasedNames, Platform, Template, TurnReply, WhatsApp, forget_messages};
use botops_store::Store;
use chrono::Utc;
use serde_json::{Value, json};
use std::sync::Arc;

const PERSON: &str = "15550100001";

/// Makes the payload of a status `failed` of the call that is named by `call`.
fn failed(call: &Value, code: i64) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
        "value": { "messaging_product": "whatsapp", "metadata": { "phone_number_id": NUMBER },
            "statuses": [{ "id": "wamid.sent", "status": "failed", "timestamp": "1749416384",
                "recipient_id": PERSON, "biz_opaque_callback_data": call,
                "errors": [{ "code": code, "title": "An error" }] }] } }] }] })
}

async fn say(set: &ChannelSet, id: &str, text: &str, age: i64) {
    let before = counts(set).processed + counts(set).dead;
    let at = Utc::now().timestamp() - age;
    deliver(set, &payload(&[text_message(id, PERSON, at, text)])).await;
    until(text, || counts(set).processed + counts(set).dead > before).await;
}

fn resending(fake: &Fake) -> crate::ChannelSetting {
    setting(Platform::WhatsApp(WhatsApp { resend_failed: true, ..whatsapp(fake) }))
}

#[tokio::test]
async fn an_answer_that_fails_for_now_is_sent_again_and_a_dead_letter_after_three_times() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let set = open(&store, resending(&fake), Arc::new(Echo::default()));
    say(&set, "wamid.1", "Hello", 0).await;
    for n in 1..=3 {
        let call = fake.taken()[n - 1].body["biz_opaque_callback_data"].clone();
        deliver(&set, &failed(&call, 131_000)).await;
        fake.wait_for(n + 1).await;
        let processed = u64::try_from(n).unwrap() + 1;
        until("it is marked", || counts(&set).processed == processed).await;
    }
    assert!(fake.texts().iter().all(|text| text == "You wrote: Hello"), "{:?}", fake.texts());
    let call = fake.taken()[3].body["biz_opaque_callback_data"].clone();
    deliver(&set, &failed(&call, 131_000)).await;
    deliver(&set, &failed(&call, 131_000)).await;
    let letters = set.dead_letters("shop").unwrap().list().await.unwrap();
    let reason = "the platform reports the error 131000 about an answer that it took";
    assert_eq!(letters.iter().map(|it| it.reason.as_str()).collect::<Vec<_>>(), [reason]);
    let counts = counts(&set);
    assert_eq!((counts.failed_retried, counts.failed_final, counts.status_failed), (3, 2, 5));
}

#[tokio::test]
async fn only_the_part_that_failed_is_sent_again() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let texts = ["One", "Two", "Three"].map(str::to_owned).to_vec();
    *bot.reply.lock().unwrap() = Some(TurnReply { texts, ..TurnReply::default() });
    let set = open(&store, resending(&fake), Arc::clone(&bot) as _);
    say(&set, "wamid.1", "Hello", 0).await;
    let call = fake.taken()[1].body["biz_opaque_callback_data"].clone();
    deliver(&set, &failed(&call, 130_429)).await;
    until("it is marked", || counts(&set).processed == 2).await;
    assert_eq!(fake.texts(), ["One", "Two", "Three", "Two"]);
}

#[tokio::test]
async fn what_is_not_kept_or_fails_for_good_is_given_up_and_a_kept_message_can_be_erased() {
    let (fake, store) = (Fake::start().await, Store::in_memory());
    let plain =
        open(&store, setting(Platform::WhatsApp(whatsapp(&fake))), Arc::new(Echo::default()));
    say(&plain, "wamid.1", "Hello", 0).await;
    assert!(fake.taken()[0].body.get("biz_opaque_callback_data").is_none());
    for (call, code) in [(Value::Null, 131_000), (json!("x-1"), 131_000), (json!({}), 131_026)] {
        assert_eq!(deliver(&plain, &failed(&call, code)).await.status, 200);
    }
    assert_eq!((counts(&plain).failed_final, counts(&plain).failed_retried), (3, 0));
    assert!(store.objects("channels/shop/answered", None).await.unwrap().is_empty());

    let set = open(&store, resending(&fake), Arc::new(Echo::default()));
    say(&set, "wamid.2", "Hello", 0).await;
    assert_eq!(store.objects("channels/shop/answered", None).await.unwrap().len(), 1);
    let name = names().of(&format!("shop:{PERSON}"), None).conversation.to_string();
    let erased = ErasedNames { conversations: [name].into(), ..ErasedNames::default() };
    let erased = forget_messages(&store, &erased, 7, false).await.unwrap();
    assert_eq!((erased.answered, erased.total()), (1, 1));
    let call = fake.taken()[1].body["biz_opaque_callback_data"].clone();
    deliver(&set, &failed(&call, 131_000)).await;
    assert_eq!((counts(&set).failed_final, counts(&set).failed_retried), (1, 0));
}

#[tokio::test]
async fn a_template_has_its_parameters_is_sent_once_and_not_to_those_who_refuse_it() {
    let (fake, bot, store) = (Fake::start().await, Arc::new(Echo::default()), Store::in_memory());
    let texts = vec!["In 30\n days.".to_owned(), "More".to_owned()];
    *bot.reply.lock().unwrap() = Some(TurnReply { texts, ..TurnReply::default() });
    let template = Template {
        name: "reopen".to_owned(),
        language: "en_US".to_owned(),
        parameters: vec!["our shop".to_owned(), "We said: {answer}".to_owned()],
    };
    let spec = WhatsApp { template: Some(template), ..whatsapp(&fake) };
    let set = open(&store, setting(Platform::WhatsApp(spec)), Arc::clone(&bot) as _);
    say(&set, "wamid.1", "Old", 90_000).await;
    let expected = json!([{ "type": "body", "parameters": [
        { "type": "text", "text": "our shop" }, { "type": "text", "text": "We said: In 30 days." },
    ] }]);
    assert_eq!(fake.taken().len(), 1);
    assert_eq!(fake.taken()[0].body["template"]["components"], expected);
    // The platform finds the window closed earlier than the clock does.
    fake.does(|got| match got.body["type"] == "text" {
        true => Does::Refuse(400, "{\"error\":{\"code\":131047}}".to_owned()),
        false => Does::Accept,
    });
    say(&set, "wamid.2", "New", 0).await;
    assert_eq!(fake.taken().len(), 2);

    deliver(&set, &failed(&Value::Null, 131_050)).await;
    assert_eq!(counts(&set).failed_opted_out, 1);
    say(&set, "wamid.3", "Old", 90_000).await;
    assert_eq!((fake.taken().len(), counts(&set).dead), (2, 1), "no template any more");
    fake.does(|_| Does::Accept);
    say(&set, "wamid.4", "A question", 0).await;
    assert_eq!(fake.texts(), ["In 30\n days.", "More"], "a person who writes gets answers");
    say(&set, "wamid.5", "Start", 0).await;
    let before = fake.taken().len();
    say(&set, "wamid.6", "Old", 90_000).await;
    assert_eq!(fake.taken()[before].body["type"], "template", "wanted again");
}
