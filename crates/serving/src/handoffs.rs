//! Hand-offs: a message to those who take a conversation over, delivered at least once.
//!
//! The turn that hands over stays open in the store until the message is delivered. The process that stored it tries until it
//! succeeds or stops; if it stopped, the next message of the conversation delivers what is still open.

use crate::app::App;
use botops_conversations::{Id, Named, Turn};
use botops_dialogue::HandOffCall;
use botops_telemetry::carry;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

/// The code of a hand-off that is not delivered yet.
const NOT_DELIVERED: &str = "BOT-6154";

/// The number of turns that the message shows.
const SHOWN_TURNS: u32 = 5;
/// The pause after the first attempt that failed. It doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The name that a log event of a hand-off has.
const EVENT: &str = "handoff";

/// A hand-off that is to be delivered.
pub(super) struct HandOff {
    /// The client's id of the conversation.
    pub(super) client_id: String,
    /// Its names.
    pub(super) named: Named,
    /// The number of the turn that hands over, and its id.
    pub(super) at: (i64, Id),
    /// The address and the reason.
    pub(super) call: HandOffCall,
    /// The turn as it is stored.
    pub(super) turn: Turn,
}

/// The message.
#[derive(Serialize)]
struct Message<'a> {
    /// `handoff`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the model.
    model: &'a str,
    /// The client's id of the conversation.
    conversation_id: &'a str,
    /// The number of the turn that hands over, from 0.
    message_number: i64,
    /// The cause, such as `fallbacks`.
    reason: &'static str,
    /// The intent that the conversation was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<&'a str>,
    /// The slots of the conversation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: &'a BTreeMap<String, String>,
    /// The last turns, the oldest first.
    turns: Vec<Said>,
}

/// A turn in the message, without personal data that is recognised.
#[derive(Serialize)]
struct Said {
    at: String,
    text: String,
    response: Option<String>,
}

/// Delivers a hand-off in the background, unless this process does so already.
pub(super) fn deliver(app: &Arc<App>, hand_off: HandOff) {
    if hand_off.call.webhook.is_none() || !app.outgoing.begin_delivery(hand_off.at.1) {
        return;
    }
    app.metrics.turns.hand_offs.inc();
    let server = Arc::downgrade(app);
    tokio::spawn(carry(attempts(server, hand_off)));
}

/// Tries until it succeeds, or the server is gone.
async fn attempts(server: Weak<App>, hand_off: HandOff) {
    let HandOff { client_id, named, at, call, turn } = hand_off;
    let url = call.webhook.as_deref().unwrap_or_default();
    let mut body = None;
    let mut pause = FIRST_PAUSE;
    let mut in_trouble = false;
    loop {
        let Some(app) = server.upgrade() else { return };
        if body.is_none() {
            body = message(&app, (&client_id, &named, at.0), &call).await;
        }
        let sent = match &body {
            Some(body) => app.outgoing.post((url, body), at.1, app.clock.now().timestamp()).await,
            None => Err("the conversation cannot be read".to_owned()),
        };
        let problem = match sent {
            Ok(()) => {
                app.metrics.turns.hand_offs_delivered.inc();
                if let Some(settings) = &app.conversations {
                    // If this fails, the message is delivered again, under the same id.
                    let _ = settings.conversations.settle(&named, at, (&turn, false)).await;
                }
                app.outgoing.end_delivery(at.1);
                if in_trouble {
                    let text = "a hand-off is delivered after all".to_owned();
                    app.log.event(app.clock.now(), "info", EVENT, text);
                }
                return;
            }
            Err(problem) => problem,
        };
        app.metrics.turns.hand_off_attempts_failed.inc();
        if !std::mem::replace(&mut in_trouble, true) {
            let text = format!(
                "{NOT_DELIVERED}: a hand-off of conversation {} is not delivered: {problem}; it is tried again until it succeeds",
                named.conversation
            );
            app.log.event(app.clock.now(), "error", EVENT, text);
        }
        drop(app);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Writes the message; `None` if the conversation cannot be read.
async fn message(
    app: &App,
    (client_id, named, number): (&str, &Named, i64),
    call: &HandOffCall,
) -> Option<String> {
    let settings = app.conversations.as_ref()?;
    let turns =
        settings.conversations.last_turns(named, number, SHOWN_TURNS).await.ok()?.into_iter();
    let said = turns.filter_map(|stored| {
        let turn = stored.turn?;
        let answer: serde_json::Value = serde_json::from_str(&turn.answer).ok()?;
        let at = DateTime::<Utc>::from_timestamp_millis(stored.row.at)?;
        Some(Said {
            at: at.to_rfc3339_opts(SecondsFormat::Millis, true),
            text: botops_text::redact(&turn.text),
            response: answer["response"].as_str().map(botops_text::redact),
        })
    });
    let message = Message {
        kind: "handoff",
        model: &app.model,
        conversation_id: client_id,
        message_number: number,
        reason: call.reason.as_str(),
        intent: call.intent.as_deref(),
        slots: &call.slots,
        turns: said.collect(),
    };
    Some(serde_json::to_string(&message).expect("a message can be written as JSON"))
}
