//! The segments of an hour made one Parquet file, without duplicates.

use crate::{
    hour::{COMPACTION_SCHEMA, Compaction, Hour, compaction_name},
    layout::PARQUET,
    parquet::{ParquetReader, ParquetWriter},
    record::{Record, RecordKey},
    segment::read_segment,
};
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use std::collections::{BTreeSet, HashSet};

/// The outcome of a compaction.
#[derive(Debug, Default)]
pub struct Compacted {
    /// The number of segments that were folded.
    pub segments: u64,
    /// The number of records in the compacted file.
    pub records: u64,
    /// The number of records that were there already.
    pub duplicates: u64,
    /// The number of lines that are no records.
    pub refused: u64,
    /// The number of records that were left out because they were to be forgotten.
    pub forgotten: u64,
    /// The number of objects that were removed.
    pub removed: u64,
    /// The problems of the segments.
    pub findings: Vec<Finding>,
}

/// Compacts an hour: its segments and its compacted file become one new file, and what no reader needs is removed.
///
/// The new file counts from the moment at which its record is created, which only one of several compactions can do; a crash
/// before leaves the hour as it was, and a crash after leaves objects that the next compaction removes. With `dry_run`,
/// everything is read and nothing is written.
///
/// # Errors
/// `BOT-6209` (exit 5) another compaction came first, `BOT-6207` the compacted file is damaged, `BOT-6201` a newer botops
/// wrote a segment; those of the store.
pub async fn compact(store: &Store, hour: &Hour, dry_run: bool) -> Result<Compacted> {
    rewrite(store, hour, dry_run, false, |_| true).await
}

/// Compacts an hour, and keeps only the records for which `keep` is true. Without `always`, an hour without segments is left
/// as it is.
pub(crate) async fn rewrite(
    store: &Store,
    hour: &Hour,
    dry_run: bool,
    always: bool,
    keep: impl Fn(&Record) -> bool,
) -> Result<Compacted> {
    let mut done = Compacted { records: hour.compacted, ..Compacted::default() };
    if !hour.segments.is_empty() || always && hour.parquet.is_some() {
        let bytes = fold(store, hour, &mut done, keep).await?;
        if !dry_run {
            publish(store, hour, bytes, &done).await?;
        }
    }
    if dry_run {
        return Ok(done);
    }
    // Listed again: what was folded just now is obsolete, too.
    let environment = hour.folder.split('/').nth(1).unwrap_or_default();
    for name in Hour::list(store, environment, hour.key).await?.obsolete {
        store.remove(&hour.path(&name)).await?;
        done.removed += 1;
    }
    Ok(done)
}

/// Reads every record of an hour once, and returns those that are kept as a file; `None` if there is none.
async fn fold(
    store: &Store,
    hour: &Hour,
    done: &mut Compacted,
    keep: impl Fn(&Record) -> bool,
) -> Result<Option<Vec<u8>>> {
    let mut writer = ParquetWriter::new()?;
    let mut seen: HashSet<RecordKey> = HashSet::new();
    let mut add = |record: Record, done: &mut Compacted| {
        if !seen.insert(record.key()) {
            done.duplicates += 1;
        } else if keep(&record) {
            return writer.add(record);
        } else {
            done.forgotten += 1;
        }
        Ok(())
    };
    if let Some(name) = &hour.parquet {
        let reader = ParquetReader::open(hour.bytes(store, name).await?, &hour.path(name))?;
        for group in 0..reader.n_groups() {
            for record in reader.whole_group(group)? {
                add(record, done)?;
            }
        }
    }
    for name in &hour.segments {
        let segment = read_segment(&hour.bytes(store, name).await?, &hour.path(name))?;
        done.segments += 1;
        done.refused += segment.refused;
        done.findings.extend(segment.findings);
        for record in segment.records {
            add(record, done)?;
        }
    }
    let (bytes, records) = writer.finish()?;
    done.records = records;
    Ok((records > 0).then_some(bytes))
}

/// Writes the new file and, last, the record that makes it count.
async fn publish(
    store: &Store,
    hour: &Hour,
    bytes: Option<Vec<u8>>,
    done: &Compacted,
) -> Result<()> {
    let parquet = bytes.is_some().then(|| format!("compacted-{}{PARQUET}", ulid::Ulid::generate()));
    if let (Some(name), Some(bytes)) = (&parquet, bytes) {
        store.create(&hour.path(name), bytes.into()).await?;
    }
    let folded: BTreeSet<String> =
        hour.segments
            .iter()
            .cloned()
            // Segments of earlier compactions that are not removed yet must not come back.
            .chain(hour.compaction.iter().flat_map(|it| {
                it.folded.iter().filter(|name| hour.obsolete.contains(name)).cloned()
            }))
            .collect();
    let record = Compaction {
        schema: COMPACTION_SCHEMA.to_owned(),
        parquet: parquet.clone(),
        records: done.records,
        folded,
    };
    let json = serde_json::to_vec(&record).expect("the record of a compaction can be JSON");
    if store.create(&hour.path(&compaction_name(hour.next)), json.into()).await? {
        return Ok(());
    }
    if let Some(name) = &parquet {
        store.remove(&hour.path(name)).await?;
    }
    Err(Fault::conflict("BOT-6209", format!("another process compacted the hour `{}`", hour.key))
        .file(store.object_url(&hour.folder))
        .hint("nothing is lost: run the command again if records are left"))
}
