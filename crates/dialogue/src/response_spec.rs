//! Responses as written in YAML: a text, or variants with conditions and buttons.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use std::{collections::BTreeMap, fmt};

/// Language to response.
pub type TextsSpec = BTreeMap<String, ResponseSpec>;

/// A response in one language: a template, a variant with conditions and buttons, or a list of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseSpec {
    /// One template.
    Text(String),
    /// Variants, of which one is chosen.
    Variants(Vec<VariantSpec>),
}

/// One variant of a response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantSpec {
    /// The template.
    pub text: String,
    /// Slot, entity or `action.…` to the condition under which the variant is used; all must hold.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Condition>,
    /// Buttons under the response.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<ButtonSpec>,
}

/// A button under a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonSpec {
    /// The text on the button: a template.
    pub title: String,
    /// The intent that a press means.
    pub payload: String,
    /// Slot to the value that a press gives it: a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, String>,
}

/// A condition on a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `present`: there is a value.
    Present,
    /// `absent`: there is none.
    Absent,
    /// The value is this one, in any case of letters.
    Is(String),
}

impl Condition {
    /// Returns the condition as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Is(value) => value,
        }
    }
}

impl ResponseSpec {
    /// Returns the variants; a text is one without conditions and buttons.
    pub(crate) fn variants(&self) -> Vec<VariantSpec> {
        match self {
            Self::Text(text) => vec![text.clone().into()],
            Self::Variants(variants) => variants.clone(),
        }
    }

    /// Returns the buttons of all variants.
    pub(crate) fn buttons(&self) -> impl Iterator<Item = &ButtonSpec> {
        let variants = match self {
            Self::Text(_) => &[][..],
            Self::Variants(variants) => variants,
        };
        variants.iter().flat_map(|variant| &variant.buttons)
    }

    /// Returns whether it is one template.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

impl From<String> for ResponseSpec {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for ResponseSpec {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for VariantSpec {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Serialize for ResponseSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Variants(variants) => variants.serialize(serializer),
        }
    }
}

/// A variant that may be written as its text alone.
struct TextOrVariant(VariantSpec);

impl<'de> Deserialize<'de> for TextOrVariant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = TextOrVariant;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a mapping with `text`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOrVariant, E> {
                Ok(TextOrVariant(text.to_owned().into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TextOrVariant, A::Error> {
                VariantSpec::deserialize(MapAccessDeserializer::new(map)).map(TextOrVariant)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for ResponseSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `untagged`, which hides the place and the nearest key of a mistake in a variant.
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = ResponseSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (in quotes if it is a number), a mapping with `text`, or a list of these")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ResponseSpec, E> {
                Ok(text.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ResponseSpec, A::Error> {
                let variant = VariantSpec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ResponseSpec::Variants(vec![variant]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ResponseSpec, A::Error> {
                let mut variants = Vec::new();
                while let Some(TextOrVariant(variant)) = list.next_element()? {
                    variants.push(variant);
                }
                Ok(ResponseSpec::Variants(variants))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;

        impl Visitor<'_> for Scalar {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`present`, `absent` or a value")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Condition, E> {
                Ok(match text {
                    "present" => Condition::Present,
                    "absent" => Condition::Absent,
                    value => Condition::Is(value.to_owned()),
                })
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Condition, E> {
                Ok(Condition::Is(value.to_string()))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Condition, E> {
                Ok(Condition::Is(value.to_string()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Condition, E> {
                Ok(Condition::Is(value.to_string()))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Condition, E> {
                Ok(Condition::Is(value.to_string()))
            }
        }

        deserializer.deserialize_any(Scalar)
    }
}
