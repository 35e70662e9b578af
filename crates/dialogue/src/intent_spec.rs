//! Intents as written in YAML: the slots they need, the confirmation they ask for, and the action they call.

use crate::{call_method::CallMethod, response_spec::ResponseSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The steps between an intent and its response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntentSpec {
    /// The slots that must be filled first, in the order of the questions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Language to a question that is answered by yes or no, before the action is called or the response is given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub confirm: BTreeMap<String, ResponseSpec>,
    /// Language to the response after no.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub declined: BTreeMap<String, ResponseSpec>,
    /// A call whose answer fills the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionSpec>,
    /// Whether the conversation is handed to a person.
    #[serde(skip_serializing_if = "is_false")]
    pub handoff: bool,
    /// The answer that this intent gives to a question for yes or no, or that it cancels a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub means: Option<Meaning>,
    /// The knowledge base that answers once the needed slots are filled. The response of the intent stands in where that base has
    /// no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_from: Option<String>,
    /// Language to the name of the intent on a button, when the bot asks which of two intents was meant.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub title: BTreeMap<String, String>,
}

/// The answer that an intent gives to a question of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Yes.
    Yes,
    /// No.
    No,
    /// The question is dropped.
    Cancel,
}

/// An HTTP call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// The address. `{slot}` in its path or query is replaced by the encoded value.
    pub url: String,
    /// The method; `POST` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<CallMethod>,
    /// The longest time to wait for the answer, such as `5s`, which is the default; at most `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Whether a call with an unknown outcome may be repeated.
    #[serde(default, skip_serializing_if = "is_false")]
    pub idempotent: bool,
    /// Language to the response when the other side refuses the call.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, ResponseSpec>,
    /// Language to the response when the call could not be sent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, ResponseSpec>,
    /// Whether the conversation is handed to a person when the call is refused or could not be sent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub handoff: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
