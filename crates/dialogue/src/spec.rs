//! Entities and responses, as written in YAML.

use botops_findings::{Fault, Place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entities and responses, as written in YAML (`dialogue:` of a train stage, or a file) and kept in the model file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialogueSpec {
    /// Entity name to regular expression; the value is group 1, or the whole match without one.
    pub entities: BTreeMap<String, String>,
    /// Intent to language to template.
    ///
    /// `{order_number}` is replaced by the value of an entity. Without a value, the alternative after `|`
    /// is used: `{order_number|your order}`. Without an alternative, the placeholder and the space before
    /// it are removed. `{{` and `}}` stand for braces.
    pub responses: BTreeMap<String, BTreeMap<String, String>>,
    /// Language to the response when the bot did not understand.
    pub fallback: BTreeMap<String, String>,
    /// The language of responses when the user's language is unknown.
    pub default_language: Option<String>,
}

/// Returns a fault of the spec at `key`.
pub(crate) fn invalid(key: &str, message: String) -> Fault {
    Fault::usage("BOT-1030", message).at(Place { key: Some(key.to_owned()), ..Place::default() })
}
