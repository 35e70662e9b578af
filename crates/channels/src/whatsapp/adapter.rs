//! Requests of the platform, verified and read, and calls to it.

use super::{errors, payload, rendering};
use crate::{
    adapter::{Adapter, Piece, PlatformCall, Receipt, SendReport, Verdict},
    counters::Counters,
    exchange::{ChannelResponse, ReceivedRequest},
    message::{Content, Incoming},
    settings::WhatsApp,
    turns::TurnReply,
    verification::{is_hex_hmac, is_same},
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// The time after a message in which the platform takes free text.
const WINDOW_SECONDS: i64 = 24 * 3600;

/// A number of the WhatsApp Cloud API.
pub(crate) struct WhatsAppAdapter(WhatsApp);

impl WhatsAppAdapter {
    pub(crate) fn new(settings: WhatsApp) -> Self {
        Self(settings)
    }

    /// Answers the challenge by which the platform checks the address.
    fn challenge(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> ChannelResponse {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        let is_known = is_same(
            parameter("hub.verify_token").as_bytes(),
            self.0.verify_token.expose().as_bytes(),
        );
        if parameter("hub.mode") != "subscribe" || !is_known {
            counters.bad_signatures.add();
            return ChannelResponse::refused(403, "BOT-7512", "the verification token is wrong");
        }
        let challenge = parameter("hub.challenge");
        // It is sent back as text, and is a number: nothing else of the query comes back.
        match challenge.len() <= 200 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            true => ChannelResponse::text(challenge),
            false => ChannelResponse::refused(400, "BOT-7511", "the challenge is unreadable"),
        }
    }
}

impl Adapter for WhatsAppAdapter {
    fn receive(&self, request: &ReceivedRequest<'_>, counters: &Counters) -> Receipt {
        let refused = |status, code, problem| {
            Receipt::Answer(ChannelResponse::refused(status, code, problem))
        };
        match request.method {
            "GET" => return Receipt::Answer(self.challenge(request, counters)),
            "POST" => {}
            _ => return refused(405, "BOT-7511", "the method is not allowed"),
        }
        let signature = request.header("x-hub-signature-256").unwrap_or_default();
        let digits = signature.strip_prefix("sha256=").unwrap_or_default();
        if !is_hex_hmac(self.0.app_secret.expose().as_bytes(), request.body, digits) {
            counters.bad_signatures.add();
            return refused(401, "BOT-7512", "the signature is missing or wrong");
        }
        let body: Option<Value> = serde_json::from_slice(request.body).ok();
        let payload = body.and_then(|body| payload::read(&body, &self.0.phone_number_id));
        let Some(payload) = payload else {
            counters.malformed.add();
            return refused(400, "BOT-7511", "the body is no payload of WhatsApp");
        };
        // A request for another number is accepted, or the platform would send it again for days.
        counters.unknown_accounts.add_many(payload.others);
        counters.malformed.add_many(payload.unreadable);
        for status in &payload.statuses {
            match status.status.as_str() {
                "sent" => counters.status_sent.add(),
                "delivered" => counters.status_delivered.add(),
                "read" => counters.status_read.add(),
                "failed" => counters.status_failed.add(),
                _ => {}
            }
        }
        // A reaction wants no answer.
        let is_reaction = |message: &Incoming| matches!(&message.content, Content::Unsupported { kind, .. } if kind == "reaction" || kind == "system");
        let messages = payload.messages.into_iter().filter(|message| !is_reaction(message));
        let failed = payload.statuses.into_iter().filter(|status| status.status == "failed");
        let reports = failed.map(|status| {
            let code = status.code.unwrap_or_default();
            let (person, call) = (status.person, status.call);
            SendReport { person, call, code, fate: errors::fate(code) }
        });
        let reports = reports.collect();
        Receipt::Reported(messages.collect(), reports)
    }

    fn render(&self, message: &Incoming, reply: &TurnReply) -> Vec<Piece> {
        rendering::render(&message.person, reply)
    }

    fn read_mark(&self, message: &Incoming) -> Option<Piece> {
        let body = json!({
            "messaging_product": "whatsapp", "status": "read", "message_id": message.id,
        });
        self.0.mark_read.then(|| rendering::piece(&body))
    }

    fn is_window_closed(&self, message: &Incoming, now: DateTime<Utc>) -> bool {
        now.timestamp().saturating_sub(message.at) >= WINDOW_SECONDS
    }

    fn reopening(&self, message: &Incoming, piece: &Piece) -> Option<Piece> {
        let template = self.0.template.as_ref()?;
        Some(rendering::template(template, &message.person, piece))
    }

    fn keeps_answers(&self) -> bool {
        self.0.resend_failed
    }

    fn call(&self, piece: &Piece, id: &str, _now: DateTime<Utc>) -> PlatformCall {
        let WhatsApp { base_url, version, phone_number_id, .. } = &self.0;
        PlatformCall {
            url: format!("{base_url}/{version}/{phone_number_id}/messages"),
            headers: vec![("authorization", format!("Bearer {}", self.0.token.expose()))],
            body: match self.0.resend_failed {
                true => rendering::with_id(piece, id),
                false => piece.body.clone(),
            },
        }
    }

    fn verdict(&self, status: u16, body: &[u8]) -> Verdict {
        errors::verdict(status, body)
    }

    fn per_second(&self) -> Option<u32> {
        Some(self.0.per_second)
    }
}
