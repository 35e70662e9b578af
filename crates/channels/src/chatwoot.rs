//! Chatwoot: the bot as an agent bot of an inbox. It answers conversations that are `pending`; a person has those that are
//! `open`.

use crate::{
    adapter::{Adapter, Piece, PlatformCall, Receipt, Verdict},
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    message::{Content, Incoming, bounded_text, usable_id},
    settings::Chatwoot,
    text_pieces::{pieces, texts},
    turns::TurnReply,
    verification::{is_hex_hmac, is_same},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The largest difference between the clocks of the two sides.
const TOLERANCE_SECONDS: u64 = 300;
/// The most characters of a message, less than the platform takes.
const MOST_TEXT: usize = 10_000;
/// The most buttons under a message.
const MOST_BUTTONS: usize = 20;

/// An agent bot of Chatwoot.
pub(crate) struct ChatwootAdapter(Chatwoot);

impl ChatwootAdapter {
    pub(crate) fn new(settings: Chatwoot) -> Self {
        Self(settings)
    }

    /// Returns whether the request is signed: `sha256=` and the HMAC of `timestamp.body`. Servers that do not sign yet have the
    /// secret in the address, as the parameter `token`.
    fn is_verified(&self, request: &ReceivedRequest<'_>) -> bool {
        let secret = self.0.secret.expose().as_bytes();
        let Some(signature) = request.header("x-chatwoot-signature") else {
            let token = request.parameter("token").unwrap_or_default();
            return is_same(token.as_bytes(), secret);
        };
        let timestamp = request.header("x-chatwoot-timestamp").unwrap_or_default();
        let Ok(seconds) = timestamp.parse::<i64>() else { return false };
        let digits = signature.strip_prefix("sha256=").unwrap_or_default();
        let signed = [timestamp.as_bytes(), b".", request.body].concat();
        is_hex_hmac(secret, &signed, digits)
            && seconds.abs_diff(request.now.timestamp()) <= TOLERANCE_SECONDS
    }
}

/// Reads the message of an event in a conversation that the bot has; `None` for other events, and for messages of agents and
/// bots.
fn message(event: &Value, now: i64) -> Option<Incoming> {
    let id = event["id"].as_u64()?;
    let conversation = &event["conversation"];
    let contact = &conversation["contact_inbox"]["contact_id"];
    let person = contact.as_u64().or_else(|| event["sender"]["id"].as_u64())?;
    let (id, at, content) = match event["event"].as_str()? {
        "message_created" => {
            let is_incoming =
                event["message_type"] == "incoming" || event["message_type"].as_u64() == Some(0);
            if !is_incoming || event["private"].as_bool() == Some(true) {
                return None;
            }
            let at = match &event["created_at"] {
                Value::Number(seconds) => seconds.as_i64(),
                Value::String(at) => DateTime::parse_from_rfc3339(at).ok().map(|at| at.timestamp()),
                _ => None,
            };
            let content = match event["content"].as_str().filter(|text| !text.trim().is_empty()) {
                Some(text) => Content::Text { text: bounded_text(text) },
                None => {
                    let kind = event["attachments"][0]["file_type"].as_str().unwrap_or("unknown");
                    Content::Unsupported { kind: botops_text::display(kind, 40), media: None }
                }
            };
            (id.to_string(), at.unwrap_or(now), content)
        }
        // A button under a message of the bot: the message is changed.
        "message_updated" => {
            let chosen = &event["content_attributes"]["submitted_values"][0];
            let value = usable_id(chosen["value"].as_str()?)?;
            let title = bounded_text(chosen["title"].as_str().unwrap_or(&value));
            (format!("{id}-chosen"), now, Content::Button { id: value, title })
        }
        _ => return None,
    };
    let language = conversation["additional_attributes"]["browser_language"].as_str();
    Some(Incoming {
        id,
        conversation: conversation["id"].as_u64()?.to_string(),
        person: person.to_string(),
        at,
        language: language.filter(|language| language.len() <= 35).map(str::to_owned),
        content,
    })
}

impl Adapter for ChatwootAdapter {
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt {
        let refused = |status, code, problem| {
            Receipt::Answer(ChannelResponse::refused(status, code, problem))
        };
        if request.method != "POST" {
            return refused(405, "BOT-7511", "the method is not allowed");
        }
        if !self.is_verified(request) {
            counters.bad_signatures.add();
            return refused(401, "BOT-7512", "the signature is missing, wrong or too old");
        }
        let event = serde_json::from_slice::<Value>(request.body).unwrap_or_default();
        if !event["event"].is_string() {
            counters.malformed.add();
            return refused(400, "BOT-7511", "the body is no event");
        }
        // Events of another account are accepted: the platform would send them again.
        let account = event["account"]["id"].as_u64();
        if account.is_some_and(|account| account != self.0.account_id) {
            counters.unknown_accounts.add();
            return Receipt::Messages(Vec::new());
        }
        let message = message(&event, request.now.timestamp());
        let is_with_bot = event["conversation"]["status"] == "pending";
        if message.is_some() && !is_with_bot {
            counters.with_person.add();
        }
        Receipt::Messages(message.filter(|_| is_with_bot).into_iter().collect())
    }

    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece> {
        let target = |verb: &str| format!("conversations/{}/{verb}", message.conversation);
        let texts: Vec<String> =
            texts(reply).iter().flat_map(|text| pieces(text, MOST_TEXT)).collect();
        let items: Vec<Value> = reply
            .buttons
            .iter()
            .filter(|button| !button.id.is_empty() && !button.title.trim().is_empty())
            .take(MOST_BUTTONS)
            .map(|button| json!({ "title": button.title, "value": button.id }))
            .collect();
        let last = texts.len().saturating_sub(1);
        let body = |(index, text): (usize, &String)| {
            let mut body = json!({
                "content": text, "message_type": "outgoing", "private": false, "content_type": "text",
            });
            if index == last && !items.is_empty() {
                body["content_type"] = "input_select".into();
                body["content_attributes"] = json!({ "items": items });
            }
            Piece { target: target("messages"), body: body.to_string() }
        };
        let mut pieces: Vec<Piece> = texts.iter().enumerate().map(body).collect();
        if reply.handed_off {
            let body = json!({ "status": "open" }).to_string();
            pieces.push(Piece { target: target("toggle_status"), body });
        }
        pieces
    }

    fn knows_holder(&self) -> bool {
        true
    }

    fn call(&self, piece: &Piece, _id: &str, _now: DateTime<Utc>) -> PlatformCall {
        let Chatwoot { base_url, account_id, token, .. } = &self.0;
        PlatformCall {
            url: format!("{base_url}/api/v1/accounts/{account_id}/{}", piece.target),
            headers: vec![("api_access_token", token.expose().to_owned())],
            body: piece.body.clone(),
        }
    }

    fn verdict(&self, status: u16, _body: &[u8]) -> Verdict {
        Verdict::of_status(status)
    }
}
