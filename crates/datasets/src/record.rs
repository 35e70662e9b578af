//! Records and data sets in memory.

use crate::{column_roles::Roles, formats::json::push_cell, opening::Format};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
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
    /// The texts that are an entity, by its name: the lookup tables of a Rasa file. They belong to no record, and the
    /// tagger of a model learns from them.
    pub lookups: BTreeMap<String, Vec<String>>,
}

impl Dataset {
    /// Returns the place of `record` in this data set.
    #[must_use]
    pub fn place(&self, record: &Record) -> Place {
        let file = record.file.as_deref().unwrap_or(&self.name);
        record_place(file, record.record, record.line)
    }
}

/// Returns the place of the record `record` of `file`, which starts on `line`. A Parquet file has no lines.
#[must_use]
pub fn record_place(file: &str, record: u64, line: u64) -> Place {
    let has_lines = Format::of_name(file) != Some(Format::Parquet);
    Place {
        file: Some(file.to_owned()),
        record: Some(record),
        line: has_lines.then_some(line),
        ..Place::default()
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

/// A span as programs write it, with keys such as `confidence` that are not read.
#[derive(Deserialize)]
struct WrittenSpan<'a> {
    #[serde(borrow)]
    entity: &'a RawValue,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    start: usize,
    end: usize,
    #[serde(borrow, default)]
    synonym_of: Option<&'a RawValue>,
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    group: Option<&'a RawValue>,
}

impl WrittenSpan<'_> {
    fn span(&self) -> serde_json::Result<EntitySpan> {
        let text = |value: &RawValue| {
            let mut text = String::new();
            push_cell(value, &mut text).map(|()| text)
        };
        let entity = text(self.entity)?;
        if entity.is_empty() {
            return Err(serde::de::Error::custom("the entity has no name"));
        }
        Ok(EntitySpan {
            entity,
            value: self.value.map(text).transpose()?.unwrap_or_default(),
            start: self.start,
            end: self.end,
            synonym_of: self.synonym_of.map(text).transpose()?,
            role: self.role.map(text).transpose()?,
            group: self.group.map(text).transpose()?,
        })
    }
}

/// Reads a cell of entities, that of the record `record` of `file` on `line`.
///
/// - unknown keys are not read, and neither is null in the place of a span
/// - a number is its text: the value `19.90` is read as `"19.90"`
/// - a span with no value, or the value null, has an empty value, which `validate` reports
///
/// # Errors
/// `BOT-2128` (exit 3) when it is not a JSON array of spans.
pub fn entities(json: &str, file: &str, record: u64, line: u64) -> Result<Vec<EntitySpan>> {
    let read = || -> serde_json::Result<Vec<EntitySpan>> {
        let spans: Vec<Option<WrittenSpan<'_>>> = serde_json::from_str(json)?;
        spans.iter().flatten().map(WrittenSpan::span).collect()
    };
    read().map_err(|error| {
        Fault::data(
            "BOT-2128",
            format!("`entities` is not a list of spans: `{}`", botops_text::utterance(json, 60)),
        )
        .at(record_place(file, record, line))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_parquet_has_no_line() {
        for (file, line) in
            [("a.csv", Some(19)), ("-", Some(19)), ("a.PARQUET", None), ("a.pq", None)]
        {
            let place = record_place(file, 18, 19);
            assert_eq!((place.record, place.line), (Some(18), line), "{file}");
        }
    }

    #[test]
    fn entities_are_read_as_rasa_writes_them() {
        let read = |json: &str| entities(json, "a.jsonl", 1, 1);
        let span = |value: &str| EntitySpan::new("amount", value, 4, 9);
        for (json, expected) in [
            (
                r#"[{"entity":"amount","value":"19","start":4,"end":9,"confidence":0.9,"extractor":"DIET"}]"#,
                span("19"),
            ),
            (r#"[{"entity":"amount","value":19.90,"start":4,"end":9}]"#, span("19.90")),
            (r#"[{"entity":"amount","value":null,"start":4,"end":9}]"#, span("")),
            (r#"[{"entity":"amount","start":4,"end":9,"role":null}, null]"#, span("")),
            (
                r#"[{"entity":"amount","value":"a\u00e9","start":4,"end":9,"role":"from"}]"#,
                EntitySpan { role: Some("from".to_owned()), ..span("aé") },
            ),
        ] {
            assert_eq!(read(json).unwrap(), [expected], "{json}");
        }
        for json in ["{}", "[1]", r#"[{"value":"a","start":4,"end":9}]"#, r#"["a"]"#] {
            assert_eq!(read(json).unwrap_err().code(), "BOT-2128", "{json}");
        }
    }
}
