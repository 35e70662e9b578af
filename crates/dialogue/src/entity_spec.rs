//! The entities of a dialogue as written in YAML: a regular expression, or a mapping.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt};

/// How an entity is found: a regular expression, as in `entities: {order_number: '#\d+'}`, or a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntitySpec {
    /// A regular expression; the value is group 1, or the whole match without one.
    Pattern(String),
    /// A mapping such as `{type: date}`, `{lookup: {Paris: [paname]}, distance: 1}` or `{learned: true}`.
    Rule(Box<EntityRule>),
}

/// The mapping form of an entity: at least one of `type`, `lookup` and `learned`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EntityRule {
    /// The kind of value, which a parser of botops finds and normalises.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<EntityType>,
    /// A regular expression that finds values too; the value is group 1, or the whole match without one. An `order_number`
    /// needs it; what it finds for another type may have no normalised value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// A name to the other ways to write it; the name is the normalised value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookup: Option<BTreeMap<String, Vec<String>>>,
    /// The most edits (inserted, deleted, replaced and swapped letters) between a text and a name of `lookup`: 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<u8>,
    /// Whether the learned tagger of the model finds this entity too.
    #[serde(skip_serializing_if = "is_false")]
    pub learned: bool,
    /// The country of a `phone` without its country code, such as `FR`, or of an `amount` in `$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The order of day and month in a date such as 03/04; by default the day is first, and last in `en-US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    /// The side of the message on which a date without its year or week is; by default the nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefer: Option<Prefer>,
    /// Whether a `date` may be relative to the message, such as `tomorrow` or `in 3 days`; by default it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative: Option<bool>,
}

/// The kinds of typed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityType {
    /// A day, such as `next Friday`, `le 1er mai` or `2026-10-31`: `{"date": "2026-10-31"}`.
    Date,
    /// A time of day, such as `8:30 pm` or `20h30`: `{"time": "20:30"}`.
    Time,
    /// A moment, such as `tomorrow at 9`, `in 3 hours`: `{"datetime": "2026-10-31T09:00:00+01:00"}`.
    Datetime,
    /// An amount of money, such as `46,80 €`: `{"amount": 46.8, "currency": "EUR"}`.
    Amount,
    /// A telephone number: `"+33612345678"` (E.164).
    Phone,
    /// An e-mail address, its domain in lower case.
    Email,
    /// The number of an order, found by `pattern`; in upper case and without spaces.
    OrderNumber,
    /// A number with its unit, such as `trois boîtes` or `2.5 kg`: `{"quantity": 2.5, "unit": "kg"}`.
    Quantity,
    /// The address of a web page, with its scheme.
    Url,
}

/// The order of day and month in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// 03/04 is the third of April.
    DayFirst,
    /// 03/04 is the fourth of March.
    MonthFirst,
}

/// The choice among the dates that a text such as `31 October` may mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prefer {
    /// The nearest date; a day of the week alone is the coming one.
    #[default]
    Nearest,
    /// The next date, as of a delivery.
    Future,
    /// The last date, as of a payment.
    Past,
}

impl EntityType {
    /// Returns its name as written in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
            Self::Datetime => "datetime",
            Self::Amount => "amount",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::OrderNumber => "order_number",
            Self::Quantity => "quantity",
            Self::Url => "url",
        }
    }
}

impl EntitySpec {
    /// Returns whether the learned tagger finds the entity.
    #[must_use]
    pub fn is_learned(&self) -> bool {
        matches!(self, Self::Rule(rule) if rule.learned)
    }

    /// Returns whether it is found without the learned tagger: by a pattern, a parser or a list of names.
    #[must_use]
    pub fn is_found_by_rule(&self) -> bool {
        match self {
            Self::Pattern(_) => true,
            Self::Rule(rule) => rule.kind.is_some() || rule.lookup.is_some(),
        }
    }
}

impl From<&str> for EntitySpec {
    fn from(pattern: &str) -> Self {
        Self::Pattern(pattern.to_owned())
    }
}

impl From<String> for EntitySpec {
    fn from(pattern: String) -> Self {
        Self::Pattern(pattern)
    }
}

impl From<EntityRule> for EntitySpec {
    fn from(rule: EntityRule) -> Self {
        Self::Rule(Box::new(rule))
    }
}

impl Serialize for EntitySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Pattern(pattern) => serializer.serialize_str(pattern),
            Self::Rule(rule) => rule.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EntitySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `untagged`, which hides the place and the nearest key of a mistake in the mapping.
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = EntitySpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a regular expression, or a mapping with `type`, `lookup` or `learned`")
            }

            fn visit_str<E: de::Error>(self, pattern: &str) -> Result<EntitySpec, E> {
                Ok(pattern.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EntitySpec, A::Error> {
                EntityRule::deserialize(MapAccessDeserializer::new(map)).map(EntitySpec::from)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
