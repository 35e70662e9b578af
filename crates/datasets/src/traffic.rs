//! Recorded traffic: JSONL with `at`, `conversation_id`, `text` and an optional `truth`.

use crate::{
    formats::encoding::Encoding,
    formats::{
        encoding,
        json::{self, Kind, Reader},
    },
    opening::{self, Format, Identity, Limits, Opened},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_spec::nearest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, io::Read, path::Path};

/// One message of recorded traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// When it was received.
    pub at: DateTime<Utc>,
    /// The conversation it belongs to.
    pub conversation_id: String,
    /// Its text.
    pub text: String,
    /// Its true intent, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<String>,
}

/// Recorded traffic of one file.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// The file, as the user named it.
    pub name: String,
    /// Digest of the file's bytes.
    pub digest: Digest,
    /// The messages, by time.
    pub records: Vec<TrafficRecord>,
}

/// Reads recorded traffic (JSONL with `at`, `conversation_id`, `text`, optional `truth`).
///
/// Records are sorted by `at`; records of the same time keep the order of the file. Other keys are ignored.
///
/// # Errors
/// As [`super::read()`]; `BOT-2133` (exit 3) for a record that lacks a key, or whose time is not RFC 3339.
pub fn read_traffic(path: &Path) -> Result<Traffic> {
    let limits = Limits::default();
    all(opening::open(path, Some(Format::Jsonl), Encoding::Utf8, &limits, Identity::Digested)?)
}

/// Reads `bytes` as [`read_traffic`] reads a file of these bytes called `name`.
///
/// # Errors
/// As [`read_traffic`], but for `BOT-1001`.
pub fn read_traffic_bytes(bytes: &[u8], name: &str) -> Result<Traffic> {
    let format = Some(Format::Jsonl);
    all(opening::begin(
        Box::new(bytes),
        name,
        format,
        Encoding::Utf8,
        &Limits::default(),
        Identity::Digested,
    )?)
}

fn all<R: Read>(mut opened: Opened<R>) -> Result<Traffic> {
    let name = opened.name.clone();
    let mut bytes = Vec::new();
    opened.reader.read_to_end(&mut bytes).map_err(|error| opening::unread(error, &name))?;
    if bytes.trim_ascii().is_empty() {
        return Err(encoding::empty(&name));
    }
    let mut reader = Reader::lines(&name, opened.mark);
    let mut messages = Vec::new();
    reader.read(&bytes, true, &mut |members, position| {
        messages.push((message(members.iter().cloned().collect())?, position));
        Ok(())
    })?;
    let mut records = Vec::with_capacity(messages.len());
    for (message, position) in messages {
        records.push(message.map_err(|fault| fault.at(reader.place(position)))?);
    }
    records.sort_by_key(|record: &TrafficRecord| record.at);
    let digest = opened.progress().digest().unwrap_or_else(|| Digest::of(&bytes));
    Ok(Traffic { digest, name, records })
}

/// The members of an object by key.
type Object<'t> = BTreeMap<Cow<'t, str>, &'t RawValue>;

/// Reads one message. The outer error is one of the JSON, the inner one is a fault of the message.
fn message(mut object: Object<'_>) -> serde_json::Result<Result<TrafficRecord>> {
    let at = string(&mut object, "at")?;
    let truth = string(&mut object, "truth")?;
    let conversation_id = string(&mut object, "conversation_id")?;
    let text = string(&mut object, "text")?;
    Ok((|| {
        let at = required(at?, "at", &object)?;
        let at = DateTime::parse_from_rfc3339(at.trim()).map_err(|error| {
            let at = botops_text::display(&at, 40);
            Fault::data("BOT-2133", format!("`at` is not a time: `{at}`"))
                .hint("write it as `2026-10-26T00:06:44Z`")
                .caused_by(error)
        })?;
        let truth = truth?.map(|truth| truth.trim().to_owned()).filter(|truth| !truth.is_empty());
        Ok(TrafficRecord {
            at: at.with_timezone(&Utc),
            conversation_id: required(conversation_id?, "conversation_id", &object)?,
            text: required(text?, "text", &object)?,
            truth,
        })
    })())
}

/// Takes the value of `key` out of `object`; `None` if it is absent, or `null` where that is allowed.
fn string(object: &mut Object<'_>, key: &str) -> serde_json::Result<Result<Option<String>>> {
    let Some(value) = object.remove(key) else { return Ok(Ok(None)) };
    Ok(match Kind::of(value) {
        Kind::Text => {
            let mut text = String::new();
            json::push_cell(value, &mut text)?;
            Ok(Some(text))
        }
        Kind::Null if key == "truth" => Ok(None),
        _ => Err(Fault::data("BOT-2133", format!("`{key}` is not a string"))
            .hint(format!("write it as `\"{key}\": \"…\"`"))),
    })
}

/// Returns the value of `key`, or a fault that lists the `unused` keys of the object.
fn required(value: Option<String>, key: &str, unused: &Object<'_>) -> Result<String> {
    value.ok_or_else(|| {
        let keys: Vec<String> =
            unused.keys().map(|there| format!("`{}`", botops_text::display(there, 40))).collect();
        let fault = Fault::data(
            "BOT-2133",
            format!("`{key}` is missing; the keys are {}", keys.join(", ")),
        );
        match nearest(key, unused.keys().map(AsRef::as_ref)) {
            Some(near) => {
                fault.hint(format!("rename `{}` to `{key}`", botops_text::display(near, 40)))
            }
            None => fault.hint(
                "traffic has the keys `at`, `conversation_id`, `text`, and `truth` where it is known",
            ),
        }
    })
}
