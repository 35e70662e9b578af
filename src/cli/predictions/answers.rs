//! The answers of `botops predictions`.

use botops_predictions::{Record, Row};
use serde::Serialize;

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
    pub(super) removed: u64,
}

/// The hours past the retention.
#[derive(Serialize)]
pub(super) struct Expired {
    pub(super) hours: u64,
    /// The records of their compacted files.
    pub(super) compacted: u64,
}

/// A compaction.
#[derive(Serialize)]
pub(super) struct Compacted<'a> {
    pub(super) environment: &'a str,
    pub(super) hours: Vec<CompactedHour>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expired: Option<Expired>,
    pub(super) dry_run: bool,
}

/// Verdicts that were recorded.
#[derive(Serialize)]
pub(super) struct Recorded<'a> {
    pub(super) environment: &'a str,
    pub(super) verdicts: usize,
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
