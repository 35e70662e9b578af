//! The segments of an hour made Parquet files, without duplicates.

use crate::{
    hour::{
        COMPACTION_OF_SEVERAL, COMPACTION_SCHEMA, Compaction, Hour, compacted_name, compaction_name,
    },
    ids::Ids,
    parquet::{ParquetReader, ParquetWriter},
    record::Record,
    segment::each_record,
};
use botops_findings::{Fault, Finding, Result};
use botops_store::Store;
use std::collections::BTreeSet;

/// The records at which a compacted file is full; a segment is never divided.
const MOST_RECORDS: u64 = if cfg!(test) { 2_000 } else { 1 << 20 };

/// The outcome of a compaction.
#[derive(Debug, Default)]
pub struct Compacted {
    /// The number of segments that were folded.
    pub segments: u64,
    /// The number of records in the compacted files.
    pub records: u64,
    /// The number of records that were there already.
    pub duplicates: u64,
    /// The number of lines that are no records.
    pub refused: u64,
    /// The number of records that were left out because they were to be forgotten.
    pub forgotten: u64,
    /// The segments of which a part could not be read. They stay as they are until the retention is over.
    pub damaged: BTreeSet<String>,
    /// The number of objects that were removed.
    pub removed: u64,
    /// The problems of the segments.
    pub findings: Vec<Finding>,
}

/// Compacts an hour: its segments and its compacted files become new files of about a million records each, and what no reader
/// needs is removed.
///
/// The new files count from the moment at which their record is created, which only one of several compactions can do; a crash
/// before leaves the hour as it was, and a crash after leaves objects that the next compaction removes. A segment of which a part
/// cannot be read is kept, and its other records count. With `dry_run`, everything is read and nothing is written.
///
/// Memory: one compacted file as it is stored and one as it is written, a group of rows of each, one segment, and about 20 bytes
/// for each record of the hour.
///
/// # Errors
/// `BOT-6209` (exit 5) another compaction came first, `BOT-6207` a compacted file is damaged, `BOT-6201` a newer botops
/// wrote a segment; those of the store.
pub async fn compact(store: &Store, hour: &Hour, dry_run: bool) -> Result<Compacted> {
    rewrite(store, hour, dry_run, false, |_| true).await
}

/// Compacts an hour, and keeps only the records for which `keep` is true. Without `erases`, an hour without segments is left
/// as it is, and damaged segments are kept; with it, they go, because nobody can tell what else they hold.
pub(crate) async fn rewrite(
    store: &Store,
    hour: &Hour,
    dry_run: bool,
    erases: bool,
    keep: impl Fn(&Record) -> bool,
) -> Result<Compacted> {
    let damaged = hour.damaged.iter().cloned().collect();
    let mut done = Compacted { records: hour.compacted, damaged, ..Compacted::default() };
    if !hour.segments.is_empty() || erases && !hour.parquet.is_empty() {
        let mut parts = Parts::new(store, hour, dry_run)?;
        let rewritten = match fold(store, hour, &mut done, &mut parts, keep).await {
            Ok(()) if dry_run => Ok(()),
            Ok(()) => {
                if erases {
                    done.damaged.clear();
                }
                publish(store, hour, &parts.names, &done).await
            }
            Err(fault) => Err(fault),
        };
        if let Err(fault) = rewritten {
            // No record names them. If they cannot be removed either, the next compaction does it.
            for name in &parts.names {
                let _ = store.remove(&hour.path(name)).await;
            }
            return Err(fault);
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

/// The compacted files of an hour, each stored as soon as it is full.
struct Parts<'a> {
    store: &'a Store,
    hour: &'a Hour,
    dry_run: bool,
    writer: ParquetWriter,
    names: Vec<String>,
    records: u64,
}

impl<'a> Parts<'a> {
    fn new(store: &'a Store, hour: &'a Hour, dry_run: bool) -> Result<Self> {
        let writer = ParquetWriter::new()?;
        Ok(Self { store, hour, dry_run, writer, names: Vec::new(), records: 0 })
    }

    /// Stores the file that is full, if it is.
    async fn store_full(&mut self) -> Result<()> {
        if self.writer.n_records() < MOST_RECORDS { Ok(()) } else { self.end_part().await }
    }

    async fn end_part(&mut self) -> Result<()> {
        let writer = std::mem::replace(&mut self.writer, ParquetWriter::new()?);
        let (bytes, records) = writer.finish()?;
        self.records += records;
        if records == 0 || self.dry_run {
            return Ok(());
        }
        let name = compacted_name(self.hour.next, self.names.len());
        let path = self.hour.path(&name);
        self.names.push(name);
        self.store.create(&path, bytes.into()).await.map(|_| ())
    }
}

/// Reads every record of an hour once, and stores those that are kept.
async fn fold(
    store: &Store,
    hour: &Hour,
    done: &mut Compacted,
    parts: &mut Parts<'_>,
    keep: impl Fn(&Record) -> bool,
) -> Result<()> {
    let mut seen = Ids::default();
    let mut add = |record: Record, done: &mut Compacted, writer: &mut ParquetWriter| {
        if !seen.insert(&record.request_id, record.index) {
            done.duplicates += 1;
        } else if keep(&record) {
            return writer.add(record);
        } else {
            done.forgotten += 1;
        }
        Ok(())
    };
    for name in &hour.parquet {
        let reader = ParquetReader::open(hour.bytes(store, name).await?, &hour.path(name))?;
        for group in 0..reader.n_groups() {
            for record in reader.whole_group(group)? {
                add(record, done, &mut parts.writer)?;
            }
            parts.store_full().await?;
        }
    }
    for name in &hour.segments {
        let bytes = hour.bytes(store, name).await?;
        let segment =
            each_record(&bytes, &hour.path(name), |record| add(record, done, &mut parts.writer))?;
        done.segments += 1;
        done.refused += segment.refused;
        if !segment.findings.is_empty() {
            done.damaged.insert(name.clone());
        }
        done.findings.extend(segment.findings);
        parts.store_full().await?;
    }
    parts.end_part().await?;
    done.records = parts.records;
    Ok(())
}

/// Writes, last, the record that makes the new files count.
async fn publish(store: &Store, hour: &Hour, names: &[String], done: &Compacted) -> Result<()> {
    let folded: BTreeSet<String> =
        hour.segments
            .iter()
            .cloned()
            // Segments of earlier compactions that are not removed yet must not come back.
            .chain(hour.compaction.iter().flat_map(|it| {
                it.folded.iter().filter(|name| hour.obsolete.contains(name)).cloned()
            }))
            .chain(hour.damaged.iter().cloned())
            .collect();
    let schema = if names.len() > 1 { COMPACTION_OF_SEVERAL } else { COMPACTION_SCHEMA };
    let record = Compaction {
        schema: schema.to_owned(),
        parquet: names.first().cloned(),
        more: names.get(1..).unwrap_or_default().to_vec(),
        records: done.records,
        folded,
        damaged: done.damaged.clone(),
    };
    let json = serde_json::to_vec(&record).expect("the record of a compaction can be JSON");
    if store.create(&hour.path(&compaction_name(hour.next)), json.into()).await? {
        return Ok(());
    }
    Err(Fault::conflict("BOT-6209", format!("another process compacted the hour `{}`", hour.key))
        .file(store.object_url(&hour.folder))
        .hint("nothing is lost: run the command again if records are left"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        forgetting::{forget, tests::put},
        hour::hours,
        record::tests::record,
    };

    async fn hour(store: &Store) -> Hour {
        hours(store, "e", None, None).await.unwrap().remove(0)
    }

    async fn ids(store: &Store) -> Vec<String> {
        let mut ids = Vec::new();
        hour(store).await.records(store, |it| ids.push(it.request_id)).await.unwrap();
        ids
    }

    #[tokio::test]
    async fn an_hour_of_many_records_has_several_files_that_a_version_for_one_refuses() {
        let store = Store::in_memory();
        for (name, first) in [("a", 0), ("b", 1_200), ("c", 2_300)] {
            put(&store, name, first..first + 1_200).await;
        }
        let done = compact(&store, &hour(&store).await, false).await.unwrap();
        assert_eq!((done.records, done.duplicates, done.segments), (3_500, 100, 3));
        let compacted = hour(&store).await;
        assert_eq!((compacted.parquet.len(), compacted.compacted), (2, 3_500));
        let expected: Vec<String> = (0..3_500).map(|i| record(i).request_id).collect();
        assert_eq!(ids(&store).await, expected);
        let path = compacted.path(&compaction_name(0));
        let json = store.read(&path).await.unwrap().unwrap();
        assert!(json.starts_with(br#"{"schema":"botops.compaction/2","#), "{json:?}");
        // Late records, and a conversation that is forgotten, in every file.
        put(&store, "d", 3_490..3_510).await;
        let done = compact(&store, &hour(&store).await, false).await.unwrap();
        assert_eq!((done.records, done.duplicates), (3_510, 10));
        let gone: BTreeSet<String> =
            [record(3), record(3_500)].into_iter().filter_map(|it| it.conversation).collect();
        assert_eq!(forget(&store, "e", &gone, false).await.unwrap().records, 6);
        assert_eq!(ids(&store).await.len(), 3_504);
        assert!(hour(&store).await.obsolete.is_empty());
        let files = store.list(&hour(&store).await.folder).await.unwrap();
        assert_eq!(files.len(), 3, "two files and their record: {files:?}");
    }

    #[tokio::test]
    async fn a_file_that_another_process_is_about_to_publish_stays() {
        let store = Store::in_memory();
        put(&store, "a", 0..10).await;
        let first = hour(&store).await;
        compact(&store, &first, false).await.unwrap();
        put(&store, "b", 5..20).await;
        let slow = hour(&store).await;
        // The slow process has written its file, and not yet its record.
        let mut parts = Parts::new(&store, &slow, false).unwrap();
        let mut done = Compacted::default();
        fold(&store, &slow, &mut done, &mut parts, |_| true).await.unwrap();
        put(&store, "a", 0..10).await;
        let other = hour(&store).await;
        assert_eq!(other.obsolete, ["a.jsonl.zst"]);
        rewrite(&store, &Hour { segments: Vec::new(), ..other.clone() }, false, false, |_| true)
            .await
            .unwrap();
        publish(&store, &slow, &parts.names, &done).await.unwrap();
        assert_eq!(ids(&store).await.len(), 20);
        // The loser of a race removes its own files, and nothing of the winner's.
        let late = compact(&store, &slow, false).await.unwrap_err();
        assert_eq!(late.code(), "BOT-6209");
        assert_eq!(ids(&store).await.len(), 20);
        compact(&store, &hour(&store).await, false).await.unwrap();
        let files = store.list(&slow.folder).await.unwrap();
        assert_eq!(files.len(), 2, "{files:?}");
    }

    #[tokio::test]
    async fn two_compactions_at_once_lose_and_double_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_str().unwrap(), &Default::default()).unwrap();
        for round in 0..6_u32 {
            for part in 0..4_u32 {
                let first = (round * 4 + part) * 10;
                put(&store, &format!("s{round}-{part}"), first..first + 15).await;
            }
            let both = [0, 1].map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    if let Err(fault) = compact(&store, &hour(&store).await, false).await {
                        assert_eq!(fault.code(), "BOT-6209");
                    }
                })
            });
            for one in both {
                one.await.unwrap();
            }
            let mut ids = ids(&store).await;
            ids.sort();
            let n = ids.len();
            ids.dedup();
            assert_eq!((ids.len(), n), (round as usize * 40 + 45, round as usize * 40 + 45));
        }
    }

    #[tokio::test]
    async fn a_damaged_segment_is_kept_until_a_conversation_of_its_hour_is_forgotten() {
        let store = Store::in_memory();
        put(&store, "a", 0..10).await;
        put(&store, "z", 10..20).await;
        let (a, z) =
            (hour(&store).await.path("a.jsonl.zst"), hour(&store).await.path("z.jsonl.zst"));
        let frame = store.read(&z).await.unwrap().unwrap();
        let whole = store.read(&a).await.unwrap().unwrap();
        store.remove(&z).await.unwrap();
        let damaged = [&whole[..], b"xxxx", &frame].concat();
        store.create(&z, damaged.clone().into()).await.unwrap();
        for n in [10, 13] {
            let done = compact(&store, &hour(&store).await, false).await.unwrap();
            assert_eq!((done.records, done.damaged.len()), (n, 1));
            assert_eq!(store.read(&z).await.unwrap().as_deref(), Some(&damaged[..]));
            assert_eq!(store.read(&a).await.unwrap(), None);
            assert_eq!(ids(&store).await.len() as u64, n);
            put(&store, "c", 20..23).await;
        }
        let gone = record(3).conversation.into_iter().collect();
        assert_eq!(forget(&store, "e", &gone, false).await.unwrap().records, 3);
        assert_eq!(store.read(&z).await.unwrap(), None);
        assert!(hour(&store).await.damaged.is_empty());
    }

    #[tokio::test]
    async fn a_newer_segment_leaves_the_hour_as_it_was() {
        let store = Store::in_memory();
        put(&store, "a", 0..10).await;
        let newer = zstd::bulk::compress(b"{\"schema\":\"botops.prediction/7\"}\n", 1).unwrap();
        let path = hour(&store).await.path("b.jsonl.zst");
        store.create(&path, newer.into()).await.unwrap();
        let before = store.list("predictions").await.unwrap();
        let fault = compact(&store, &hour(&store).await, false).await.unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6201", 6));
        assert_eq!(store.list("predictions").await.unwrap(), before);
    }
}
