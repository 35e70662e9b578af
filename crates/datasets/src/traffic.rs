//! Recorded traffic: JSONL, or a table, with `at`, `conversation_id`, `text` and an optional `truth`; or an export of the prediction
//! log, which calls the first two `time` and `conversation`.

use crate::{
    formats::encoding::Encoding,
    formats::{
        encoding,
        json::{self, Kind, Reader},
    },
    opening::{self, Format, Identity, Limits, Opened},
    read_options::{Presence, ReadOptions},
    record::record_place,
    table::{Origin, ReadPlan, Table},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_spec::nearest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, io::Read, path::Path};

/// The keys of the time, of recorded traffic and of an export of the prediction log.
const AT: [&str; 2] = ["at", "time"];
/// The keys of the conversation.
const CONVERSATION: [&str; 2] = ["conversation_id", "conversation"];
/// The key of the request of an export.
const REQUEST: &str = "request_id";

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

/// Reads recorded traffic: `at` (or `time`), `conversation_id` (or `conversation`), `text`, optional `truth`.
///
/// The file is JSONL, or by its name a table of these columns (CSV, TSV, Parquet, a JSON list). A pattern names several
/// files. Records are sorted by time; records of the same time keep the order of the files. Other keys and columns are
/// ignored. A record of an export that has no conversation is one of its own.
///
/// # Errors
/// As [`super::read()`]; `BOT-2133` (exit 3) for a record that lacks a key, or whose time is not RFC 3339.
pub fn read_traffic(path: &Path) -> Result<Traffic> {
    let mut read = Vec::new();
    for file in opening::expand(path)? {
        read.push(match Format::of_name(&file.to_string_lossy()) {
            Some(Format::Csv | Format::Tsv | Format::Parquet | Format::Json) => of_table(&file)?,
            _ => {
                let (limits, format) = (Limits::default(), Some(Format::Jsonl));
                all(opening::open(&file, format, Encoding::Utf8, &limits, Identity::Digested)?)?
            }
        });
    }
    if read.len() == 1
        && let Some(only) = read.pop()
    {
        return Ok(only);
    }
    let digests: Vec<Digest> = read.iter().map(|traffic| traffic.digest).collect();
    let mut records: Vec<TrafficRecord> =
        read.into_iter().flat_map(|traffic| traffic.records).collect();
    records.sort_by_key(|record| record.at);
    Ok(Traffic { name: path.display().to_string(), digest: Digest::of_json(&digests), records })
}

/// Reads traffic from a table with a column for each key.
fn of_table(path: &Path) -> Result<Traffic> {
    let options = ReadOptions {
        text_column: Some("text".to_owned()),
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let origin = Origin::of(path)?;
    let mut table =
        Table::begin(&origin, &options, ReadPlan { roles_only: false, ..ReadPlan::DATASET })?;
    let name = origin.name().to_owned();
    let names = &table.shape().names;
    let optional = |key: &str| names.iter().position(|name| name == key);
    let column = |[key, other]: [&str; 2]| {
        let found = optional(key).or_else(|| optional(other));
        found.ok_or_else(|| missing(key, names.iter().map(String::as_str)).file(&name))
    };
    let (at, conversation) = (column(AT)?, column(CONVERSATION)?);
    let (text, truth, request) = (column(["text"; 2])?, optional("truth"), optional(REQUEST));
    let mut records = Vec::new();
    while let Some(batch) = table.next()? {
        for row in batch.rows() {
            let place = || record_place(&name, row.record(), row.line());
            let truth = truth.map_or("", |truth| row.cell(truth).trim());
            let conversation = match (row.cell(conversation), request) {
                ("", Some(request)) => row.cell(request),
                (conversation, _) => conversation,
            };
            records.push(TrafficRecord {
                at: time(row.cell(at)).map_err(|fault| fault.at(place()))?,
                conversation_id: conversation.to_owned(),
                text: row.cell(text).to_owned(),
                truth: Some(truth.to_owned()).filter(|truth| !truth.is_empty()),
            });
        }
    }
    if records.is_empty() {
        return Err(encoding::no_record(&name));
    }
    records.sort_by_key(|record| record.at);
    let digest = table.digest().unwrap_or_else(|| Digest::of(b""));
    Ok(Traffic { name, digest, records })
}

/// Reads the time of a message: RFC 3339, with a space for `T` and ` UTC` for `Z`, or milliseconds since 1970, as the log has it.
fn time(at: &str) -> Result<DateTime<Utc>> {
    let millis = at.trim().parse().ok().and_then(DateTime::from_timestamp_millis);
    if let Some(time) = millis {
        return Ok(time);
    }
    // Tables of other tools write `2026-10-26 00:06:44.000 UTC`.
    let zoned = match at.trim().strip_suffix("UTC") {
        Some(time) => format!("{}Z", time.trim_end()),
        None => at.trim().to_owned(),
    };
    let time = DateTime::parse_from_rfc3339(&zoned).map_err(|error| {
        let at = botops_text::display(at, 40);
        Fault::data("BOT-2133", format!("`at` is not a time: `{at}`"))
            .hint("write it as `2026-10-26T00:06:44Z`")
            .caused_by(error)
    })?;
    Ok(time.with_timezone(&Utc))
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
    let at = of_either(&mut object, AT)?;
    let truth = string(&mut object, "truth")?;
    let conversation_id = of_either(&mut object, CONVERSATION)?;
    let text = string(&mut object, "text")?;
    let request = match &conversation_id {
        Ok(None) => string(&mut object, REQUEST)?,
        _ => Ok(None),
    };
    Ok((|| {
        let at = required(at?, AT[0], &object)?;
        let at = time(&at)?;
        let conversation_id = conversation_id?.or(request?);
        let truth = truth?.map(|truth| truth.trim().to_owned()).filter(|truth| !truth.is_empty());
        Ok(TrafficRecord {
            at,
            conversation_id: required(conversation_id, CONVERSATION[0], &object)?,
            text: required(text?, "text", &object)?,
            truth,
        })
    })())
}

/// Takes the value of the first of two keys that `object` has.
fn of_either(
    object: &mut Object<'_>,
    [key, other]: [&str; 2],
) -> serde_json::Result<Result<Option<String>>> {
    let key = if object.contains_key(key) { key } else { other };
    string(object, key)
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
        Kind::Scalar if key == AT[1] => Ok(Some(value.get().to_owned())),
        _ => Err(Fault::data("BOT-2133", format!("`{key}` is not a string"))
            .hint(format!("write it as `\"{key}\": \"…\"`"))),
    })
}

/// Returns the value of `key`, or a fault that lists the `unused` keys of the object.
fn required(value: Option<String>, key: &str, unused: &Object<'_>) -> Result<String> {
    value.ok_or_else(|| missing(key, unused.keys().map(AsRef::as_ref)))
}

/// Returns the fault of traffic without `key`, which has these `keys`.
fn missing<'a>(key: &str, keys: impl Iterator<Item = &'a str> + Clone) -> Fault {
    let shown: Vec<String> =
        keys.clone().map(|there| format!("`{}`", botops_text::display(there, 40))).collect();
    let fault =
        Fault::data("BOT-2133", format!("`{key}` is missing; the keys are {}", shown.join(", ")));
    match nearest(key, keys) {
        Some(near) => fault.hint(format!("rename `{}` to `{key}`", botops_text::display(near, 40))),
        None => fault.hint(
            "traffic has the keys `at`, `conversation_id`, `text`, and `truth` where it is known",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const JSONL: &str = "{\"at\":\"2026-01-02T00:00:00Z\",\"conversation_id\":\"c\",\"text\":\"b, or c\"}\n\
        {\"at\":\"2026-01-01T02:00:00+01:00\",\"conversation_id\":\"d\",\"text\":\"a\",\"truth\":\"x\"}\n";

    #[test]
    fn traffic_in_a_table_is_read_like_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            read_traffic(&path)
        };
        let lines = read("a.jsonl", JSONL).unwrap().records;
        assert_eq!(lines[0].text, "a");
        let csv = "text,truth,at,conversation_id,channel\n\"b, or c\",,2026-01-02T00:00:00Z,c,web\na,x,2026-01-01T02:00:00+01:00,d,web\n";
        assert_eq!(read("a.csv", csv).unwrap().records, lines);
        let tsv = "at\tconversation_id\ttext\n2026-01-01T01:00:00Z\td\ta\n";
        assert_eq!(read("a.tsv", tsv).unwrap().records[0].at, lines[0].at);
        let fault =
            read("b.csv", "text,when,conversation_id\na,2026-01-01T00:00:00Z,c\n").unwrap_err();
        assert_eq!(
            (fault.code(), fault.message()),
            ("BOT-2133", "`at` is missing; the keys are `text`, `when`, `conversation_id`")
        );
        let fault = read("c.csv", "text,at,conversation_id\na,2026-01-01,c\n").unwrap_err();
        assert_eq!(
            (fault.code(), fault.place().record, fault.place().line),
            ("BOT-2133", Some(1), Some(2))
        );
    }

    #[test]
    fn an_export_of_the_prediction_log_is_traffic() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            read_traffic(&path).unwrap().records
        };
        let lines = "{\"schema\":\"botops.prediction_export/1\",\"time\":1767225600000,\"request_id\":\"r0\",\"conversation\":\"h1\",\"text\":\"a\",\"predicted\":\"x\"}\n\
            {\"schema\":\"botops.prediction_export/1\",\"time\":1767225601000,\"request_id\":\"r1\",\"text\":\"b\",\"predicted\":\"x\"}\n";
        let of_lines = read("a.jsonl", lines);
        let of = |it: &TrafficRecord| (it.at.to_rfc3339(), it.conversation_id.clone());
        assert_eq!(of(&of_lines[0]), ("2026-01-01T00:00:00+00:00".to_owned(), "h1".to_owned()));
        assert_eq!(of(&of_lines[1]), ("2026-01-01T00:00:01+00:00".to_owned(), "r1".to_owned()));
        let csv = "time,request_id,conversation,text,predicted\n2026-01-01T00:00:00.000Z,r0,h1,a,x\n2026-01-01T00:00:01.000Z,r1,,b,x\n";
        assert_eq!(read("a.csv", csv), of_lines);
        assert_eq!(read("b.csv", &csv.replace("T00", " 00").replace("Z,", " UTC,")), of_lines);
    }

    #[test]
    fn a_pattern_of_traffic_is_read_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = JSONL.split_once('\n').unwrap();
        fs::write(folder.path().join("t-1.jsonl"), first).unwrap();
        fs::write(folder.path().join("t-2.jsonl"), second).unwrap();
        let traffic = read_traffic(&folder.path().join("t-*.jsonl")).unwrap();
        let texts: Vec<&str> = traffic.records.iter().map(|record| record.text.as_str()).collect();
        assert_eq!(texts, ["a", "b, or c"]);
    }
}
