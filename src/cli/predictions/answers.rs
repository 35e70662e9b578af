//! The answers of `botops predictions`.

use botops_predictions::{LabelDelay, Record, Row};
use serde::Serialize;
use std::collections::BTreeSet;

/// The newest records.
#[derive(Serialize)]
pub(super) struct Tail<'a> {
    pub(super) environment: &'a str,
    pub(super) records: Vec<Record>,
}

/// A group of records.
#[derive(Serialize)]
pub(super) struct CountedRow {
    #[serde(flatten)]
    pub(super) row: Row,
    /// The share of the judged records whose intent is right.
    pub(super) accuracy: Option<f64>,
    /// Its 95 % Wilson interval.
    pub(super) interval: Option<[f64; 2]>,
}

/// Records in groups.
#[derive(Serialize)]
pub(super) struct Counted<'a> {
    pub(super) environment: &'a str,
    pub(super) by: Vec<&'a str>,
    pub(super) n: u64,
    /// The number of messages on which verdicts differ.
    pub(super) contradicted: u64,
    /// The number of verdicts on intents, of any time, from sources that were not asked for.
    pub(super) not_counted: u64,
    /// The time between a message and the verdict on it.
    pub(super) label_delay: Option<LabelDelay>,
    /// The number of messages with a verdict that the log does not have; none if only a part of the time was asked for.
    pub(super) unknown_verdicts: Option<u64>,
    pub(super) rows: Vec<CountedRow>,
}

/// The records in a file.
#[derive(Serialize)]
pub(super) struct Exported<'a> {
    pub(super) environment: &'a str,
    pub(super) out: String,
    pub(super) records: u64,
    pub(super) dry_run: bool,
}

/// An hour that was compacted.
#[derive(Serialize)]
pub(super) struct CompactedHour {
    pub(super) hour: String,
    pub(super) segments: u64,
    pub(super) records: u64,
    pub(super) duplicates: u64,
    pub(super) refused: u64,
    /// The segments of which a part could not be read; they are kept.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) damaged: BTreeSet<String>,
    pub(super) removed: u64,
}

/// The hours past the retention.
#[derive(Serialize)]
pub(super) struct Expired {
    pub(super) hours: u64,
    /// The records of their compacted files.
    pub(super) compacted: u64,
    /// The days whose verdicts are past it, too.
    pub(super) days_of_verdicts: u64,
}

/// A compaction.
#[derive(Serialize)]
pub(super) struct Compacted<'a> {
    pub(super) environment: &'a str,
    pub(super) hours: Vec<CompactedHour>,
    /// The number of hours that another process compacted meanwhile.
    pub(super) elsewhere: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expired: Option<Expired>,
    pub(super) dry_run: bool,
}

/// Verdicts that were recorded.
#[derive(Serialize)]
pub(super) struct Recorded<'a> {
    pub(super) environment: &'a str,
    pub(super) verdicts: usize,
    /// The number of messages that the log does not have yet.
    pub(super) unknown: usize,
    pub(super) dry_run: bool,
}

/// Records that were erased.
#[derive(Serialize)]
pub(super) struct Forgotten<'a> {
    pub(super) environment: &'a str,
    pub(super) records: u64,
    pub(super) hours: u64,
    pub(super) dry_run: bool,
}
