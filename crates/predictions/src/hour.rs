//! The records of one hour: a compacted file, and the segments that came since.

use crate::{
    columns::{COLUMNS, Column},
    ids::Ids,
    layout::{self, HourKey, PARQUET, SEGMENT},
    parquet::ParquetReader,
    record::{Record, check_schema},
    segment::each_record,
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::Store;
use botops_text::{counted, display};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The schema of the record of a compaction that made one file at most.
pub(crate) const COMPACTION_SCHEMA: &str = "botops.compaction/1";
/// The schema of the record of a compaction that made several: a version that knows only the first must not read it.
pub(crate) const COMPACTION_OF_SEVERAL: &str = "botops.compaction/2";
const COMPACTION: &str = "compaction-";
const COMPACTED: &str = "compacted-";

/// The record of a compaction: the newest one of an hour says what counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compaction {
    /// `botops.compaction/1`, or `/2` if there are several files.
    pub(crate) schema: String,
    /// The compacted file, in the same folder; `None` if nothing is left.
    pub(crate) parquet: Option<String>,
    /// The files after it: an hour with more than a million records has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) more: Vec<String>,
    /// The number of their records.
    pub(crate) records: u64,
    /// The segments whose records are in it, or were left out for good.
    pub(crate) folded: BTreeSet<String>,
    /// Those of them of which a part could not be read: they are kept until the retention is over.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) damaged: BTreeSet<String>,
}

/// An hour of the log of an environment, as listed.
#[derive(Debug, Clone)]
pub struct Hour {
    /// The hour.
    pub key: HourKey,
    /// The segments that are not compacted, sorted.
    pub segments: Vec<String>,
    /// The compacted files, in the order of their records.
    pub parquet: Vec<String>,
    /// The number of records in the compacted files.
    pub compacted: u64,
    /// The bytes of the segments that are not compacted.
    pub segment_bytes: u64,
    /// The segments that were compacted as far as they can be read, and are kept for a repair.
    pub damaged: Vec<String>,
    /// The objects that no reader needs any more: compacted segments, and the files of earlier compactions.
    pub obsolete: Vec<String>,
    pub(crate) folder: String,
    /// The number of the next compaction.
    pub(crate) next: u32,
    pub(crate) compaction: Option<Compaction>,
}

/// Lists the hours of `environment` that begin from `since` and before `until`, in their order. Those without an object are
/// left out, and so are folders that are no hours.
///
/// # Errors
/// `BOT-6201` the log is of a newer botops; those of the store.
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
            // [`stray_folders`] reports it.
            let Ok(key) = format!("{date}/{hour}").parse::<HourKey>() else { continue };
            if since.is_some_and(|since| key < since) || until.is_some_and(|until| key >= until) {
                continue;
            }
            let hour = Hour::list(store, environment, key).await?;
            if !hour.segments.is_empty() || !hour.parquet.is_empty() || !hour.obsolete.is_empty() {
                found.push(hour);
            }
        }
    }
    Ok(found)
}

/// Lists the hours that `environment` has a folder of, in their order, and reads nothing of them. Folders that are no hours are left
/// out.
///
/// # Errors
/// Those of the store.
pub async fn hour_keys(store: &Store, environment: &str) -> Result<Vec<HourKey>> {
    keys(store, environment, |_| true).await
}

/// Reports folders among the hours of `environment` that are none, such as `hour=7`: their records are in no answer.
///
/// # Errors
/// Those of the store.
pub async fn stray_folders(store: &Store, environment: &str) -> Result<Option<Finding>> {
    let root = layout::environment(environment);
    let mut strays = Vec::new();
    for date in store.folders(&root).await? {
        if !date.starts_with("date=") {
            continue;
        }
        for hour in store.folders(&format!("{root}/{date}")).await? {
            let name = format!("{date}/{hour}");
            if name.parse::<HourKey>().is_err() {
                strays.push(name);
            }
        }
    }
    let Some(first) = strays.first() else { return Ok(None) };
    let message = format!(
        "{} in the log {} no hour, such as `{}`: what lies there is in no answer",
        counted(strays.len() as u64, "folder", "folders"),
        if strays.len() == 1 { "is" } else { "are" },
        display(first, 80)
    );
    let help = "an hour is a folder such as `date=2026-11-30/hour=07`: rename it, or move it out of the log";
    let place = Place { file: Some(format!("{root}/{first}")), ..Place::default() };
    Ok(Some(Finding::new("BOT-6202", Severity::Warning, message, help).at(place)))
}

/// As [`hour_keys`], of the dates for which `of` is true.
pub(crate) async fn keys(
    store: &Store,
    environment: &str,
    of: impl Fn(&str) -> bool,
) -> Result<Vec<HourKey>> {
    let root = layout::environment(environment);
    let mut keys = Vec::new();
    for date in store.folders(&root).await? {
        if date.starts_with("date=") && of(&date) {
            for hour in store.folders(&format!("{root}/{date}")).await? {
                keys.extend(format!("{date}/{hour}").parse::<HourKey>());
            }
        }
    }
    keys.sort_unstable();
    Ok(keys)
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
        let kept: Vec<String> =
            compaction.iter().flat_map(|it| it.parquet.iter().chain(&it.more).cloned()).collect();
        let mut hour = Self {
            key,
            segments: Vec::new(),
            parquet: kept.clone(),
            compacted: compaction.as_ref().map_or(0, |it| it.records),
            segment_bytes: 0,
            damaged: Vec::new(),
            obsolete: Vec::new(),
            folder: folder.clone(),
            next: newest.map_or(0, |newest| newest + 1),
            compaction,
        };
        let current = newest.map(compaction_name);
        for stored in listed {
            let name = name(&stored.path);
            let folded = hour.compaction.as_ref().is_some_and(|it| it.folded.contains(&name));
            let damaged = hour.compaction.as_ref().is_some_and(|it| it.damaged.contains(&name));
            if damaged {
                hour.damaged.push(name);
            } else if name.ends_with(SEGMENT) && !folded {
                hour.segment_bytes += stored.size_bytes;
                hour.segments.push(name);
            } else if folded
                || name.ends_with(PARQUET)
                    && !kept.contains(&name)
                    && newest.is_some_and(|newest| is_past(&name, newest))
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
    /// All segments are fetched before the first record is read: a compaction that removes one is noticed while nothing was read.
    ///
    /// Memory: one compacted file as it is stored, one group of its rows, the segments of the hour as they are stored, and about
    /// 20 bytes for each record of the hour if there are segments.
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
        let mut seen = Ids::default();
        let has_segments = !self.segments.is_empty();
        let mut segments = Vec::with_capacity(self.segments.len());
        for name in &self.segments {
            segments.push((name, self.bytes(store, name).await?));
        }
        for name in &self.parquet {
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
                        seen.insert(&record.request_id, record.index);
                    }
                    read(record);
                }
            }
        }
        let mut findings = Vec::new();
        for (name, bytes) in segments {
            let segment = each_record(&bytes, &self.path(name), |record| {
                if seen.insert(&record.request_id, record.index) {
                    read(record);
                }
                Ok(())
            })?;
            findings.extend(segment.findings);
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

/// Returns the name of a file of the compaction `number`.
pub(crate) fn compacted_name(number: u32, part: usize) -> String {
    format!("{COMPACTED}{number:08}-{part:04}-{}{PARQUET}", ulid::Ulid::generate())
}

/// Returns whether a compacted file is of the compaction `newest` or an earlier one. A file of a later one is being written: its
/// compaction counts once its record is there. Files of older versions carry no number.
fn is_past(name: &str, newest: u32) -> bool {
    let number = name.strip_prefix(COMPACTED).and_then(|rest| rest.split_once('-'));
    number.and_then(|(number, _)| number.parse().ok()).is_none_or(|number: u32| number <= newest)
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
    if schema.schema != COMPACTION_SCHEMA {
        check_schema(&schema.schema, COMPACTION_OF_SEVERAL).map_err(|fault| fault.file(path))?;
    }
    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))
}
