//! Records and data sets in memory.

use crate::write::csv_bytes;
use botops_digest::Digest;
use botops_findings::{Finding, Place};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A span of a text that names something. Offsets are in Unicode code points, `end` exclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntitySpan {
    /// The kind, such as `order_number`.
    pub entity: String,
    /// The text of the span.
    pub value: String,
    /// Its first code point.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// What it stands for, where that is another text than its own: `New York` for `NYC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synonym_of: Option<String>,
    /// What it is to the intent, where an entity can be several things: `from`, `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Which entities belong together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl EntitySpan {
    /// Makes the span of `entity` from the code point `start` to before `end`, where `value` stands.
    #[must_use]
    pub fn new(
        entity: impl Into<String>,
        value: impl Into<String>,
        start: usize,
        end: usize,
    ) -> Self {
        let (entity, value) = (entity.into(), value.into());
        Self { entity, value, start, end, synonym_of: None, role: None, group: None }
    }
}

/// One labelled utterance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The utterance as written.
    pub text: String,
    /// Its intent, [`botops_labels::OOS`], or `None` when the file has no intent column or the cell is empty.
    pub intent: Option<String>,
    /// Its declared language; `None` when the file has no such column or the cell is empty.
    pub lang: Option<String>,
    /// Its declared entities.
    pub entities: Vec<EntitySpan>,
    /// The record, from 1 (the header is not one).
    pub record: u64,
    /// The line on which it starts, from 1; in a Parquet file, which has no lines, its record.
    pub line: u64,
    /// Its file, where the data set is read from several; else `None`, and it is that of the data set.
    #[serde(default, with = "file_name", skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
}

/// A name that many records share, as the text that it is.
mod file_name {
    use super::Arc;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        name: &Option<Arc<str>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match name {
            Some(name) => serializer.serialize_some(&**name),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Arc::from))
    }
}

/// Records of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dataset {
    /// The file, as the user named it.
    pub name: String,
    /// Digest of the file's bytes; of a part of a file, of the bytes [`csv_bytes`] gives it.
    pub digest: Digest,
    /// Which columns were found: `text`, and any of `intent`, `lang`, `entities`, by the names they have in the file.
    pub columns: BTreeMap<String, String>,
    /// The records in the order of the file.
    pub records: Vec<Record>,
}

impl Dataset {
    /// Returns the place of `record` in this data set.
    #[must_use]
    pub fn place(&self, record: &Record) -> Place {
        Place {
            file: Some(record.file.as_deref().unwrap_or(&self.name).to_owned()),
            record: Some(record.record),
            line: Some(record.line),
            ..Place::default()
        }
    }
}

/// A record set aside, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The record as read (lossily, where its encoding was damaged).
    pub record: Record,
    /// The findings that rejected it.
    pub reasons: Vec<Finding>,
}

/// Returns `records` of `data` as a data set with a digest of its own.
pub fn part(data: &Dataset, records: Vec<Record>) -> Dataset {
    let mut part = Dataset {
        name: data.name.clone(),
        digest: data.digest,
        columns: data.columns.clone(),
        records,
    };
    part.digest = Digest::of(&csv_bytes(&part));
    part
}
