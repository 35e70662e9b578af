//! The generic webhook: signed JSON in both directions, in the format of Standard Webhooks.

use crate::{
    adapter::{Adapter, Piece, PlatformCall, Receipt, Verdict},
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    handoff_call::signed,
    message::{Content, Incoming, bounded_text, usable_id},
    settings::GenericWebhook,
    text_pieces::texts,
    turns::TurnReply,
    verification::signed_at,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

/// A generic webhook.
pub(crate) struct WebhookAdapter {
    channel: String,
    settings: GenericWebhook,
}

/// The body of a request.
#[derive(Deserialize)]
struct Body {
    conversation_id: String,
    message_id: String,
    #[serde(default)]
    person: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    button: Option<Button>,
    /// A type other than text, such as `image`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

/// A button that a person chose.
#[derive(Deserialize)]
struct Button {
    id: String,
    #[serde(default)]
    title: String,
}

impl WebhookAdapter {
    pub(crate) fn new(channel: &str, settings: GenericWebhook) -> Self {
        Self { channel: channel.to_owned(), settings }
    }

    fn read(body: Body, at: i64) -> Option<Incoming> {
        let content = match (body.button, body.text, body.kind) {
            (Some(button), text, _) => Content::Button {
                id: usable_id(&button.id)?,
                title: bounded_text(text.as_deref().unwrap_or(&button.title)),
            },
            (None, Some(text), None) => Content::Text { text: bounded_text(&text) },
            (None, Some(text), Some(kind)) if kind == "text" => {
                Content::Text { text: bounded_text(&text) }
            }
            (None, _, Some(kind)) => {
                Content::Unsupported { kind: botops_text::display(&kind, 40), media: None }
            }
            (None, None, None) => return None,
        };
        let conversation = usable_id(&body.conversation_id)?;
        let person = match body.person {
            Some(person) => usable_id(&person)?,
            None => conversation.clone(),
        };
        let id = usable_id(&body.message_id)?;
        let language = body.language.filter(|language| language.len() <= 35);
        Some(Incoming { id, conversation, person, at, language, content })
    }
}

impl Adapter for WebhookAdapter {
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt {
        let refused = |status, code, problem| {
            Receipt::Answer(ChannelResponse::refused(status, code, problem))
        };
        if request.method != "POST" {
            return refused(405, "BOT-7511", "the method is not allowed");
        }
        let Some(at) = signed_at(request, &self.settings.keys) else {
            counters.bad_signatures.add();
            return refused(401, "BOT-7512", "the signature is missing, wrong or too old");
        };
        let body = serde_json::from_slice::<Body>(request.body).ok();
        match body.and_then(|body| Self::read(body, at)) {
            Some(message) => Receipt::Messages(vec![message]),
            None => {
                counters.malformed.add();
                let problem =
                    "the body needs `conversation_id`, `message_id`, and `text` or `button`";
                refused(400, "BOT-7511", problem)
            }
        }
    }

    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece> {
        let plain = TurnReply { texts: reply.texts.clone(), ..TurnReply::default() };
        let buttons: Vec<Value> = reply
            .buttons
            .iter()
            .map(|button| json!({ "id": button.id, "title": button.title }))
            .collect();
        let sources: Vec<Value> = reply
            .sources
            .iter()
            .map(|source| json!({ "title": source.title, "url": source.url }))
            .collect();
        let body = json!({
            "schema": "botops.channel-answer/1",
            "channel": self.channel,
            "conversation_id": message.conversation,
            "message_id": message.id,
            "person": message.person,
            "texts": texts(&plain),
            "buttons": buttons,
            "sources": sources,
            "handed_off": reply.handed_off,
            "language": reply.language,
        });
        vec![Piece { target: String::new(), body: body.to_string() }]
    }

    fn call(&self, piece: &Piece, id: &str, now: DateTime<Utc>) -> PlatformCall {
        signed(self.settings.url.expose(), &self.settings.reply_keys, (piece, id, now))
    }

    fn verdict(&self, status: u16, _body: &[u8]) -> Verdict {
        Verdict::of_status(status)
    }
}
