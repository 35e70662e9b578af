//! The call that hands a conversation to a person.

use crate::{
    adapter::{Piece, PlatformCall},
    message::{Content, Incoming},
    settings::{Handoff, HandoffShape},
};
use botops_http::SigningKey;
use chrono::{DateTime, Utc};
use serde_json::json;

/// Returns the body of a hand-off.
pub(crate) fn piece(
    handoff: &Handoff,
    channel: &str,
    (message, texts): (&Incoming, &[String]),
) -> Piece {
    let body = match handoff.shape {
        HandoffShape::Botops => json!({
            "schema": "botops.channel-handoff/1",
            "channel": channel,
            "conversation_id": message.conversation,
            "person": message.person,
            "message_id": message.id,
            "type": kind(&message.content),
            "text": message.text(),
            "language": message.language,
            "answers": texts,
        }),
        // The event that Chatwoot sends to an agent bot, so that one receiver reads both.
        HandoffShape::Chatwoot => json!({
            "event": "message_created",
            "id": message.id,
            "content": message.text(),
            "content_type": "text",
            "message_type": "incoming",
            "private": false,
            "created_at": at(message.at),
            "source_id": message.id,
            "sender": { "id": message.person, "type": "contact", "identifier": message.person },
            "conversation": {
                "id": message.conversation,
                "status": "open",
                "channel": channel,
                "contact_inbox": { "source_id": message.conversation },
            },
            "inbox": { "name": channel },
        }),
    };
    Piece { target: String::new(), body: body.to_string() }
}

/// Returns the type of a message, as platforms call it.
fn kind(content: &Content) -> &str {
    match content {
        Content::Text { .. } => "text",
        Content::Button { .. } => "button",
        Content::Unsupported { kind, .. } => kind,
    }
}

fn at(seconds: i64) -> Option<String> {
    DateTime::<Utc>::from_timestamp(seconds, 0).map(|at| at.to_rfc3339())
}

/// Makes a signed call.
pub(crate) fn signed(
    url: &str,
    keys: &[SigningKey],
    (piece, id, now): (&Piece, &str, DateTime<Utc>),
) -> PlatformCall {
    let timestamp = now.timestamp();
    let mut headers =
        vec![("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp.to_string())];
    let signatures: Vec<String> =
        keys.iter().map(|key| key.sign(id, timestamp, &piece.body)).collect();
    if !signatures.is_empty() {
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    PlatformCall { url: url.to_owned(), headers, body: piece.body.clone() }
}
