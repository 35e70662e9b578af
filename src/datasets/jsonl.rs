//! JSON, one object a line.

use super::{
    ReadOptions, Record,
    columns::Roles,
    encoding::{Start, decode_part},
    read::{Cells, Read, decode},
};
use crate::findings::{Fault, Place, Result};
use serde_json::{Map, Value, error::Category};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the JSONL text `bytes`.
///
/// # Errors
/// See [`super::read()`].
pub(super) fn read(bytes: &[u8], file: &str, options: &ReadOptions) -> Result<Read> {
    let objects = objects(bytes, file)?;
    let header = Header::of(&objects, file, options)?;
    let records = header.records(&objects, file, 0)?;
    Ok((header.roles.columns(&header.names), records))
}

/// Reads the records of a file part by part. Its keys are those of the first part.
#[derive(Debug)]
pub(super) struct Parts {
    file: String,
    header: Option<Header>,
    start: Start,
}

impl Parts {
    /// Begins a file.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), header: None, start: Start::default() }
    }

    /// Returns how many bytes of `bytes` are whole lines.
    pub(super) fn whole(bytes: &[u8]) -> usize {
        bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
    }

    /// Reads the records of `bytes`, the next part of the file.
    pub(super) fn read(&mut self, bytes: &[u8], options: &ReadOptions) -> Result<Vec<Record>> {
        let text = decode_part(bytes, &self.file, self.start, record_at_end)?;
        let objects = objects_of(text, &self.file, self.start)?;
        if self.header.is_none() && !objects.is_empty() {
            self.header = Some(Header::of(&objects, &self.file, options)?);
        }
        let Some(header) = &self.header else { return Ok(Vec::new()) };
        let records = header.records(&objects, &self.file, self.start.records)?;
        self.start = Start {
            offset: self.start.offset + bytes.len() as u64,
            line: self.start.line + text.matches('\n').count() as u64,
            records: self.start.records + objects.len() as u64,
        };
        Ok(records)
    }

    /// Returns the columns that have a role; none before a record was read.
    pub(super) fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.header.as_ref().map(|header| header.roles.columns(&header.names))
    }
}

/// Returns the keys of `objects`, in the order in which they come.
pub(super) fn keys(objects: &[(u64, Map<String, Value>)]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut names: Vec<String> = Vec::new();
    for key in objects.iter().flat_map(|(_, object)| object.keys()) {
        if seen.insert(key.as_str()) {
            names.push(key.clone());
        }
    }
    names
}

/// The keys, and which are which.
#[derive(Debug)]
struct Header {
    names: Vec<String>,
    roles: Roles,
}

impl Header {
    fn of(
        objects: &[(u64, Map<String, Value>)],
        file: &str,
        options: &ReadOptions,
    ) -> Result<Self> {
        let names = keys(objects);
        let place = Place { file: Some(file.to_owned()), ..Place::default() };
        let roles = Roles::recognise(&names, options, &place)?;
        Ok(Self { names, roles })
    }

    /// Makes records of `objects`, which come after `before` others.
    fn records(
        &self,
        objects: &[(u64, Map<String, Value>)],
        file: &str,
        before: u64,
    ) -> Result<Vec<Record>> {
        let Self { names, roles } = self;
        let place = Place { file: Some(file.to_owned()), ..Place::default() };
        let mut records = Vec::with_capacity(objects.len());
        for (record, (line, object)) in (before + 1..).zip(objects) {
            let cell = |column: Option<usize>| -> Result<Option<String>> {
                let Some(name) = column.map(|column| &names[column]) else { return Ok(None) };
                scalar(object.get(name), name).map_err(|fault| {
                    fault.at(Place { record: Some(record), line: Some(*line), ..place.clone() })
                })
            };
            let entities = roles.entities.and_then(|column| match object.get(&names[column])? {
                Value::Null => None,
                // A list as such, or as the text that a table would hold.
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
            let text = cell(Some(roles.text))?.unwrap_or_default();
            let (intent, lang) = (cell(roles.intent)?, cell(roles.lang)?);
            let cells = Cells {
                text: &text,
                intent: intent.as_deref(),
                lang: lang.as_deref(),
                entities: entities.as_deref(),
            };
            records.push(cells.record(file, record, *line)?);
        }
        Ok(records)
    }
}

/// Returns a value as a text; `None` where there is none.
pub(super) fn scalar(value: Option<&Value>, name: &str) -> Result<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(value.to_string())),
        Some(other) => {
            let what = if other.is_array() { "a list" } else { "an object" };
            let name = crate::text::display(name, 40);
            Err(Fault::data("BOT-2107", format!("`{name}` is {what}, and a text is wanted"))
                .hint(format!("write it as `\"{name}\": \"…\"`")))
        }
    }
}

/// Returns the objects of `bytes` with their lines; blank lines are skipped.
///
/// # Errors
/// See [`super::read()`].
pub(super) fn objects(bytes: &[u8], file: &str) -> Result<Vec<(u64, Map<String, Value>)>> {
    objects_of(decode(bytes, file, record_at_end)?, file, Start::default())
}

/// Returns the record that the byte after `valid` belongs to.
pub(super) fn record_at_end(valid: &str) -> Option<u64> {
    let complete = valid.rfind('\n').map_or("", |at| &valid[..at]);
    Some(complete.lines().filter(|line| !line.trim().is_empty()).count() as u64 + 1)
}

/// As [`objects`], of a part of a file.
pub(super) fn objects_of(
    text: &str,
    file: &str,
    start: Start,
) -> Result<Vec<(u64, Map<String, Value>)>> {
    let mut objects = Vec::new();
    for (number, line) in (start.line..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place {
            file: Some(file.to_owned()),
            record: Some(start.records + objects.len() as u64 + 1),
            line: Some(number),
            ..Place::default()
        };
        let fault = |message: &str| Fault::data("BOT-2107", message);
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(object)) => objects.push((number, object)),
            Ok(other) => {
                let (what, hint) = match other {
                    Value::Array(_) => {
                        ("a list", "write each of its objects on a line of its own: `jq -c '.[]'`")
                    }
                    _ => ("no object", "write `{\"text\": \"…\", \"intent\": \"…\"}`"),
                };
                return Err(fault(&format!("the line holds {what}, and a JSON object is wanted"))
                    .at(place)
                    .hint(hint));
            }
            Err(error) => {
                let place = Place { column: Some(error.column().max(1) as u64), ..place };
                let fault = match error.classify() {
                    Category::Eof if line.trim() == "[" || line.trim() == "{" => {
                        fault("the file is one JSON document, and one object a line is wanted")
                            .hint("write each object on a line of its own: `jq -c '.[]'`")
                    }
                    Category::Eof => fault("the line ends in the middle of a JSON object")
                        .hint("it may have been cut off: write the line again"),
                    _ => fault("the line is not JSON")
                        .hint(format!("look at `{}`", around(line, error.column()))),
                };
                return Err(fault.at(place).caused_by(error));
            }
        }
    }
    Ok(objects)
}

/// Returns what stands before column `column` (in bytes) of `line`.
fn around(line: &str, column: usize) -> String {
    let boundary = |at: usize| (0..=at).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    let end = boundary(column.min(line.len()));
    let start = boundary(end.saturating_sub(30));
    crate::text::display(&line[start..end], 40)
}
