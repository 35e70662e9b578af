//! What a bot does once the intent is known: entities by pattern, a response by template.

use crate::findings::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entities and responses, as written in YAML (`dialogue:` of a train stage, or a file) and kept in the model file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialogueSpec {
    /// Entity name to regular expression; group 1, if any, is the value.
    pub entities: BTreeMap<String, String>,
    /// Intent to language to template; `{order_number}` is replaced by an entity's value.
    /// Where a placeholder has no value, the alternative after `|` is used: `{order_number|your order}`.
    pub responses: BTreeMap<String, BTreeMap<String, String>>,
    /// Language to what is said when the bot did not understand.
    pub fallback: BTreeMap<String, String>,
    /// The language when the user's is not known.
    pub default_language: Option<String>,
}

/// An entity found in an utterance; offsets in code points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// Its name.
    pub entity: String,
    /// Its text.
    pub value: String,
    /// First code point.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

/// A checked, compiled [`DialogueSpec`].
#[derive(Debug)]
pub struct Dialogue {
    _private: (),
}

impl Dialogue {
    /// Compiles `spec`.
    ///
    /// # Errors
    /// `BOT-1030` (exit 2) for a pattern that does not compile, a template with an unknown placeholder or a brace never closed.
    pub fn compile(spec: &DialogueSpec) -> Result<Self> {
        let _ = spec;
        todo!()
    }

    /// Finds the entities of `text`, by position.
    #[must_use]
    pub fn entities(&self, text: &str) -> Vec<Entity> {
        let _ = text;
        todo!()
    }

    /// Returns the response to `intent` (`None`: not understood) in `language`, and the language it is in.
    /// Without a template for the intent: the fallback; without any: a built-in English sentence.
    #[must_use]
    pub fn respond(
        &self,
        intent: Option<&str>,
        language: Option<&str>,
        entities: &[Entity],
    ) -> (String, String) {
        let _ = (intent, language, entities);
        todo!()
    }
}
