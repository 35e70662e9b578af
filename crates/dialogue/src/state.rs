//! [`DialogueState`]: the part of a conversation that decides the next answer, stored with each turn.

use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The schema of a stored state.
pub(crate) const SCHEMA: &str = "botops.dialogue_state/1";
/// The schema of a state with a question. Servers that know no questions refuse it as newer, and read all others.
pub(crate) const SCHEMA_WITH_QUESTION: &str = "botops.dialogue_state/2";
/// The most slots of a dialogue, so of a state.
pub(crate) const MAX_SLOTS: usize = 64;
/// The longest question that is remembered, in bytes. A longer one is rarely followed up by a short one.
pub(crate) const MAX_QUESTION: usize = 500;
/// The longest value of a slot, in code points.
pub(crate) const MAX_VALUE: usize = 256;

/// The state of a conversation between two turns. The default is that of a new conversation.
///
/// - there are at most 64 slots, whose values have at most 256 code points
/// - at most one thing is awaited
/// - it is written as JSON and read back without loss
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialogueState {
    /// Slot to value. Values that expired are removed at the next turn.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, SlotValue>,
    /// The answer that the bot waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
    /// The messages in a row that were not understood.
    #[serde(skip_serializing_if = "is_zero")]
    pub fallbacks: u32,
    /// The hand-off to a person, while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_off: Option<HandedOff>,
    /// The number of turns so far; it chooses among the variants of a response.
    #[serde(skip_serializing_if = "is_zero")]
    pub turns: u32,
    /// The language of the last answer, such as `fr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The last question that knowledge answered, completed: a follow-up is completed from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// The value of a slot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotValue {
    /// The value as the user wrote it, in one line.
    pub value: String,
    /// Its normal form, such as `{"date": "2026-11-30"}`, if its entity has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<Value>,
    /// The time at which it was said.
    pub at: DateTime<Utc>,
}

/// The answer that a bot waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "awaits", rename_all = "snake_case", deny_unknown_fields)]
pub enum Awaited {
    /// The value of a slot that an intent needs.
    Slot {
        /// The intent that goes on once the slot is filled.
        intent: String,
        /// The slot that was asked for.
        slot: String,
        /// The number of questions so far.
        tries: u32,
    },
    /// Yes or no, before an intent is carried out.
    Confirmation {
        /// The intent that goes on after yes.
        intent: String,
        /// The number of questions so far.
        tries: u32,
    },
    /// One of two intents.
    Clarification {
        /// The likeliest intent of the unclear message.
        first: String,
        /// The second.
        second: String,
    },
    /// The outcome of an action.
    Action {
        /// The intent whose action was called.
        intent: String,
        /// From then on, an outcome that was not recorded is unknown.
        until: DateTime<Utc>,
        /// Chooses among the variants of the response.
        pick: u64,
    },
}

/// The hand-off of a conversation to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOff {
    /// The time of the hand-off.
    pub at: DateTime<Utc>,
    /// The cause.
    pub reason: HandOffReason,
}

/// The cause of a hand-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandOffReason {
    /// The user asked for a person.
    Asked,
    /// Too many messages in a row were not understood.
    Fallbacks,
    /// A slot that an intent needs was not given.
    SlotNotGiven,
    /// The other side refused an action, or it could not be called.
    ActionFailed,
    /// The outcome of an action is not known.
    ActionUnknown,
}

impl HandOffReason {
    /// Returns the cause as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Fallbacks => "fallbacks",
            Self::SlotNotGiven => "slot_not_given",
            Self::ActionFailed => "action_failed",
            Self::ActionUnknown => "action_unknown",
        }
    }
}

impl DialogueState {
    /// Reads a stored state: null is a new conversation. An object without schema is that of an older botops: its
    /// strings, numbers and truth values are slots, said at `at`.
    ///
    /// # Errors
    /// `BOT-1110` (exit 6) if a newer botops wrote it; `BOT-1111` (exit 3) if it is damaged.
    pub fn read(stored: &Value, at: DateTime<Utc>) -> Result<Self> {
        let damaged = |message: String| {
            Fault::data("BOT-1111", format!("the stored state of a dialogue is damaged: {message}"))
                .hint("forget the conversation with `botops conversations forget ID --reason TEXT`; it then begins anew")
        };
        let fields = match stored {
            Value::Null => return Ok(Self::default()),
            Value::Object(fields) => fields,
            _ => return Err(damaged("it is no object".to_owned())),
        };
        match fields.get("schema").and_then(Value::as_str) {
            // Builds before the second schema wrote questions under the first.
            Some(SCHEMA | SCHEMA_WITH_QUESTION) => {
                let mut fields = fields.clone();
                fields.remove("schema");
                serde_json::from_value(Value::Object(fields))
                    .map_err(|error| damaged(error.to_string()))
            }
            Some(newer) if newer.starts_with("botops.dialogue_state/") => Err(Fault::policy(
                "BOT-1110",
                format!(
                    "the state of the dialogue is `{newer}`, and this botops reads `{SCHEMA_WITH_QUESTION}`"
                ),
            )
            .hint("upgrade this server")),
            _ => Ok(Self { slots: plain_slots(fields, at), ..Self::default() }),
        }
    }

    /// Returns the state as it is stored: null for a new conversation.
    ///
    /// # Panics
    /// Never: a state can be written as JSON.
    #[must_use]
    pub fn stored(&self) -> Value {
        if *self == Self::default() {
            return Value::Null;
        }
        let mut value = serde_json::to_value(self).expect("a state can be written as JSON");
        let schema = if self.question.is_some() { SCHEMA_WITH_QUESTION } else { SCHEMA };
        value["schema"] = schema.into();
        value
    }

    /// Remembers the question that knowledge answered.
    pub fn remember(&mut self, question: &str) {
        self.question = (question.len() <= MAX_QUESTION).then(|| question.to_owned());
    }

    /// Returns the values of the slots as a JSON object of strings, for the answer to the client.
    #[must_use]
    pub fn slot_values(&self) -> BTreeMap<&str, &str> {
        self.slots.iter().map(|(name, slot)| (name.as_str(), slot.value.as_str())).collect()
    }

    /// Returns the name of the state, for the answer to the client: `handed_off`, `awaiting_slot`,
    /// `awaiting_confirmation`, `awaiting_clarification` or `awaiting_action`; `None` if nothing is awaited.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        if self.handed_off.is_some() {
            return Some("handed_off");
        }
        self.awaited.as_ref().map(|awaited| match awaited {
            Awaited::Slot { .. } => "awaiting_slot",
            Awaited::Confirmation { .. } => "awaiting_confirmation",
            Awaited::Clarification { .. } => "awaiting_clarification",
            Awaited::Action { .. } => "awaiting_action",
        })
    }
}

/// Returns the slots of a plain object.
fn plain_slots(
    fields: &serde_json::Map<String, Value>,
    at: DateTime<Utc>,
) -> BTreeMap<String, SlotValue> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    fields
        .iter()
        .filter_map(|(name, value)| {
            let value = text(value).filter(|value| value.chars().count() <= MAX_VALUE)?;
            Some((name.clone(), SlotValue { value, normalised: None, at }))
        })
        .take(MAX_SLOTS)
        .collect()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}
