//! The settings of the tagger, as written in YAML.

use botops_findings::{Fault, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The settings of the learned tagger: `entities:` of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaggerSpec {
    /// Whether training learns entities from annotated spans.
    pub learn: LearnEntities,
    /// The fewest spans of a kind; rarer kinds are not learned.
    pub min_examples: usize,
    /// The strength of the L1 penalty, at least 0: a larger one makes more weights zero.
    pub l1: f64,
    /// The strength of the L2 penalty, at least 0: a larger one makes weights smaller.
    pub l2: f64,
    /// The number of passes over the data.
    pub max_iterations: usize,
}

impl Default for TaggerSpec {
    fn default() -> Self {
        Self {
            learn: LearnEntities::Auto,
            min_examples: 5,
            l1: 0.005,
            l2: 0.01,
            max_iterations: 20,
        }
    }
}

/// Whether training learns entities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LearnEntities {
    /// Every kind with enough annotated spans, if there is one.
    #[default]
    Auto,
    /// As [`Self::Auto`]; training fails if no kind has enough spans.
    Always,
    /// None.
    Never,
}

impl Serialize for LearnEntities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Always => serializer.serialize_bool(true),
            Self::Never => serializer.serialize_bool(false),
        }
    }
}

impl<'de> Deserialize<'de> for LearnEntities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = LearnEntities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto`, `true` or `false`")
            }

            fn visit_bool<E: de::Error>(self, learn: bool) -> Result<LearnEntities, E> {
                Ok(if learn { LearnEntities::Always } else { LearnEntities::Never })
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<LearnEntities, E> {
                match word {
                    "auto" => Ok(LearnEntities::Auto),
                    "true" => Ok(LearnEntities::Always),
                    "false" => Ok(LearnEntities::Never),
                    _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl TaggerSpec {
    /// Returns whether these are the defaults, which files do not state.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every number.
    ///
    /// # Errors
    /// `BOT-7010` (exit 2), naming the key and its range.
    pub(crate) fn check_ranges(&self) -> Result<()> {
        let penalty = |value: f64| (0.0..=1_000.0).contains(&value);
        for (valid, key, range) in [
            (penalty(self.l1), "l1", "from 0 to 1000"),
            (penalty(self.l2), "l2", "from 0 to 1000"),
            ((1..=10_000).contains(&self.max_iterations), "max_iterations", "from 1 to 10000"),
            ((1..=1_000_000).contains(&self.min_examples), "min_examples", "from 1 to 1000000"),
        ] {
            if !valid {
                return Err(Fault::usage("BOT-7010", format!("`entities.{key}` is out of range"))
                    .hint(format!("`entities.{key}` must be {range}")));
            }
        }
        Ok(())
    }
}
