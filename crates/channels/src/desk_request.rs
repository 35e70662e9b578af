//! A request of the desk, which received the hand-off: a person takes a conversation, or gives it back.

use crate::{
    exchange::{ChannelResponse, ReceivedRequest},
    message::usable_id,
    settings::Handoff,
    verification::signed_at,
};
use serde_json::Value;

/// The schema of a request.
const SCHEMA: &str = "botops.channel-conversation/1";

/// The news about a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeskNews {
    /// The id of the conversation on the platform.
    pub(crate) conversation: String,
    /// The id of the request, the same in every try.
    pub(crate) id: String,
    /// Whether a person has it now, and the bot is silent.
    pub(crate) is_with_person: bool,
}

/// Reads a request of the desk, signed by a key of the hand-off; `None` if it is not of the desk.
///
/// It is `{"schema": "botops.channel-conversation/1", "conversation_id": "c1", "status": "pending"}`, or the event of a
/// conversation that Chatwoot sends to an agent bot. The statuses are Chatwoot's: a person has an `open` conversation, the
/// bot one that is `pending` or `resolved`. A `snoozed` one stays with the person.
///
/// # Errors
/// The response to a request that is not signed, or has no conversation or status.
pub(crate) fn read(
    request: &ReceivedRequest<'_>,
    handoff: Option<&Handoff>,
) -> Option<Result<DeskNews, ChannelResponse>> {
    let handoff = handoff.filter(|handoff| !handoff.keys.is_empty())?;
    if request.method != "POST" || request.header("webhook-signature").is_none() {
        return None;
    }
    let body: Value = serde_json::from_slice(request.body).ok()?;
    let is_event = body["event"].as_str().is_some_and(|event| event.starts_with("conversation_"));
    if body["schema"].as_str() != Some(SCHEMA) && !is_event {
        return None;
    }
    if signed_at(request, &handoff.keys).is_none() {
        let problem = "the signature is missing, wrong or too old";
        return Some(Err(ChannelResponse::refused(401, "BOT-7512", problem)));
    }
    // In Chatwoot's event, the id of the platform is the source of the contact, as hand-offs give it.
    let id = match is_event {
        true => body["contact_inbox"]["source_id"].as_str(),
        false => body["conversation_id"].as_str(),
    };
    let request_id = request.header("webhook-id").unwrap_or_default().to_owned();
    let news = id.and_then(usable_id).zip(body["status"].as_str()).and_then(|(id, status)| {
        let is_with_person = match status {
            "open" | "snoozed" => true,
            "pending" | "resolved" => false,
            _ => return None,
        };
        Some(DeskNews { conversation: id, id: request_id.clone(), is_with_person })
    });
    let problem = "the body needs `conversation_id`, and a `status` of `open`, `pending`, `resolved` or `snoozed`";
    Some(news.ok_or_else(|| ChannelResponse::refused(400, "BOT-7511", problem)))
}
