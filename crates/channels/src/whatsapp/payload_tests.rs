//! The payloads of the documentation, and changed ones.

use super::payload::read;
use crate::message::{Content, Incoming, usable_id};
use proptest::prelude::*;
use serde_json::{Value, json};

const NUMBER: &str = "100000000000001";

/// Makes a payload with these messages and statuses in a change for each number.
fn payload(changes: &[(&str, Value, Value)]) -> Value {
    let change = |(number, messages, statuses): &(&str, Value, Value)| {
        json!({ "id": "102290129340398", "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550100000", "phone_number_id": number },
            "messages": messages, "statuses": statuses,
        } }] })
    };
    let entries: Vec<Value> = changes.iter().map(change).collect();
    json!({ "object": "whatsapp_business_account", "entry": entries })
}

fn message(id: &str, kind: &str, content: Value) -> Value {
    let mut message =
        json!({ "from": "15550100001", "id": id, "timestamp": "1749416383", "type": kind });
    message[kind] = content;
    message
}

#[test]
fn each_documented_type_is_read() {
    let media =
        json!({ "id": "1003383421387256", "mime_type": "x/y", "sha256": "a", "caption": "b" });
    let unsupported = |kind: &str, media: Option<&str>| Content::Unsupported {
        kind: kind.to_owned(),
        media: media.map(str::to_owned),
    };
    let of_media = |kind| unsupported(kind, Some("1003383421387256"));
    let button =
        |id: &str, title: &str| Content::Button { id: id.to_owned(), title: title.to_owned() };
    let row = json!({ "id": "r1", "title": "Red", "description": "A color" });
    let cases = [
        ("text", json!({ "body": "Hello 😀" }), Content::Text { text: "Hello 😀".to_owned() }),
        ("button", json!({ "payload": "P1", "text": "No" }), button("P1", "No")),
        (
            "interactive",
            json!({ "type": "button_reply", "button_reply": { "id": "b1", "title": "Yes" } }),
            button("b1", "Yes"),
        ),
        ("interactive", json!({ "type": "list_reply", "list_reply": row }), button("r1", "Red")),
        (
            "interactive",
            json!({ "type": "nfm_reply", "nfm_reply": {} }),
            unsupported("interactive", None),
        ),
        ("image", media.clone(), of_media("image")),
        ("audio", media.clone(), of_media("audio")),
        ("video", media.clone(), of_media("video")),
        ("document", media.clone(), of_media("document")),
        ("sticker", media, of_media("sticker")),
        ("location", json!({ "latitude": 48.8, "longitude": 2.3 }), unsupported("location", None)),
        ("contacts", json!([{ "name": { "formatted_name": "A" } }]), unsupported("contacts", None)),
        (
            "reaction",
            json!({ "message_id": "wamid.0", "emoji": "x" }),
            unsupported("reaction", None),
        ),
        ("unsupported", json!(null), unsupported("unsupported", None)),
        ("text", json!({ "body": "  " }), unsupported("text", None)),
    ];
    for (kind, content, expected) in cases {
        let body = payload(&[(NUMBER, json!([message("wamid.1", kind, content)]), json!([]))]);
        let read = read(&body, NUMBER).unwrap();
        assert_eq!(read.messages.len(), 1, "{kind}");
        assert_eq!(read.messages[0].content, expected, "{kind}");
        assert_eq!(
            (read.messages[0].at, read.messages[0].person.as_str()),
            (1_749_416_383, "15550100001")
        );
    }
}

#[test]
fn several_entries_with_messages_and_statuses_are_read_and_other_numbers_are_counted() {
    let text = |id: &str| message(id, "text", json!({ "body": id }));
    let status = |status: &str| {
        json!({ "id": "wamid.0", "status": status, "timestamp": "1749416384", "recipient_id": "15550100001",
            "errors": [{ "code": 131_026, "title": "Message undeliverable" }] })
    };
    let body = payload(&[
        (NUMBER, json!([text("a"), text("b")]), json!([])),
        ("1", json!([text("x")]), json!([])),
        (
            NUMBER,
            json!([{ "id": "no sender" }, text("c"), "no message"]),
            json!([status("sent"), status("failed")]),
        ),
    ]);
    let read = read(&body, NUMBER).unwrap();
    let ids: Vec<&str> = read.messages.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let statuses: Vec<_> = read.statuses.iter().map(|it| (it.status.as_str(), it.code)).collect();
    assert_eq!(statuses, [("sent", Some(131_026)), ("failed", Some(131_026))]);
    assert_eq!(read.statuses[0].person.as_deref(), Some("15550100001"));
    assert_eq!((read.others, read.unreadable), (1, 2));
}

#[test]
fn long_texts_and_many_messages_are_bounded() {
    let long = message("a", "text", json!({ "body": "é".repeat(100_000) }));
    let many: Vec<Value> =
        (0..1_200).map(|n| message(&n.to_string(), "text", json!({ "body": "x" }))).collect();
    let body = payload(&[(NUMBER, json!([long]), json!([])), (NUMBER, json!(many), json!([]))]);
    let read = read(&body, NUMBER).unwrap();
    let Content::Text { text } = &read.messages[0].content else { panic!("a text") };
    assert_eq!(text.chars().count(), crate::message::MOST_TEXT_CHARS);
    assert_eq!((read.messages.len(), read.unreadable), (1_000, 201));
}

/// Replaces the `at`-th value of `value`, counted in depth, by `with`.
fn mutate(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
        *at = usize::MAX;
        return;
    }
    *at -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mutate(item, at, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mutate(field, at, with)),
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[null], { "id": 1 }])),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn a_changed_payload_never_panics_and_its_messages_stay_usable(
        changes in prop::collection::vec((0_usize..60, any_value()), 1..4),
    ) {
        let text = message("a", "text", json!({ "body": "Hello" }));
        let reply = json!({ "type": "button_reply", "button_reply": { "id": "b", "title": "Yes" } });
        let button = message("b", "interactive", reply);
        let mut body = payload(&[(NUMBER, json!([text, button]), json!([{ "status": "read" }]))]);
        for (at, with) in changes {
            mutate(&mut body, &mut { at }, &with);
        }
        for message in read(&body, NUMBER).into_iter().flat_map(|read| read.messages) {
            prop_assert!(usable_id(&message.id).is_some() && usable_id(&message.person).is_some());
            prop_assert!(message.text().chars().count() <= crate::message::MOST_TEXT_CHARS);
            let stored = serde_json::to_vec(&message).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Incoming>(&stored).unwrap(), message);
        }
    }

    #[test]
    fn any_bytes_as_a_payload_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(body) = serde_json::from_slice::<Value>(&bytes) {
            let _ = read(&body, NUMBER);
        }
    }
}
