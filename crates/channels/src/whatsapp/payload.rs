//! The payload of a webhook request: entries with changes, each with messages or statuses.

use crate::message::{Content, Incoming, bounded_text, usable_id};
use serde_json::Value;

/// The most messages and statuses that one request can have; the platform sends far fewer.
const MOST_ITEMS: usize = 1_000;

/// The content of a payload for one number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Payload {
    /// The messages, in order.
    pub(super) messages: Vec<Incoming>,
    /// The statuses of sent messages: `sent`, `delivered`, `read` or `failed`.
    pub(super) statuses: Vec<Status>,
    /// The changes for other numbers.
    pub(super) others: u64,
    /// The messages that cannot be read: without an id, a sender or a time.
    pub(super) unreadable: u64,
}

/// The status of a sent message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// The status.
    pub(super) status: String,
    /// The person it was sent to.
    pub(super) person: Option<String>,
    /// The id of the call that sent it.
    pub(super) call: Option<String>,
    /// The first error code, of a status `failed`.
    pub(super) code: Option<i64>,
}

/// Reads a payload; `None` if it is none of `whatsapp_business_account`. Fields that are not known are passed over.
pub(super) fn read(body: &Value, phone_number_id: &str) -> Option<Payload> {
    if body["object"].as_str() != Some("whatsapp_business_account") {
        return None;
    }
    let mut payload = Payload::default();
    let empty = Vec::new();
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let entries = body["entry"].as_array().unwrap_or(&empty);
    let changes = entries.iter().flat_map(|entry| list(&entry["changes"])).take(MOST_ITEMS);
    for change in changes.filter(|change| change["field"].as_str() == Some("messages")) {
        let value = &change["value"];
        if value["metadata"]["phone_number_id"].as_str() != Some(phone_number_id) {
            payload.others += 1;
            continue;
        }
        for status in list(&value["statuses"]) {
            if payload.statuses.len() < MOST_ITEMS
                && let Some(kind) = status["status"].as_str()
            {
                let text = |field: &str| status[field].as_str().and_then(usable_id);
                payload.statuses.push(Status {
                    status: botops_text::display(kind, 40),
                    person: text("recipient_id"),
                    call: text("biz_opaque_callback_data"),
                    code: status["errors"][0]["code"].as_i64(),
                });
            }
        }
        for message in list(&value["messages"]) {
            match read_message(&message).filter(|_| payload.messages.len() < MOST_ITEMS) {
                Some(message) => payload.messages.push(message),
                None => payload.unreadable += 1,
            }
        }
    }
    Some(payload)
}

/// Reads one message.
fn read_message(message: &Value) -> Option<Incoming> {
    let id = usable_id(message["id"].as_str()?)?;
    let from = usable_id(message["from"].as_str()?)?;
    let at = match &message["timestamp"] {
        Value::String(seconds) => seconds.parse().ok()?,
        Value::Number(seconds) => seconds.as_i64()?,
        _ => return None,
    };
    let content = content(message);
    Some(Incoming { id, conversation: from.clone(), person: from, at, language: None, content })
}

/// Reads the content of a message by its type.
fn content(message: &Value) -> Content {
    let kind = message["type"].as_str().unwrap_or("unsupported");
    let button = |id: &Value, title: &Value| {
        let title = bounded_text(title.as_str()?);
        // The payload of a button of a template may be long; it is kept as far as an id may go.
        let id = usable_id(id.as_str()?).unwrap_or_else(|| title.clone());
        Some(Content::Button { id, title })
    };
    let known = match kind {
        "text" => message["text"]["body"]
            .as_str()
            .filter(|text| !text.trim().is_empty())
            .map(|text| Content::Text { text: bounded_text(text) }),
        // The quick reply of a template.
        "button" => button(&message["button"]["payload"], &message["button"]["text"]),
        "interactive" => {
            let interactive = &message["interactive"];
            let reply = match interactive["type"].as_str() {
                Some("button_reply") => &interactive["button_reply"],
                Some("list_reply") => &interactive["list_reply"],
                _ => &Value::Null,
            };
            button(&reply["id"], &reply["title"])
        }
        _ => None,
    };
    known.unwrap_or_else(|| Content::Unsupported {
        kind: botops_text::display(kind, 40),
        media: message[kind]["id"].as_str().and_then(usable_id),
    })
}
