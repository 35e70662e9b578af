//! The Telegram Bot API.

use crate::{
    adapter::{Adapter, Piece, PlatformCall, Receipt, Verdict},
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    message::{Content, Incoming, bounded_text, usable_id},
    settings::Telegram,
    text_pieces::{pieces, texts},
    turns::TurnReply,
    verification::is_same,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::time::Duration;

/// The most characters of a text.
const MOST_TEXT: usize = 4_096;
/// The most bytes of the data of a button.
const MOST_DATA: usize = 64;

/// A Telegram bot.
pub(crate) struct TelegramAdapter(Telegram);

impl TelegramAdapter {
    pub(crate) fn new(settings: Telegram) -> Self {
        Self(settings)
    }
}

/// Reads the message of an update, or the button of one; `None` for other updates. The id is that of the update.
fn message(update: &Value, now: i64) -> Option<Incoming> {
    let id = update["update_id"].as_i64()?.to_string();
    let (message, from, content, at) = match update.get("callback_query") {
        Some(query) => {
            let data = usable_id(query["data"].as_str()?)?;
            let content = Content::Button { title: data.clone(), id: data };
            (&query["message"], &query["from"], content, now)
        }
        None => {
            let message = update.get("message")?;
            let content = match message["text"].as_str().filter(|text| !text.trim().is_empty()) {
                Some("/start") => Content::Text { text: "start".to_owned() },
                Some("/stop") => Content::Text { text: "stop".to_owned() },
                Some(text) => Content::Text { text: bounded_text(text) },
                None => Content::Unsupported { kind: "media".to_owned(), media: None },
            };
            (message, &message["from"], content, message["date"].as_i64()?)
        }
    };
    if from["is_bot"].as_bool() == Some(true) {
        return None;
    }
    let conversation = message["chat"]["id"].as_i64()?.to_string();
    let person = from["id"].as_i64().map_or_else(|| conversation.clone(), |id| id.to_string());
    let language = from["language_code"].as_str().filter(|code| code.len() <= 35);
    let language = language.map(str::to_owned);
    Some(Incoming { id, conversation, person, at, language, content })
}

impl Adapter for TelegramAdapter {
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt {
        let refused = |status, code, problem| {
            Receipt::Answer(ChannelResponse::refused(status, code, problem))
        };
        if request.method != "POST" {
            return refused(405, "BOT-7511", "the method is not allowed");
        }
        let token = request.header("x-telegram-bot-api-secret-token").unwrap_or_default();
        if !is_same(token.as_bytes(), self.0.secret_token.expose().as_bytes()) {
            counters.bad_signatures.add();
            return refused(401, "BOT-7512", "the secret token is missing or wrong");
        }
        match serde_json::from_slice::<Value>(request.body) {
            Ok(update) if update["update_id"].is_i64() => {
                Receipt::Messages(message(&update, request.now.timestamp()).into_iter().collect())
            }
            _ => {
                counters.malformed.add();
                refused(400, "BOT-7511", "the body is no update")
            }
        }
    }

    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece> {
        let texts: Vec<String> =
            texts(reply).iter().flat_map(|text| pieces(text, MOST_TEXT)).collect();
        let fits = |id: &str| !id.is_empty() && id.len() <= MOST_DATA;
        let keyboard: Vec<Value> = reply
            .buttons
            .iter()
            .filter(|button| fits(&button.id) && !button.title.trim().is_empty())
            .take(100)
            .map(|button| json!([{ "text": button.title, "callback_data": button.id }]))
            .collect();
        let chat: i64 = message.conversation.parse().unwrap_or_default();
        let last = texts.len().saturating_sub(1);
        let body = |(index, text): (usize, &String)| {
            let mut body = json!({ "chat_id": chat, "text": text });
            if index == last && !keyboard.is_empty() {
                body["reply_markup"] = json!({ "inline_keyboard": keyboard });
            }
            Piece { target: "sendMessage".to_owned(), body: body.to_string() }
        };
        texts.iter().enumerate().map(body).collect()
    }

    fn call(&self, piece: &Piece, _id: &str, _now: DateTime<Utc>) -> PlatformCall {
        let token = self.0.token.expose();
        PlatformCall {
            url: format!("{}/bot{token}/{}", self.0.base_url, piece.target),
            headers: Vec::new(),
            body: piece.body.clone(),
        }
    }

    fn verdict(&self, status: u16, body: &[u8]) -> Verdict {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (Verdict::of_status(status), body["parameters"]["retry_after"].as_u64()) {
            (Verdict::Later(_), Some(seconds)) => {
                Verdict::Later(Some(Duration::from_secs(seconds)))
            }
            (verdict, _) => verdict,
        }
    }

    fn per_second(&self) -> Option<u32> {
        // The limit of a bot over all chats.
        Some(30)
    }
}
