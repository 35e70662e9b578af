//! Entities and responses, as written in YAML.

use crate::{
    entity_spec::EntitySpec,
    intent_spec::IntentSpec,
    response_spec::ResponseSpec,
    rules_spec::{ClarifySpec, HandOffSpec, SentencesSpec, WordsSpec},
    slot_spec::SlotSpec,
    story_spec::StorySpec,
};
use botops_findings::{Fault, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The newest `version` of a dialogue file that this botops reads. A file without one has version 1.
pub const DIALOGUE_VERSION: u32 = 1;

/// Entities and responses, as written in YAML (`dialogue:` of a train stage, or a file) and kept in the model file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialogueSpec {
    /// Entity name to the way it is found: a regular expression, or a mapping.
    pub entities: BTreeMap<String, EntitySpec>,
    /// Intent to language to template.
    ///
    /// `{order_number}` is replaced by the value of an entity. Without a value, the alternative after `|`
    /// is used: `{order_number|your order}`. Without an alternative, the placeholder and the space before
    /// it are removed. `{{` and `}}` stand for braces.
    ///
    /// Instead of a template, there may be a list of variants, with conditions and buttons.
    pub responses: BTreeMap<String, BTreeMap<String, ResponseSpec>>,
    /// Language to the response when the bot did not understand.
    pub fallback: BTreeMap<String, ResponseSpec>,
    /// The language of responses when the user's language is unknown.
    pub default_language: Option<String>,
    /// The time zone in which dates and times are understood, such as `Europe/Paris`; UTC without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Slot to the way it is filled, asked for and forgotten.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, SlotSpec>,
    /// Intent to the steps before its response.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub intents: BTreeMap<String, IntentSpec>,
    /// When the bot asks which of the two likeliest intents was meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clarify: Option<ClarifySpec>,
    /// When and how a person takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handoff: Option<HandOffSpec>,
    /// Words that answer questions of the bot, besides the built-in ones.
    #[serde(skip_serializing_if = "is_default")]
    pub words: WordsSpec,
    /// Sentences of the bot that replace the built-in ones.
    #[serde(skip_serializing_if = "is_default")]
    pub sentences: SentencesSpec,
    /// The least confidence of another intent that interrupts a question, in [0, 1]; 0.9 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<f64>,
    /// Conversations that `botops dialogue test` replays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<StorySpec>,
    /// The version of the file, at most [`DIALOGUE_VERSION`]; a reader that knows only older ones refuses the file. It is
    /// checked before all other keys, and not kept in a model.
    #[serde(skip_serializing)]
    pub version: Option<u32>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Returns a fault of the spec at `key`.
pub(crate) fn invalid(key: &str, message: String) -> Fault {
    Fault::usage("BOT-1030", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}
