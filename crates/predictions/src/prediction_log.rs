//! The writing side of the log in a server: records in, groups of them on the disk. No request waits for it.

use crate::{
    layout::HourKey,
    record::{Record, TextPolicy},
    spool::{SAMPLE, Spool, SpoolState},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

/// The most records that wait to be written.
const CAPACITY: usize = 1 << 16;
/// The bytes of lines that are compressed and written together before their group is synced. A whole group at once would take
/// a processor from requests for milliseconds; fewer bytes compress worse.
const FRAME_BYTES: usize = 64 << 10;
/// How often the writing thread takes what has come: it is woken once for all records of such a time, not for each. What it
/// takes then is done in a fraction of a millisecond, so that requests hardly wait for the processor.
const SLICE: Duration = Duration::from_millis(2);
/// How long the writing thread waits for a record before it looks whether the segment is old.
const IDLE: Duration = Duration::from_secs(1);
/// The longest time that the end of a server waits for the last group.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name of a conversation in the log, of the id that a client gave it.
pub type NameOf = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// The code of a folder whose segments wait for the store.
const WAITING: &str = "BOT-6206";

/// How a server writes its log.
#[derive(Clone)]
pub struct PredictionLogSettings {
    /// The local folder of the servers of this machine; each takes a folder in it.
    pub folder: PathBuf,
    /// The name of this server in the environment.
    pub replica: String,
    /// The time that records gather before they are synced together.
    pub group: Duration,
    /// The age at which a segment is closed, so that it can be shipped.
    pub segment_age: Duration,
    /// The most bytes of the folder.
    pub most_bytes: u64,
    /// The part of texts that is kept.
    pub text: TextPolicy,
    /// The key of the hashes of texts.
    pub key: Arc<[u8]>,
    /// The names of conversations.
    pub name_of: NameOf,
}

impl std::fmt::Debug for PredictionLogSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictionLogSettings")
            .field("folder", &self.folder)
            .field("replica", &self.replica)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// A message as a server hands it over: names and texts are still those of the client.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawRecord {
    /// The record, without its text, and with the client's id of the conversation.
    pub record: Record,
    /// The text.
    pub text: String,
}

/// The fate of the records so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Records that are synced to the disk.
    pub written: u64,
    /// Records that were lost because they came faster than they could be written, or were too large.
    pub dropped: u64,
    /// Records that were left out because the store was out of reach for long.
    pub sampled_out: u64,
    /// Records that were lost because the disk refused them, or the folder was full.
    pub refused: u64,
    /// The bytes that wait in the folder.
    pub waiting_bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    sampled_out: AtomicU64,
    refused: AtomicU64,
    waiting_bytes: AtomicU64,
}

/// The work that waits for the writing thread.
#[derive(Default)]
struct Waiting {
    #[expect(
        clippy::vec_box,
        reason = "a request waits while the list grows, so what is moved is small"
    )]
    records: Vec<Box<RawRecord>>,
    /// Sync what there is, and say so; with true, close the segment, too.
    flushes: Vec<(bool, SyncSender<()>)>,
    ended: bool,
}

/// The place where records wait. Only the first of several wakes the writing thread.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something, at most `time`; with `all`, records alone do not end it.
    fn wait(&self, time: Duration, all: bool) {
        let is_idle =
            |it: &mut Waiting| !it.ended && it.flushes.is_empty() && (all || it.records.is_empty());
        let waited = self.changed.wait_timeout_while(self.lock(), time, is_idle);
        drop(waited);
    }

    fn take(&self) -> Waiting {
        let mut waiting = self.lock();
        let ended = waiting.ended;
        Waiting { ended, ..std::mem::take(&mut waiting) }
    }
}

/// The prediction log of a server. Dropping it writes the records that wait.
pub struct PredictionLog {
    queue: Arc<Queue>,
    ended: Mutex<Receiver<()>>,
    counters: Arc<Counters>,
    folder: PathBuf,
}

impl std::fmt::Debug for PredictionLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PredictionLog").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl PredictionLog {
    /// Opens the local folder and starts the writing thread. `report` gets an event, in words, when something begins to go
    /// wrong and when it is well again.
    ///
    /// # Errors
    /// Those of [`Spool::open`].
    pub fn start(
        settings: &PredictionLogSettings,
        report: impl Fn(String) + Send + 'static,
    ) -> Result<Self> {
        let spool = Spool::open(&settings.folder, &settings.replica, settings.most_bytes)?;
        let folder = spool.folder().to_owned();
        let counters = Arc::new(Counters::default());
        let queue = Arc::new(Queue::default());
        let (end, ended) = sync_channel(1);
        let mut writing = Writing {
            spool,
            group: settings.group,
            segment_age: settings.segment_age,
            counters: Arc::clone(&counters),
            text: settings.text,
            key: Arc::clone(&settings.key),
            name_of: Arc::clone(&settings.name_of),
            report: Box::new(report),
            lines: BTreeMap::new(),
            line_bytes: 0,
            unsynced: 0,
            state: SpoolState::Free,
            fails: false,
        };
        let taken_from = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("predictions".to_owned())
            .spawn(move || {
                writing.run(&taken_from);
                drop(writing);
                let _ = end.send(());
            })
            .map_err(|error| {
                Fault::internal("BOT-6204", format!("the thread of the predictions: {error}"))
            })?;
        Ok(Self { queue, ended: Mutex::new(ended), counters, folder })
    }

    /// Adds a message. It never waits: one that comes faster than it can be written is counted, and dropped. The text is
    /// redacted, and the conversation named, on the writing thread.
    pub fn add(&self, record: RawRecord) {
        let record = Box::new(record);
        let mut waiting = self.queue.lock();
        if waiting.ended || waiting.records.len() >= CAPACITY {
            drop(waiting);
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.records.push(record);
        let is_first = waiting.records.len() == 1;
        drop(waiting);
        if is_first {
            self.queue.changed.notify_one();
        }
    }

    /// Returns what became of the records so far.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogCounts {
            written: of(&self.counters.written),
            dropped: of(&self.counters.dropped),
            sampled_out: of(&self.counters.sampled_out),
            refused: of(&self.counters.refused),
            waiting_bytes: of(&self.counters.waiting_bytes),
        }
    }

    /// Returns the folder of this server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until the records that were added are synced, at most 5 seconds. With `close`, they are ready to be shipped.
    pub fn flush(&self, close: bool) {
        let (done, is_done) = sync_channel(1);
        self.queue.lock().flushes.push((close, done));
        self.queue.changed.notify_one();
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

impl Drop for PredictionLog {
    fn drop(&mut self) {
        self.queue.lock().ended = true;
        self.queue.changed.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(PATIENCE);
    }
}

/// The state of the writing thread.
struct Writing {
    spool: Spool,
    group: Duration,
    segment_age: Duration,
    counters: Arc<Counters>,
    text: TextPolicy,
    key: Arc<[u8]>,
    name_of: NameOf,
    report: Box<dyn Fn(String) + Send>,
    /// The lines of the group, and their number, by the hour of their records.
    lines: BTreeMap<HourKey, (Vec<u8>, u64)>,
    line_bytes: usize,
    /// The records that were written and are not synced.
    unsynced: u64,
    state: SpoolState,
    fails: bool,
}

impl Writing {
    fn run(&mut self, queue: &Queue) {
        let mut begun: Option<Instant> = None;
        loop {
            // The first record of a group wakes it; those that follow within a slice are taken together.
            match begun {
                None => queue.wait(IDLE, false),
                Some(_) => queue.wait(SLICE, true),
            }
            let Waiting { records, flushes, ended } = queue.take();
            if !records.is_empty() {
                begun.get_or_insert_with(Instant::now);
            }
            for record in records {
                self.take(*record);
                if self.line_bytes >= FRAME_BYTES {
                    let written = self.write_lines();
                    if written.is_err() {
                        self.note(written);
                    }
                }
            }
            let is_due = begun.is_none_or(|begun| begun.elapsed() >= self.group);
            if is_due || ended || !flushes.is_empty() {
                begun = None;
                self.end_group(ended || flushes.iter().any(|(close, _)| *close));
            }
            for (_, done) in flushes {
                let _ = done.send(());
            }
            if ended {
                return;
            }
        }
    }

    fn end_group(&mut self, closes: bool) {
        let written = self.write(closes);
        self.note(written);
    }

    /// Adds a record to the group, if there is room for it.
    fn take(&mut self, RawRecord { mut record, text }: RawRecord) {
        let counter = match self.state {
            SpoolState::Free => None,
            SpoolState::Sampling if is_sampled(&record) => None,
            SpoolState::Sampling => Some(&self.counters.sampled_out),
            SpoolState::Full => Some(&self.counters.refused),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.text.keep(&mut record, &text, &self.key);
        record.conversation = record.conversation.map(|id| (self.name_of)(&id));
        let (lines, n) = self.lines.entry(HourKey::of_millis(record.at)).or_default();
        let before = lines.len();
        if record.write_line(lines) {
            *n += 1;
            self.line_bytes += lines.len() - before;
        } else {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the lines that wait, without syncing them.
    fn write_lines(&mut self) -> io::Result<()> {
        self.line_bytes = 0;
        while let Some((hour, (lines, n))) = self.lines.pop_first() {
            if n == 0 {
                continue;
            }
            let before = if self.spool.is_other_hour(hour) { self.sync() } else { Ok(()) };
            let written = before.and_then(|()| self.spool.write(hour, &lines, Instant::now()));
            if let Err(error) = written {
                let lost = n + self.lines.values().map(|(_, n)| n).sum::<u64>();
                self.counters.refused.fetch_add(lost, Ordering::Relaxed);
                self.lines.clear();
                // What was written before is kept, if it can be synced.
                let _ = self.sync().and_then(|()| self.spool.close());
                return Err(error);
            }
            self.unsynced += n;
        }
        Ok(())
    }

    /// Syncs what was written, and counts it.
    fn sync(&mut self) -> io::Result<()> {
        let synced = self.spool.sync();
        let counter = if synced.is_ok() { &self.counters.written } else { &self.counters.refused };
        counter.fetch_add(std::mem::take(&mut self.unsynced), Ordering::Relaxed);
        synced
    }

    /// Writes and syncs the group, and closes the segment if it is old or `closes`.
    fn write(&mut self, closes: bool) -> io::Result<()> {
        self.write_lines()?;
        self.sync()?;
        if closes {
            self.spool.close()?;
        } else {
            self.spool.close_older(self.segment_age)?;
        }
        self.spool.count()?;
        self.counters.waiting_bytes.store(self.spool.bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Reports what has changed: each trouble once when it begins, and once when it has ended.
    fn note(&mut self, written: io::Result<()>) {
        match (&written, self.fails) {
            (Err(error), false) => {
                (self.report)(format!("BOT-6204: predictions are lost: {error}"))
            }
            (Ok(()), true) => (self.report)("predictions are written again".to_owned()),
            _ => {}
        }
        self.fails = written.is_err();
        let state = self.spool.state();
        if state != self.state {
            let bytes = self.spool.bytes();
            (self.report)(match state {
                SpoolState::Free => "every prediction is logged again".to_owned(),
                SpoolState::Sampling => format!(
                    "{WAITING}: {bytes} bytes of predictions wait for the store: one of {SAMPLE} is kept"
                ),
                SpoolState::Full => format!(
                    "{WAITING}: {bytes} bytes of predictions wait for the store: none is kept"
                ),
            });
            self.state = state;
        }
    }
}

/// Returns whether a record is in the sample: that depends on its id alone.
fn is_sampled(record: &Record) -> bool {
    let digest = Digest::of(record.request_id.as_bytes());
    digest.as_bytes().first().is_some_and(|byte| u64::from(*byte) % SAMPLE == 0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{record::tests::record, segment::read_segment, spool::full_segments};
    use std::collections::BTreeSet;

    pub(crate) fn settings(folder: &Path, most_bytes: u64) -> PredictionLogSettings {
        PredictionLogSettings {
            folder: folder.to_owned(),
            replica: "a".to_owned(),
            group: Duration::from_millis(20),
            segment_age: Duration::from_secs(60),
            most_bytes,
            text: TextPolicy::Redacted,
            key: Arc::from(&b"key"[..]),
            name_of: Arc::new(|id| format!("name of {id}")),
        }
    }

    /// Makes the record number `i` as a server hands it over.
    pub(crate) fn raw(i: u32) -> RawRecord {
        RawRecord { record: record(i), text: format!("write to ann{i}@example.com") }
    }

    /// Reads the ids of all records in a folder.
    fn ids(folder: &Path) -> BTreeSet<String> {
        let read = |path: &Path| read_segment(&std::fs::read(path).unwrap(), "s").unwrap();
        let segments = full_segments(folder).unwrap();
        segments.iter().flat_map(|(path, ..)| read(path).records).map(|it| it.request_id).collect()
    }

    #[test]
    fn records_are_synced_in_groups_and_the_end_writes_those_that_wait() {
        let folder = tempfile::tempdir().unwrap();
        let log = PredictionLog::start(&settings(folder.path(), 1 << 20), |_| {}).unwrap();
        (0..100).for_each(|i| log.add(raw(i)));
        log.flush(true);
        let counts = log.counts();
        assert_eq!((counts.written, counts.dropped, counts.refused), (100, 0, 0));
        assert!(counts.waiting_bytes > 0);
        assert_eq!(ids(&folder.path().join("server-0")).len(), 100);
        let segments = full_segments(&folder.path().join("server-0")).unwrap();
        let bytes = std::fs::read(&segments[0].0).unwrap();
        let first = &read_segment(&bytes, "s").unwrap().records[0];
        let text = first.text.as_deref().unwrap();
        assert!(text.starts_with("write to ") && !text.contains("ann"), "{text}");
        assert!(first.conversation.as_deref().unwrap().starts_with("name of "));
        (100..150).for_each(|i| log.add(raw(i)));
        drop(log);
        assert_eq!(ids(&folder.path().join("server-0")).len(), 150);
    }

    #[test]
    fn what_is_synced_outlives_a_process_that_ends_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let log = PredictionLog::start(&settings(folder.path(), 1 << 20), |_| {}).unwrap();
        (0..50).for_each(|i| log.add(raw(i)));
        log.flush(false);
        // As a kill leaves it: the segment is open, and half a group follows.
        let copy = tempfile::tempdir().unwrap();
        std::fs::create_dir(copy.path().join("server-0")).unwrap();
        for entry in std::fs::read_dir(folder.path().join("server-0")).unwrap() {
            let path = entry.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            if bytes.len() > 100 {
                bytes.extend_from_slice(&bytes.clone()[..40]);
            }
            std::fs::write(copy.path().join("server-0").join(path.file_name().unwrap()), bytes)
                .unwrap();
        }
        let log = PredictionLog::start(&settings(copy.path(), 1 << 20), |_| {}).unwrap();
        assert_eq!(ids(&copy.path().join("server-0")).len(), 50);
        drop(log);
    }

    #[test]
    fn a_store_out_of_reach_leads_to_a_sample_and_then_to_none_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (said, heard) = std::sync::mpsc::channel();
        let log = PredictionLog::start(&settings(folder.path(), 6_000), move |event| {
            let _ = said.send(event);
        })
        .unwrap();
        for i in 0..2_000 {
            log.add(raw(i));
            if i % 10 == 0 {
                log.flush(false);
            }
        }
        log.flush(true);
        let counts = log.counts();
        assert!(counts.sampled_out > 0 && counts.refused > 0, "{counts:?}");
        assert_eq!(counts.written + counts.sampled_out + counts.refused, 2_000);
        assert!(counts.waiting_bytes < 9_000);
        let events: Vec<String> = heard.try_iter().collect();
        assert!(events[0].contains("one of 10 is kept") && events[1].contains("none is kept"));
        // Shipped: there is room again.
        for (path, ..) in full_segments(&folder.path().join("server-0")).unwrap() {
            std::fs::remove_file(path).unwrap();
        }
        log.flush(false);
        log.add(raw(3_000));
        log.flush(true);
        assert!(ids(&folder.path().join("server-0")).contains("r-3000"));
        assert_eq!(heard.try_iter().last().as_deref(), Some("every prediction is logged again"));
    }
}
