//! The answer to a message, as JSON.

use crate::knowledge_answer::{AnsweredBy, Said};
use botops_dialogue::{Button, DialogueState, Entity, Reply};
use botops_knowledge::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer to a message.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ChatAnswer)]
pub(super) struct Answer {
    /// The id of this request, for feedback.
    pub(super) request_id: String,
    /// The most likely intent; in a dialogue of several turns, the one that the turn was about.
    pub(super) intent: String,
    /// The probability of the most likely intent, in [0, 1].
    pub(super) confidence: f64,
    /// The entities in the message.
    pub(super) entities: Vec<Entity>,
    /// Whether some may be missing: a pattern matched 64 times, or the search took too long; left out if not.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) entities_cut: bool,
    /// The response, in `language`; `null` if the intent was understood and the bot has no response to it.
    pub(super) response: Option<String>,
    /// The language of the response; `null` without one.
    pub(super) language: Option<String>,
    /// Whether the message was not understood, so that `response` is the fallback.
    pub(super) fallback: bool,
    /// The token that feedback on this answer carries; left out if the name of the intent is longer than 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) feedback_token: Option<String>,
    /// The version that answered, such as `support@3`; only for callers with the scope `read`, as the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    /// The digest of its model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    /// `primary` or `canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) arm: Option<String>,
    /// The buttons to show under the response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) buttons: Vec<Button>,
    /// The passages of documents that `response` was taken from, best first; left out if no document answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) sources: Vec<Source>,
    /// Who answered from the documents; left out if none answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answered_by: Option<AnsweredBy>,
    /// The slots of the conversation after this turn, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) slots: BTreeMap<String, String>,
    /// The thing that the bot waits for: `awaiting_slot`, `awaiting_confirmation` or `awaiting_clarification`; or `handed_off`. Left out
    /// if it waits for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<String>,
    /// The number of the turn in its conversation, from 0; only in a dialogue of several turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message_number: Option<i64>,
}

/// The bytes of an answer.
pub(super) struct Bodies {
    /// Those for the caller.
    pub(super) body: Vec<u8>,
    /// Those to store, if they are others: whoever sends the message again may not see versions.
    kept: Option<Vec<u8>>,
    /// Whether it says that a person has the conversation.
    pub(super) handed_off: bool,
}

impl Bodies {
    /// Returns the answer to store.
    pub(super) fn kept(&self) -> String {
        let bytes = self.kept.as_ref().unwrap_or(&self.body);
        String::from_utf8(bytes.clone()).expect("JSON is UTF-8")
    }
}

impl Answer {
    /// Takes over the reply of a dialogue of several turns; `state` is the state after it, if it is kept.
    pub(super) fn reply(&mut self, reply: Reply, state: Option<&DialogueState>) {
        self.response = reply.text;
        self.language = reply.language;
        self.fallback = !reply.understood;
        self.buttons = reply.buttons;
        if let Some(intent) = reply.intent {
            self.intent = intent;
        }
        let Some(state) = state else { return };
        let values = state.slot_values().into_iter();
        self.slots = values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.state = state.name().map(str::to_owned);
    }

    /// Adds where the response comes from.
    pub(super) fn take_knowledge(&mut self, said: Said) {
        (self.sources, self.answered_by) = (said.sources, Some(said.by));
    }

    /// Returns whether it names the version that answered.
    pub(super) fn shows_version(&self) -> bool {
        self.model.is_some()
    }

    /// Leaves out the fields that promise a conversation.
    pub(super) fn forget_conversation(&mut self) {
        (self.state, self.message_number) = (None, None);
        self.slots.clear();
    }

    /// Writes the answer for the caller and for the store.
    pub(super) fn write(&self) -> Bodies {
        let written =
            |answer: &Self| serde_json::to_vec(answer).expect("an answer can be written as JSON");
        let body = written(self);
        let kept = self
            .model
            .is_some()
            .then(|| written(&Self { model: None, digest: None, arm: None, ..self.clone() }));
        let handed_off = self.state.as_deref() == Some("handed_off");
        Bodies { body, kept, handed_off }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
