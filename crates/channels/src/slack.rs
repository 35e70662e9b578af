//! The Slack Events API.

use crate::{
    adapter::{Adapter, Piece, PlatformCall, Receipt, Verdict},
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    message::{Content, Incoming, bounded_text, usable_id},
    settings::Slack,
    text_pieces::{pieces, texts},
    turns::TurnReply,
    verification::is_hex_hmac,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The largest age of a request, as Slack recommends.
const TOLERANCE_SECONDS: i64 = 300;
/// The most characters of a text, which Slack recommends.
const MOST_TEXT: usize = 4_000;

/// A Slack app.
pub(crate) struct SlackAdapter(Slack);

impl SlackAdapter {
    pub(crate) fn new(settings: Slack) -> Self {
        Self(settings)
    }

    /// Returns whether the request is signed: `v0=` and the HMAC of `v0:timestamp:body`.
    fn is_signed(&self, request: &ReceivedRequest<'_>) -> bool {
        let timestamp = request.header("x-slack-request-timestamp").unwrap_or_default();
        let Ok(seconds) = timestamp.parse::<i64>() else { return false };
        let age = seconds.abs_diff(request.now.timestamp());
        let digits = request.header("x-slack-signature").unwrap_or_default();
        let digits = digits.strip_prefix("v0=").unwrap_or_default();
        let signed = [b"v0:", timestamp.as_bytes(), b":", request.body].concat();
        let key = self.0.signing_secret.expose().as_bytes();
        is_hex_hmac(key, &signed, digits) && age <= TOLERANCE_SECONDS.unsigned_abs()
    }
}

/// Reads the message of an event; `None` for other events, and for messages of bots, edits and deletions.
fn message(body: &Value) -> Option<Incoming> {
    let event = &body["event"];
    let is_message = matches!(event["type"].as_str(), Some("message" | "app_mention"));
    let subtype = event["subtype"].as_str();
    if !is_message || event.get("bot_id").is_some_and(|id| !id.is_null()) {
        return None;
    }
    let channel = usable_id(event["channel"].as_str()?)?;
    let person = usable_id(event["user"].as_str()?)?;
    let ts = usable_id(event["ts"].as_str()?)?;
    let content = match (subtype, event["text"].as_str()) {
        (Some("file_share"), _) => Content::Unsupported { kind: "file".to_owned(), media: None },
        (Some(_), _) => return None,
        (None, Some(text)) if !text.trim().is_empty() => Content::Text { text: bounded_text(text) },
        (None, _) => return None,
    };
    // A thread is a conversation of its own, and is answered in the thread.
    let conversation = match event["thread_ts"].as_str() {
        Some(thread) => format!("{channel}/{thread}"),
        None => channel,
    };
    let at = ts.split('.').next()?.parse().ok()?;
    Some(Incoming {
        id: ts,
        conversation: usable_id(&conversation)?,
        person,
        at,
        language: None,
        content,
    })
}

impl Adapter for SlackAdapter {
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt {
        let refused = |status, code, problem| {
            Receipt::Answer(ChannelResponse::refused(status, code, problem))
        };
        if request.method != "POST" {
            return refused(405, "BOT-7511", "the method is not allowed");
        }
        if !self.is_signed(request) {
            counters.bad_signatures.add();
            return refused(401, "BOT-7512", "the signature is missing, wrong or too old");
        }
        let Ok(body) = serde_json::from_slice::<Value>(request.body) else {
            counters.malformed.add();
            return refused(400, "BOT-7511", "the body is not JSON");
        };
        match body["type"].as_str() {
            Some("url_verification") => {
                let challenge = body["challenge"].as_str().unwrap_or_default();
                let is_plain = challenge.len() <= 200
                    && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric());
                match is_plain {
                    true => Receipt::Answer(ChannelResponse::text(challenge.to_owned())),
                    false => refused(400, "BOT-7511", "the challenge is unreadable"),
                }
            }
            Some("event_callback") => Receipt::Messages(message(&body).into_iter().collect()),
            _ => Receipt::Messages(Vec::new()),
        }
    }

    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece> {
        let (channel, thread) = match message.conversation.split_once('/') {
            Some((channel, thread)) => (channel, Some(thread)),
            None => (message.conversation.as_str(), None),
        };
        let texts: Vec<String> =
            texts(reply).iter().flat_map(|text| pieces(text, MOST_TEXT)).collect();
        let body = |text: &String| {
            let mut body = json!({ "channel": channel, "text": text });
            if let Some(thread) = thread {
                body["thread_ts"] = thread.into();
            }
            Piece { target: "chat.postMessage".to_owned(), body: body.to_string() }
        };
        texts.iter().map(body).collect()
    }

    fn call(&self, piece: &Piece, _id: &str, _now: DateTime<Utc>) -> PlatformCall {
        PlatformCall {
            url: format!("{}/{}", self.0.base_url, piece.target),
            headers: vec![("authorization", format!("Bearer {}", self.0.token.expose()))],
            body: piece.body.clone(),
        }
    }

    fn verdict(&self, status: u16, body: &[u8]) -> Verdict {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (body["ok"].as_bool(), body["error"].as_str()) {
            (Some(false), Some("ratelimited" | "rate_limited" | "service_unavailable")) => {
                Verdict::Later(None)
            }
            (Some(false), Some("internal_error" | "fatal_error" | "request_timeout")) => {
                Verdict::Uncertain
            }
            (Some(false), error) => {
                let error = botops_text::display(error.unwrap_or("unknown"), 60);
                Verdict::Permanent(format!("the platform answers with the error `{error}`"))
            }
            _ => Verdict::of_status(status),
        }
    }

    fn per_second(&self) -> Option<u32> {
        // Slack takes one message a second in a channel, with short bursts; it names a pause when there are too many.
        None
    }
}
