//! Data sets: read with record and line, checked against expectations, split, written.
//!
//! In: a file somebody made (CSV, TSV, JSONL, JSON, Parquet; packed or not). Out: [`Record`]s that know where they came
//! from, findings about them, and files that are complete or absent.

mod columns;
mod csv;
mod duplicates;
mod encoding;
mod expectations;
mod frame;
mod json;
mod locked_split;
mod merging;
mod open;
mod profile;
mod rasa;
mod read;
mod repair;
mod review;
mod snapshots;
mod split;
mod stream;
mod survey;
mod table;
mod traffic;
mod validation;
mod write;
mod writer;

pub use duplicates::{DuplicateGroup, DuplicateMember, Duplicates, Likeness, duplicates};
pub use expectations::{
    Expectations, Inferred, Reference, RowBounds, RuleSpec, Scalar, TextBounds, Threshold,
    ValueType, infer, infer_bytes,
};
pub use frame::{is_parsing_parquet, write_parquet};
pub use locked_split::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide, split_locked};
pub use merging::{Merging, NewIntents, merge, utterance_id};
pub use open::{Format, Limits, Opened, Packing, Progress, STDIN, expand, open, unread};
pub use profile::{
    Balance, ColumnProfile, IntentProfile, LengthBin, Lengths, Profile, ProfileChange, TextProfile,
    UNTOLD, profile, profile_bytes, profile_records,
};
pub use rasa::{Term, TermKind};
pub use read::{bytes, read, read_bytes};
pub use repair::{
    Application, EditedCell, Fix, FixAction, Proposal, Readmission, RemovedRecord, Repaired,
    SuggestedIntent, apply, patch_csv, propose, read_patch, readmit, write_left,
};
pub use review::{Change, IntentChange, Review, ReviewedFile, ReviewedRecord, Side, review};
pub use snapshots::{
    Chunk, Pack, Pulled, Snapshot, SnapshotAction, SnapshotEvent, SnapshotFile, SnapshotManifest,
    SnapshotReference, SnapshotSelector, SnapshotVerification, Snapshots, Taken, Taking,
    files_under,
};
pub use split::split;
pub use stream::{Besides, Stream, stream, stream_bytes};
pub use traffic::{read_traffic, read_traffic_bytes};
pub use validation::{
    Baseline, Check, Keep, Mark, ValidateOptions, validate, validate_bytes, validate_file,
    write_quarantine,
};
pub use write::{csv_bytes, spreadsheet_csv, write_csv};
pub use writer::{RecordWriter, Written};

use crate::{
    digest::Digest,
    findings::{Finding, Place},
};
use chrono::{DateTime, Utc};
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
    /// Its intent, [`crate::labels::OOS`], or `None` when the file has no intent column or the cell is empty.
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

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The text column; default: the first of `text`, `utterance`, `message`, `query` (any case).
    pub text_column: Option<String>,
    /// The intent column; default: the first of `intent`, `label`, `category` (any case).
    pub intent_column: Option<String>,
    /// The language column; default: the first of `lang`, `language`, `locale`.
    pub lang_column: Option<String>,
    /// Whether a file without an intent column is a fault.
    pub intent: Presence,
    /// Whether a file without a text column is a fault; only checks of rules can do without one.
    pub text: Presence,
    /// How the records are written; default: told from the name, else from the content.
    pub format: Option<Format>,
    /// How much a packed file may unpack to.
    pub limits: Limits,
}

impl ReadOptions {
    /// Returns whether a table need not have a text: none is asked for, nor anything else by name.
    fn is_free(&self) -> bool {
        let named = [&self.text_column, &self.intent_column, &self.lang_column];
        self.text == Presence::Optional && named.iter().all(|name| name.is_none())
    }
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

/// What validation found.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Validation {
    /// The records that may be trained on.
    #[serde(skip)]
    pub accepted: Option<Dataset>,
    /// The records set aside.
    #[serde(skip)]
    pub rejected: Vec<Rejected>,
    /// What was found, in the order of the file, then of the code; of each kind as many as were asked for.
    pub findings: Vec<Finding>,
    /// What is known of each of `findings` besides.
    #[serde(skip)]
    pub marks: Vec<Mark>,
    /// Every check that was made, with how many findings it has in all.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// All findings, where they were asked for as a baseline.
    #[serde(skip)]
    pub baseline: Option<Baseline>,
    /// Findings that the baseline knows: they are not among the others.
    #[serde(default)]
    pub known: u64,
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
    /// What was read and what was accepted, where that was asked for.
    #[serde(skip)]
    pub profiles: Option<Box<ProfileChange>>,
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

#[cfg(test)]
mod tests;
