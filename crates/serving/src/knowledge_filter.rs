//! The documents that a request limits its question to: `metadata` and `use_knowledge` of a body.

use crate::{exchange::unfit, pointer::Field, problem::Problem};
use serde::{Deserialize, Deserializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

/// The most keys of a filter, values of a key, and bytes of a key and of a value.
const MOST_KEYS: usize = 16;
const MOST_VALUES: usize = 32;
const MAX_KEY_BYTES: usize = 64;
const MAX_VALUE_BYTES: usize = 256;

/// The metadata that a document must have, by key: each with one of the values.
#[derive(Debug, Clone, Default, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = std::collections::HashMap<String, OneOrMany>)]
pub(super) struct MetadataFilter(pub(super) BTreeMap<String, BTreeSet<String>>);

/// One value, or several.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "a value of `metadata` must be a text or a list of texts")]
pub(super) enum OneOrMany {
    /// One value.
    One(String),
    /// One of these values.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for MetadataFilter {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let written = BTreeMap::<String, OneOrMany>::deserialize(reader)?;
        let values = |values: OneOrMany| match values {
            OneOrMany::One(value) => BTreeSet::from([value]),
            OneOrMany::Many(values) => values.into_iter().collect(),
        };
        Ok(Self(written.into_iter().map(|(key, written)| (key, values(written))).collect()))
    }
}

impl MetadataFilter {
    /// Checks the sizes.
    ///
    /// # Errors
    /// `BOT-6013` (422) there are too many keys or values, or one is empty or too long.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let problem = |message: String| Err(unfit("BOT-6013", Field::Named("metadata"), message));
        if self.0.len() > MOST_KEYS {
            return problem(format!("`metadata` has more than {MOST_KEYS} keys"));
        }
        for (key, values) in &self.0 {
            if key.is_empty() || key.len() > MAX_KEY_BYTES {
                return problem(format!(
                    "a key of `metadata` must have 1 to {MAX_KEY_BYTES} bytes"
                ));
            }
            if values.is_empty() || values.len() > MOST_VALUES {
                return problem(format!("a key of `metadata` must have 1 to {MOST_VALUES} values"));
            }
            if values.iter().any(|value| value.is_empty() || value.len() > MAX_VALUE_BYTES) {
                return problem(format!(
                    "a value of `metadata` must have 1 to {MAX_VALUE_BYTES} bytes"
                ));
            }
        }
        Ok(())
    }
}

/// The knowledge that a message may be answered from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum KnowledgeUse<'a> {
    /// Every document that the caller may see.
    #[default]
    Any,
    /// The documents with this metadata.
    Only(&'a MetadataFilter),
    /// None.
    Never,
}

impl<'a> KnowledgeUse<'a> {
    /// Returns what the members `use_knowledge` and `metadata` of a body say.
    ///
    /// # Errors
    /// Those of [`MetadataFilter::check`].
    pub(super) fn of(
        use_knowledge: Option<bool>,
        metadata: Option<&'a MetadataFilter>,
    ) -> Result<Self, Problem> {
        if let Some(metadata) = metadata {
            metadata.check()?;
        }
        Ok(match (use_knowledge, metadata) {
            (Some(false), _) => Self::Never,
            (_, Some(metadata)) => Self::Only(metadata),
            _ => Self::Any,
        })
    }

    /// Returns the metadata that a document must have.
    pub(super) fn metadata(self) -> &'a BTreeMap<String, BTreeSet<String>> {
        static NONE: LazyLock<BTreeMap<String, BTreeSet<String>>> = LazyLock::new(BTreeMap::new);
        match self {
            Self::Only(metadata) => &metadata.0,
            Self::Any | Self::Never => &NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn a_filter_takes_one_value_or_several_and_is_bounded() {
        let read = |value| from_value::<MetadataFilter>(value).unwrap();
        let filter = read(json!({"product": "vacuum", "language": ["en", "fr"]}));
        filter.check().unwrap();
        assert_eq!(filter.0["language"].len(), 2);
        let problem = from_value::<MetadataFilter>(json!({"product": {"a": 3}})).unwrap_err();
        let message = "a value of `metadata` must be a text or a list of texts";
        assert_eq!(problem.to_string(), message);
        for unfit in [
            json!({"": "a"}),
            json!({"a": ""}),
            json!({"a": []}),
            json!({"k".repeat(65): "a"}),
            json!({"a": "v".repeat(257)}),
            json!({"a": (0..33).map(|it| it.to_string()).collect::<Vec<_>>()}),
        ] {
            let problem = read(unfit.clone()).check().err().unwrap();
            assert_eq!(
                (problem.status.as_u16(), problem.fault.code()),
                (422, "BOT-6013"),
                "{unfit}"
            );
        }
        let many: serde_json::Map<_, _> = (0..17).map(|i| (i.to_string(), json!("a"))).collect();
        assert!(read(many.into()).check().is_err());
    }

    #[test]
    fn a_message_can_exclude_documents_whatever_its_filter_says() {
        let filter = MetadataFilter(BTreeMap::from([("a".into(), BTreeSet::from(["b".into()]))]));
        let of = |uses, filter| KnowledgeUse::of(uses, filter).ok().unwrap();
        assert!(matches!(of(Some(false), Some(&filter)), KnowledgeUse::Never));
        assert!(matches!(of(None, None), KnowledgeUse::Any));
        assert_eq!(of(Some(true), Some(&filter)).metadata(), &filter.0);
    }
}
