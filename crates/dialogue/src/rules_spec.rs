//! The rules of all intents as written in YAML: clarification, hand-off, words, and sentences of the bot.

use crate::response_spec::{ResponseSpec, TextsSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The question which of the two likeliest intents was meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClarifySpec {
    /// The question is asked if the probabilities of the two likeliest intents differ by less: above 0 and up to 1.
    pub margin: f64,
    /// The least sum of the two probabilities, in [0, 1]; 0.5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
}

/// The hand-off of a conversation to a person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandOffSpec {
    /// The address that is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// The number of messages in a row that are not understood, from which on a person takes over: 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_fallbacks: Option<u32>,
    /// Messages that ask for a person, such as `agent`; the whole message must be one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// The time after which the bot answers again, such as `12h`; `24h` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_after: Option<String>,
}

/// Words that answer a question of the bot, besides the built-in English and French ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WordsSpec {
    /// Words for yes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub yes: Vec<String>,
    /// Words for no.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no: Vec<String>,
    /// Messages that drop the question of the bot; the whole message must be one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cancel: Vec<String>,
}

/// Sentences of the bot that are no response to an intent: language to text. Each has a built-in English and French text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SentencesSpec {
    /// After the user cancelled.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cancelled: BTreeMap<String, ResponseSpec>,
    /// The question between two intents, above their buttons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clarify: BTreeMap<String, ResponseSpec>,
    /// After no to a confirmation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub declined: BTreeMap<String, ResponseSpec>,
    /// Before a question for a slot is repeated, because the value does not fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invalid: BTreeMap<String, ResponseSpec>,
    /// When a slot was not given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub given_up: BTreeMap<String, ResponseSpec>,
    /// When an action was refused.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, ResponseSpec>,
    /// When an action could not be called.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, ResponseSpec>,
    /// When the outcome of an action is not known: a person takes over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown: BTreeMap<String, ResponseSpec>,
    /// While an action is under way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub under_way: BTreeMap<String, ResponseSpec>,
    /// When a person takes over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub handed_off: BTreeMap<String, ResponseSpec>,
    /// To each message after that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<String, ResponseSpec>,
    /// The text on the button for yes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub yes: BTreeMap<String, ResponseSpec>,
    /// The text on the button for no.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub no: BTreeMap<String, ResponseSpec>,
}

impl SentencesSpec {
    /// Returns the sentences with their keys.
    pub(crate) fn all(&self) -> [(&'static str, &TextsSpec); 13] {
        [
            ("cancelled", &self.cancelled),
            ("clarify", &self.clarify),
            ("declined", &self.declined),
            ("invalid", &self.invalid),
            ("given_up", &self.given_up),
            ("refused", &self.refused),
            ("failed", &self.failed),
            ("unknown", &self.unknown),
            ("under_way", &self.under_way),
            ("handed_off", &self.handed_off),
            ("waiting", &self.waiting),
            ("yes", &self.yes),
            ("no", &self.no),
        ]
    }
}
