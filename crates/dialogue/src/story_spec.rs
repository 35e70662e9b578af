//! Stories as written in YAML: conversations with the expected answers.

use crate::state::HandOffReason;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A conversation that is replayed, with the expected answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorySpec {
    /// The name.
    pub story: String,
    /// The language of the messages; without one, it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The time of the first message; noon of 1 January 2026 (UTC) by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
    /// The messages, with the answers.
    pub turns: Vec<TurnSpec>,
}

/// One message of a story, and the expected answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnSpec {
    /// The message.
    pub user: String,
    /// The payload of the button that is pressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<String>,
    /// The time since the message before, such as `40m`; one second by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The intent of the message: given to the dialogue, or, with a model, expected of it. `none` is not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Intents with their probabilities, without a model; otherwise the intent has probability 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ranking: BTreeMap<String, f64>,
    /// The outcome of the action that the turn calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeSpec>,
    /// A part of the expected text of the answer; white space counts as one space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Texts of the expected buttons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buttons: Option<Vec<String>>,
    /// Slot to expected value; null if it is not filled. Other slots are not looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, Option<String>>,
    /// The expected state after the turn, such as `awaiting_slot`; `none` if nothing is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The expected branch, such as `return_request/ask/order_number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The expected call of an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallSpec>,
    /// The expected cause of a hand-off in this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handoff: Option<HandOffReason>,
}

/// An expected call of an action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSpec {
    /// The intent whose action it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The outcome of an action in a story: one of its keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutcomeSpec {
    /// The JSON of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<Value>,
    /// The status of a refusal, such as 404.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u16>,
    /// Whether the call could not be sent.
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// Whether the outcome is not known.
    #[serde(skip_serializing_if = "is_false")]
    pub unknown: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
