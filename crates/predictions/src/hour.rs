//! The records of one hour: a compacted file, and the segments that came since.

use crate::{
    columns::{COLUMNS, Column},
    layout::{self, HourKey, PARQUET, SEGMENT},
    parquet::ParquetReader,
    record::{Record, RecordKey, check_schema},
    segment::read_segment,
};
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};

/// The schema of the record of a compaction.
pub(crate) const COMPACTION_SCHEMA: &str = "botops.compaction/1";
const COMPACTION: &str = "compaction-";

/// The record of a compaction: the newest one of an hour says what counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compaction {
    /// `botops.compaction/1`.
    pub(crate) schema: String,
    /// The compacted file, in the same folder; `None` if nothing is left.
    pub(crate) parquet: Option<String>,
    /// The number of its records.
    pub(crate) records: u64,
    /// The segments whose records are in it, or were left out for good.
    pub(crate) folded: BTreeSet<String>,
}

/// An hour of the log of an environment, as listed.
#[derive(Debug, Clone)]
pub struct Hour {
    /// The hour.
    pub key: HourKey,
    /// The segments that are not compacted, sorted.
    pub segments: Vec<String>,
    /// The compacted file.
    pub parquet: Option<String>,
    /// The number of records in the compacted file.
    pub compacted: u64,
    /// The bytes of the segments that are not compacted.
    pub segment_bytes: u64,
    /// The objects that no reader needs any more: compacted segments, and the files of earlier compactions.
    pub obsolete: Vec<String>,
    pub(crate) folder: String,
    /// The number of the next compaction.
    pub(crate) next: u32,
    pub(crate) compaction: Option<Compaction>,
}

/// Lists the hours of `environment` that begin from `since` and before `until`, in their order. Those without an object are
/// left out.
///
/// # Errors
/// `BOT-6202` a folder has no hour, `BOT-6201` the log is of a newer botops; those of the store.
pub async fn hours(
    store: &Store,
    environment: &str,
    since: Option<HourKey>,
    until: Option<HourKey>,
) -> Result<Vec<Hour>> {
    let root = layout::environment(environment);
    let mut found = Vec::new();
    let dates = |key: Option<HourKey>| key.map(|key| key.to_string()[..15].to_owned());
    let (first, last) = (dates(since), dates(until));
    for date in store.folders(&root).await? {
        let is_date = date.starts_with("date=");
        let before = first.as_ref().is_some_and(|first| date < *first);
        if !is_date || before || last.as_ref().is_some_and(|last| date > *last) {
            continue;
        }
        for hour in store.folders(&format!("{root}/{date}")).await? {
            let key: HourKey = format!("{date}/{hour}").parse()?;
            if since.is_some_and(|since| key < since) || until.is_some_and(|until| key >= until) {
                continue;
            }
            let hour = Hour::list(store, environment, key).await?;
            if !hour.segments.is_empty() || hour.parquet.is_some() || !hour.obsolete.is_empty() {
                found.push(hour);
            }
        }
    }
    Ok(found)
}

impl Hour {
    /// Lists the objects of an hour.
    ///
    /// # Errors
    /// `BOT-6201`, `BOT-6200` of the record of its compaction; those of the store.
    pub async fn list(store: &Store, environment: &str, key: HourKey) -> Result<Self> {
        let folder = layout::hour(environment, key);
        let listed = store.list(&folder).await?;
        let name = |path: &str| path[folder.len() + 1..].to_owned();
        let mut numbers: Vec<u32> = listed
            .iter()
            .filter_map(|stored| {
                let number = name(&stored.path);
                number.strip_prefix(COMPACTION)?.strip_suffix(".json")?.parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        let newest = numbers.last().copied();
        let compaction = match newest {
            Some(number) => {
                let path = format!("{folder}/{}", compaction_name(number));
                Some(read_compaction(store, &path).await?)
            }
            None => None,
        };
        let kept = compaction.as_ref().and_then(|it| it.parquet.clone());
        let mut hour = Self {
            key,
            segments: Vec::new(),
            parquet: kept.clone(),
            compacted: compaction.as_ref().map_or(0, |it| it.records),
            segment_bytes: 0,
            obsolete: Vec::new(),
            folder: folder.clone(),
            next: newest.map_or(0, |newest| newest + 1),
            compaction,
        };
        let current = newest.map(compaction_name);
        for stored in listed {
            let name = name(&stored.path);
            let folded = hour.compaction.as_ref().is_some_and(|it| it.folded.contains(&name));
            if name.ends_with(SEGMENT) && !folded {
                hour.segment_bytes += stored.size_bytes;
                hour.segments.push(name);
            } else if folded
                || name.ends_with(PARQUET)
                    && kept.as_ref() != Some(&name)
                    && hour.compaction.is_some()
                || name.starts_with(COMPACTION) && current.as_ref() != Some(&name)
            {
                hour.obsolete.push(name);
            }
        }
        Ok(hour)
    }

    /// Returns the path of an object of the hour.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// Calls `read` with each record of the hour, each once: first those of the compacted file, of which only `columns` are
    /// read, then those of the segments, whole. Returns what was wrong with the segments.
    ///
    /// Memory: the compacted file as it is stored, one group of its rows, one segment, and the names of the records of the
    /// hour if there are segments.
    ///
    /// # Errors
    /// `BOT-6207` the compacted file is damaged, `BOT-6201` a newer botops wrote the log, `BOT-6209` (exit 5) a compaction
    /// removed what was to be read; those of the store.
    pub(crate) async fn each(
        &self,
        store: &Store,
        columns: &[Column],
        mut read: impl FnMut(Record),
    ) -> Result<Vec<Finding>> {
        let mut seen: HashSet<RecordKey> = HashSet::new();
        let has_segments = !self.segments.is_empty();
        if let Some(name) = &self.parquet {
            let reader = ParquetReader::open(self.bytes(store, name).await?, &self.path(name))?;
            let mut columns = columns.to_vec();
            if has_segments {
                columns.extend([Column::RequestId, Column::Index]);
            }
            columns.sort_unstable_by_key(|column| *column as u8);
            columns.dedup();
            for group in 0..reader.n_groups() {
                for record in reader.group(group, &columns)? {
                    if has_segments {
                        seen.insert(record.key());
                    }
                    read(record);
                }
            }
        }
        let mut findings = Vec::new();
        for name in &self.segments {
            let bytes = self.bytes(store, name).await?;
            let segment = read_segment(&bytes, &self.path(name))?;
            findings.extend(segment.findings);
            for record in segment.records {
                if seen.insert(record.key()) {
                    read(record);
                }
            }
        }
        Ok(findings)
    }

    /// Calls `read` with each record of the hour, whole, each once. Returns what was wrong with the segments.
    ///
    /// # Errors
    /// `BOT-6207` the compacted file is damaged, `BOT-6201` a newer botops wrote the log, `BOT-6209` (exit 5) a compaction
    /// removed what was to be read; those of the store.
    pub async fn records(&self, store: &Store, read: impl FnMut(Record)) -> Result<Vec<Finding>> {
        self.each(store, &COLUMNS, read).await
    }

    /// Reads an object of the hour.
    pub(crate) async fn bytes(&self, store: &Store, name: &str) -> Result<bytes::Bytes> {
        let path = self.path(name);
        store.read(&path).await?.ok_or_else(|| {
            Fault::conflict("BOT-6209", "a file of the log was removed while it was to be read")
                .file(path)
                .hint("run the command again: a compaction has replaced the file")
        })
    }
}

/// Returns the name of the record of a compaction.
pub(crate) fn compaction_name(number: u32) -> String {
    format!("{COMPACTION}{number:08}.json")
}

async fn read_compaction(store: &Store, path: &str) -> Result<Compaction> {
    let damaged = |why: String| {
        Fault::data("BOT-6200", format!("the record of a compaction cannot be read: {why}"))
            .file(path)
            .hint("restore it from a backup; the log of this hour is read without it once it is removed")
    };
    let bytes = store.read(path).await?.ok_or_else(|| damaged("it is gone".to_owned()))?;
    #[derive(Deserialize)]
    struct Schema {
        schema: String,
    }
    let schema: Schema =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    check_schema(&schema.schema, COMPACTION_SCHEMA)?;
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}
