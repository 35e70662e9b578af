//! One turn: a message as understood goes in, a [`Step`] comes out.

use crate::{
    call_method::CallMethod,
    entities::Entity,
    state::{DialogueState, HandOffReason},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};

/// A message of a user, as the model and the parsers understood it.
#[derive(Debug, Clone, Copy)]
pub struct Understood<'a> {
    /// The message.
    pub text: &'a str,
    /// The likeliest intent; `None` if the model declined to answer.
    pub intent: Option<&'a str>,
    /// Its probability, in [0, 1].
    pub confidence: f64,
    /// Intents with their probabilities, likeliest first, also if the model declined; empty if they are not known.
    pub ranking: &'a [(&'a str, f64)],
    /// The entities in the message.
    pub entities: &'a [Entity],
    /// The language to answer in; `None` if it is not known.
    pub language: Option<&'a str>,
    /// Whether `language` was guessed from the text. A short answer to a question then keeps the language of the
    /// conversation.
    pub guessed: bool,
    /// The payload of the button that was pressed.
    pub button: Option<&'a str>,
}

/// The result of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The state after the turn.
    pub state: DialogueState,
    /// The answer to the user. With an [`Effect::Call`], the answer follows from [`crate::Dialogue::after_call`].
    pub reply: Reply,
    /// A call to make once the state is stored.
    pub effect: Option<Effect>,
    /// The knowledge that may answer instead: whoever finds an answer there decides the turn again, with
    /// [`crate::Dialogue::turn_with`].
    pub lookup: Option<Lookup>,
    /// The branch of the dialogue that was taken, such as `return_request/ask/order_number`.
    pub branch: String,
}

/// The knowledge that a turn may be answered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Every base: no intent claims the message.
    Any,
    /// The base of this name, which the intent names.
    Base(String),
}

/// An answer that was found in knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// The text.
    pub text: &'a str,
    /// Its language, if it is known.
    pub language: Option<&'a str>,
    /// The question that it answers, completed from the conversation.
    pub question: &'a str,
}

/// The answer to one message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// The text; `None` if the dialogue has no response.
    pub text: Option<String>,
    /// The language of the text.
    pub language: Option<String>,
    /// Buttons to show under the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Button>,
    /// The intent that the turn was about: that of the message, or that of the question that it answers.
    pub intent: Option<String>,
    /// Whether the message was understood.
    pub understood: bool,
}

/// A button under an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Button {
    /// The text on the button.
    pub title: String,
    /// Sent back as [`Understood::button`] when the button is pressed.
    pub payload: String,
}

/// A call to another system that a turn asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Call an action, then [`crate::Dialogue::after_call`].
    Call(ActionCall),
    /// Hand the conversation to a person.
    HandOff(HandOffCall),
}

/// The HTTP call of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionCall {
    /// The intent whose action it is.
    pub action: String,
    /// The address, with encoded values.
    pub url: String,
    /// The method.
    pub method: CallMethod,
    /// The body: slot to value (its normal form, if it has one). Null for `GET` and `DELETE`, which have none.
    pub body: Value,
    /// The longest time to wait for the answer.
    pub timeout: Duration,
    /// Whether a call with an unknown outcome may be repeated, under the same key.
    pub idempotent: bool,
}

/// The outcome of an action.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionOutcome {
    /// A status of 2xx, with the JSON of the body; null if the body is empty.
    Answered(Value),
    /// Another status: the other side received the call and refused it.
    Refused {
        /// The status, such as 404.
        status: u16,
    },
    /// The call was not sent: the host is not allowed, or no connection was made.
    Failed,
    /// The call was sent, and no complete answer came: it may have been carried out.
    Unknown,
}

/// The message to those who take over a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOffCall {
    /// The address to notify; `None` if the dialogue names none.
    pub webhook: Option<String>,
    /// The cause.
    pub reason: HandOffReason,
    /// The intent that the conversation was about.
    pub intent: Option<String>,
    /// Slot to value.
    pub slots: BTreeMap<String, String>,
}
