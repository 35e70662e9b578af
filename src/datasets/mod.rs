//! Data sets: read with record and line, checked against expectations, split, written.

use crate::{
    digest::Digest,
    findings::{Finding, Place, Result},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

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
}

/// One labelled utterance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The utterance as written.
    pub text: String,
    /// Its intent, [`crate::labels::OOS`], or `None` when the file has no intent column.
    pub intent: Option<String>,
    /// Its declared language.
    pub lang: Option<String>,
    /// Its declared entities.
    pub entities: Vec<EntitySpan>,
    /// The record, from 1 (the header is not one).
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
}

/// Records of one file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dataset {
    /// The file, as the user named it.
    pub name: String,
    /// Digest of the file's bytes.
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
            file: Some(self.name.clone()),
            record: Some(record.record),
            line: Some(record.line),
            ..Place::default()
        }
    }
}

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The text column; default: the first of `text`, `utterance`, `message` (any case).
    pub text_column: Option<String>,
    /// The intent column; default: the first of `intent`, `label`, `category` (any case).
    pub intent_column: Option<String>,
    /// The language column; default: the first of `lang`, `language`, `locale`.
    pub lang_column: Option<String>,
    /// Whether a file without an intent column is a fault.
    pub intent: Presence,
}

/// Whether a column has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// A file without it is a fault.
    #[default]
    Required,
    /// A file may lack it.
    Optional,
}

/// A record set aside, with the reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The record as read (lossily, where its encoding was damaged).
    pub record: Record,
    /// The findings that rejected it.
    pub reasons: Vec<Finding>,
}

/// Reads `path` (CSV, TSV, JSONL, Parquet by extension): records in file order.
///
/// A UTF-8 byte-order mark is skipped. A field longer than 1 MiB is read, and left to `validate` to report.
///
/// # Errors
/// Exit 2: `BOT-1001` missing, unreadable or a directory; `BOT-2101` no text (or required intent)
/// column: the columns there are named. Exit 3: `BOT-2102` empty file or header only, `BOT-2103` binary,
/// `BOT-2104` not UTF-8 (record, line, byte; UTF-16 named), `BOT-2105` a record with another number of fields,
/// `BOT-2106` a quote never closed (where it opened), `BOT-2107` malformed JSON line.
pub fn read(path: &Path, options: &ReadOptions) -> Result<Dataset> {
    let _ = (path, options);
    todo!()
}

/// What a data set is expected to hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// 1.
    pub version: u32,
    /// Column names by role: `text`, `intent`, `lang`, `entities`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// The closed set of intents; none: whatever the data holds.
    #[serde(default)]
    pub intents: Option<Vec<String>>,
    /// The label of out-of-scope utterances.
    #[serde(default = "default_oos")]
    pub oos: String,
    /// The closed set of languages.
    #[serde(default)]
    pub languages: Option<Vec<String>>,
    /// Bounds on the length of a text.
    #[serde(default)]
    pub text: TextBounds,
    /// Fewer examples of an intent than this is a finding.
    #[serde(default = "default_min_examples")]
    pub min_examples_per_intent: u64,
    /// Severities other than the default, by code: `BOT-2120: error`. `off` silences one.
    #[serde(default)]
    pub severity: BTreeMap<String, String>,
}

fn default_oos() -> String {
    crate::labels::OOS.to_owned()
}

fn default_min_examples() -> u64 {
    5
}

/// Bounds on the length of a text, in code points.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TextBounds {
    /// The fewest code points.
    pub min_chars: usize,
    /// The most code points.
    pub max_chars: usize,
}

impl Default for TextBounds {
    fn default() -> Self {
        Self { min_chars: 1, max_chars: 5_000 }
    }
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            version: 1,
            columns: BTreeMap::new(),
            intents: None,
            oos: default_oos(),
            languages: None,
            text: TextBounds::default(),
            min_examples_per_intent: default_min_examples(),
            severity: BTreeMap::new(),
        }
    }
}

/// What validation found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Validation {
    /// The records that may be trained on.
    #[serde(skip)]
    pub accepted: Option<Dataset>,
    /// The records set aside.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// Everything found, in the order of the file, then of the code.
    pub findings: Vec<Finding>,
    /// Records read; always `records_accepted + records_rejected`.
    pub records_in: u64,
    /// Records accepted.
    pub records_accepted: u64,
    /// Records set aside.
    pub records_rejected: u64,
    /// Findings by severity.
    pub errors: u64,
    /// See `errors`.
    pub warnings: u64,
    /// Examples by intent, among the accepted.
    pub intents: BTreeMap<String, u64>,
    /// Examples by language, among the accepted.
    pub languages: BTreeMap<String, u64>,
}

/// Checks `data` against `expectations`, and against `test` for leakage.
#[must_use]
pub fn validate(data: &Dataset, expectations: &Expectations, test: Option<&Dataset>) -> Validation {
    let _ = (data, expectations, test);
    todo!()
}

/// Writes the rejected records as CSV: `record,line,codes,reasons` and the columns of the data; formulas neutralised.
///
/// # Errors
/// `BOT-1002` when it cannot be written.
pub fn write_quarantine(path: &Path, rejected: &[Rejected]) -> Result<()> {
    let _ = (path, rejected);
    todo!()
}

/// Writes `data` as CSV (`text,intent,lang,entities`), complete or absent.
///
/// # Errors
/// `BOT-1002`.
pub fn write_csv(path: &Path, data: &Dataset) -> Result<()> {
    let _ = (path, data);
    todo!()
}

/// How to split.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitSpec {
    /// The share of each intent that goes to test, in (0, 1).
    pub test_share: f64,
    /// Changes which records those are.
    pub seed: u64,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self { test_share: 0.2, seed: 17 }
    }
}

/// The two sides of a split.
#[derive(Debug, Clone)]
pub struct Split {
    /// Learned from.
    pub train: Dataset,
    /// Judged on.
    pub test: Dataset,
}

/// Splits `data` by the hash of each folded text, stratified by intent and language with the largest remainder: adding records hardly moves old ones.
///
/// # Errors
/// `BOT-2130` for a share outside (0, 1) (exit 2); `BOT-2131` when an intent has too few records for both sides (exit 4).
pub fn split(data: &Dataset, spec: &SplitSpec) -> Result<Split> {
    let _ = (data, spec);
    todo!()
}

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
/// # Errors
/// As [`read`].
pub fn read_traffic(path: &Path) -> Result<Traffic> {
    let _ = path;
    todo!()
}
