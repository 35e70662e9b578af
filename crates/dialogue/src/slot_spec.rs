//! Slots as written in YAML: the values that a conversation remembers.

use crate::response_spec::ResponseSpec;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt};

/// A value that a conversation remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlotSpec {
    /// The entities that fill it; without any, the entity of the same name, if it is declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<SourceSpec>,
    /// Whether a whole message is the value when the bot asked for it.
    #[serde(skip_serializing_if = "is_false")]
    pub text: bool,
    /// A regular expression that every value matches as a whole. When the bot asked for the slot, it is also searched for
    /// in the message, if no entity filled the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The time after which the value is forgotten, such as `30m`; it is kept without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Language to the question for the value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ask: BTreeMap<String, ResponseSpec>,
    /// Language to the sentence before the question is repeated, because the value does not match `pattern` or is too
    /// long.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub invalid: BTreeMap<String, ResponseSpec>,
    /// The most questions in a row: 1 to 10; 3 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// Language to the response when the bot gives up.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub give_up: BTreeMap<String, ResponseSpec>,
    /// Whether the conversation is handed to a person when the bot gives up.
    #[serde(skip_serializing_if = "is_false")]
    pub handoff: bool,
}

/// An entity that fills a slot: its name, or a mapping with its role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceSpec {
    /// The name of the entity.
    pub entity: String,
    /// The role that it must have; any without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

impl From<&str> for SourceSpec {
    fn from(entity: &str) -> Self {
        Self { entity: entity.to_owned(), role: None }
    }
}

/// The mapping form of a source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    entity: String,
    #[serde(default)]
    role: Option<String>,
}

impl<'de> Deserialize<'de> for SourceSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = SourceSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an entity, or a mapping with `entity` and `role`")
            }

            fn visit_str<E: de::Error>(self, entity: &str) -> Result<SourceSpec, E> {
                Ok(entity.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SourceSpec, A::Error> {
                let Mapping { entity, role } =
                    Mapping::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SourceSpec { entity, role })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
