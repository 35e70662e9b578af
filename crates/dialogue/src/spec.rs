//! Entities and responses, as written in YAML.

use crate::{
    entity_spec::EntitySpec,
    intent_spec::IntentSpec,
    response_spec::TextsSpec,
    rules_spec::{ClarifySpec, HandOffSpec, SentencesSpec, WordsSpec},
    slot_spec::SlotSpec,
    story_spec::StorySpec,
};
use botops_findings::{Fault, Finding, Place, Severity};
use botops_text::display;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    pub responses: BTreeMap<String, TextsSpec>,
    /// Language to the response when the bot did not understand.
    pub fallback: TextsSpec,
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
    /// The least confidence of another intent that interrupts a question, in [0, 1]; 0.7 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<f64>,
    /// Conversations that `botops dialogue test` replays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<StorySpec>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl DialogueSpec {
    /// Returns those of `intents` without a response, in their order: all of them if there is no response at all.
    #[must_use]
    pub fn unanswered<'a>(&self, intents: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let has_none = |intent: &&str| self.responses.get(*intent).is_none_or(BTreeMap::is_empty);
        intents.into_iter().filter(has_none).collect()
    }

    /// Returns warnings about `intents` without a response (`BOT-1050`), and about responses to other intents
    /// (`BOT-1051`); none if there is no response at all, because such a model only classifies.
    #[must_use]
    pub fn findings(&self, intents: &[&str]) -> Vec<Finding> {
        if self.responses.is_empty() {
            return Vec::new();
        }
        let silent = self.unanswered(intents.iter().copied());
        let unused: Vec<&str> = self
            .responses
            .keys()
            .map(String::as_str)
            .filter(|name| !intents.contains(name))
            .collect();
        let finding = |code: &'static str, names: &[&str], message: String, help: &'static str| {
            (!names.is_empty()).then(|| Finding::new(code, Severity::Warning, message, help))
        };
        let first = finding(
            "BOT-1050",
            &silent,
            format!("the dialogue has no response to {}: `response` is null then", listed(&silent)),
            "add them under `responses`, or let the caller of the API answer",
        );
        let second = finding(
            "BOT-1051",
            &unused,
            format!("the dialogue has responses to {}, no intent of the model", listed(&unused)),
            "correct the name, add training records, or remove the response",
        );
        first.into_iter().chain(second).collect()
    }
}

/// Returns the first names in backticks, and the number of the others.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", display(name, 60))).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Returns a fault of the spec at `key`.
pub(crate) fn invalid(key: &str, message: String) -> Fault {
    Fault::usage("BOT-1030", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}
