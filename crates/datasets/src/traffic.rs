//! Recorded traffic.

use crate::{
    formats::{encoding, json},
    opening::{self, Format, Identity, Limits, Opened},
};
use botops_digest::Digest;
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{io::Read, path::Path};

/// One message of recorded traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// When it was received.
    pub at: DateTime<Utc>,
    /// The conversation it belongs to.
    pub conversation_id: String,
    /// What was said.
    pub text: String,
    /// What it turned out to mean, learned later.
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
/// Records are sorted by `at`; those of one moment stay in the order of the file. Other keys are left alone.
///
/// # Errors
/// As [`super::read()`]; `BOT-2133` (exit 3) for a record that lacks a key, or whose time is not RFC 3339.
pub fn read_traffic(path: &Path) -> Result<Traffic> {
    let limits = Limits::default();
    all(opening::open_as(path, Some(Format::Jsonl), &limits, Identity::Digested)?)
}

/// Reads `bytes` as [`read_traffic`] reads a file of these bytes called `name`.
///
/// # Errors
/// As [`read_traffic`], but for `BOT-1001`.
pub fn read_traffic_bytes(bytes: &[u8], name: &str) -> Result<Traffic> {
    let format = Some(Format::Jsonl);
    all(opening::begin(Box::new(bytes), name, format, &Limits::default(), Identity::Digested)?)
}

fn all<R: Read>(mut opened: Opened<R>) -> Result<Traffic> {
    let name = opened.name.clone();
    let mut bytes = Vec::new();
    opened.reader.read_to_end(&mut bytes).map_err(|error| opening::unread(error, &name))?;
    if bytes.trim_ascii().is_empty() {
        return Err(encoding::empty(&name));
    }
    let mut records = Vec::new();
    for (i, (line, object)) in json::objects(&bytes, &name)?.into_iter().enumerate() {
        let place = Place {
            file: Some(name.clone()),
            record: Some(i as u64 + 1),
            line: Some(line),
            ..Place::default()
        };
        records.push(message(object).map_err(|fault| fault.at(place))?);
    }
    records.sort_by_key(|record: &TrafficRecord| record.at);
    let digest = opened.progress().digest().unwrap_or_else(|| Digest::of(&bytes));
    Ok(Traffic { digest, name, records })
}

fn message(mut object: Map<String, Value>) -> Result<TrafficRecord> {
    let at = required(&mut object, "at")?;
    let at = DateTime::parse_from_rfc3339(at.trim()).map_err(|error| {
        Fault::data("BOT-2133", format!("`at` is not a time: `{}`", botops_text::display(&at, 40)))
            .hint("write it as `2026-10-26T00:06:44Z`")
            .caused_by(error)
    })?;
    let truth = match object.remove("truth") {
        None | Some(Value::Null) => None,
        Some(Value::String(truth)) => Some(truth.trim().to_owned()).filter(|t| !t.is_empty()),
        Some(_) => return Err(no_text("truth")),
    };
    Ok(TrafficRecord {
        at: at.with_timezone(&Utc),
        conversation_id: required(&mut object, "conversation_id")?,
        text: required(&mut object, "text")?,
        truth,
    })
}

fn required(object: &mut Map<String, Value>, key: &str) -> Result<String> {
    match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(no_text(key)),
        None => {
            let keys: Vec<String> = object
                .keys()
                .map(|there| format!("`{}`", botops_text::display(there, 40)))
                .collect();
            let fault = Fault::data(
                "BOT-2133",
                format!("`{key}` is missing; the keys are {}", keys.join(", ")),
            );
            Err(match nearest(key, object.keys().map(String::as_str)) {
                Some(near) => fault.hint(format!(
                    "rename `{}` to `{key}`",
                    botops_text::display(near, 40)
                )),
                None => fault.hint(
                    "traffic has the keys `at`, `conversation_id`, `text`, and `truth` where it is known",
                ),
            })
        }
    }
}

fn no_text(key: &str) -> Fault {
    Fault::data("BOT-2133", format!("`{key}` is no text"))
        .hint(format!("write it as `\"{key}\": \"…\"`"))
}
