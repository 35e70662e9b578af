//! Records and data sets in memory.

use crate::column_roles::Roles;
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result};
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
    /// The canonical value, where it differs from the text: `New York` for `NYC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synonym_of: Option<String>,
    /// The role of the entity in the intent, such as `from` or `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The group of entities that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl EntitySpan {
    /// Makes a span of the kind `entity` over the code points `start..end`, whose text is `value`.
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
    /// Its intent, `oos`, or `None` when the file has no intent column or the cell is empty.
    pub intent: Option<String>,
    /// Its declared language; `None` when the file has no such column or the cell is empty.
    pub lang: Option<String>,
    /// Its declared entities.
    pub entities: Vec<EntitySpan>,
    /// The record number, from 1. The header does not count.
    pub record: u64,
    /// The line on which it starts, from 1. A Parquet file has no lines: there it is the record number.
    pub line: u64,
    /// Its file, if the data set was read from several files; otherwise `None`.
    #[serde(default, with = "file_name", skip_serializing_if = "Option::is_none")]
    pub file: Option<Arc<str>>,
}

/// Serializes a file name that many records share as a string.
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

/// The records of one file, or of several files read as one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dataset {
    /// The file, as the user named it.
    pub name: String,
    /// The digest of the file's bytes. For a part of a file, the digest of its CSV (see [`crate::csv_bytes`]).
    pub digest: Digest,
    /// The names of the columns by role: `text`, and any of `intent`, `lang`, `entities`.
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

/// The cells of one record that have a role, as written in the file.
pub(crate) struct Cells<'a> {
    text: &'a str,
    intent: Option<&'a str>,
    lang: Option<&'a str>,
    entities: Option<&'a str>,
}

impl<'a> Cells<'a> {
    /// Takes the cells that have a role; `cell` returns the cell of a column.
    #[inline]
    pub(crate) fn of(roles: &Roles, cell: impl Fn(usize) -> &'a str) -> Self {
        Self {
            text: cell(roles.text),
            intent: roles.intent.map(&cell),
            lang: roles.lang.map(&cell),
            entities: roles.entities.map(&cell),
        }
    }

    /// Makes the record `record` of `file`, which starts on `line`.
    ///
    /// # Errors
    /// `BOT-2128` (exit 3) when the entities are not a JSON array of spans.
    pub(crate) fn record(&self, file: &str, record: u64, line: u64) -> Result<Record> {
        let filled = |cell: Option<&str>| {
            cell.map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned)
        };
        let entities = match self.entities.map(str::trim) {
            None | Some("") => Vec::new(),
            Some(json) => entities(json, file, record, line)?,
        };
        Ok(Record {
            text: self.text.to_owned(),
            intent: filled(self.intent),
            lang: filled(self.lang),
            entities,
            record,
            line,
            file: None,
        })
    }
}

/// Reads a cell of entities, that of the record `record` of `file` on `line`.
///
/// # Errors
/// `BOT-2128` (exit 3) when it is not a JSON array of spans.
pub fn entities(json: &str, file: &str, record: u64, line: u64) -> Result<Vec<EntitySpan>> {
    serde_json::from_str(json).map_err(|error| {
        Fault::data(
            "BOT-2128",
            format!("`entities` is not a list of spans: `{}`", botops_text::utterance(json, 60)),
        )
        .at(Place {
            file: Some(file.to_owned()),
            record: Some(record),
            line: Some(line),
            ..Place::default()
        })
        .hint(r#"write `[{"entity":"date","value":"31/10","start":3,"end":8}]`, counted in characters from 0, or leave it empty"#)
        .caused_by(error)
    })
}

/// Returns the entities of `record` as a cell: a JSON array, or an empty string if it has none.
///
/// # Panics
/// Never: a span is always valid JSON.
#[must_use]
pub fn entities_cell(record: &Record) -> String {
    if record.entities.is_empty() {
        return String::new();
    }
    serde_json::to_string(&record.entities).expect("a span is valid JSON")
}
