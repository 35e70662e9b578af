//! The local folder of a server: its open segment, and full ones until they are in the store.

use crate::{
    layout::{HourKey, SEGMENT},
    segment::SegmentWriter,
};
use botops_findings::{Fault, Result};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The extension of a segment that is being written.
const OPEN: &str = ".open";
/// The size at which a segment is full.
const FULL_BYTES: u64 = 8 << 20;
/// The bytes of lines at which a segment is full, so that reading it is bounded, too.
const FULL_LINE_BYTES: u64 = 128 << 20;
/// The first bytes of a zstd frame.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The most servers that share a folder.
const MOST_SERVERS: u32 = 1_024;
/// The share of the limit, in percent, above which only a sample is kept.
const SAMPLING_PERCENT: u64 = 75;
/// One of this many records is kept then.
pub(crate) const SAMPLE: u64 = 10;

/// How much room there is for records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolState {
    /// Every record is kept.
    Free,
    /// The store was out of reach for long: one of ten records is kept.
    Sampling,
    /// The folder is full: no record is kept.
    Full,
}

/// The segments of one server in a local folder. The servers of a machine share the folder above it.
///
/// Full segments are kept until they are shipped. While they take more than three quarters of the limit, one of ten records
/// is kept; at the limit, none is.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    replica: String,
    most_bytes: u64,
    open: Option<(HourKey, Instant, SegmentWriter)>,
    /// The bytes of the full segments, as last counted.
    full_bytes: u64,
    /// Held as long as the spool lives, so that no other process writes to the folder.
    _lock: File,
}

impl Spool {
    /// Opens a folder for the server `replica` in `folder`, which all servers of a machine share, and takes over the segments
    /// that servers left which are gone.
    ///
    /// # Errors
    /// `BOT-6204` (exit 1) the folder cannot be used, `BOT-6205` (exit 5) too many servers use it.
    pub fn open(folder: &Path, replica: &str, most_bytes: u64) -> Result<Self> {
        let unusable = |error: io::Error| unusable(folder, error);
        let (own, lock) = claim(folder).map_err(unusable)?.ok_or_else(|| {
            let message = format!("{MOST_SERVERS} servers write their predictions to this folder");
            Fault::conflict("BOT-6205", message)
                .file(folder)
                .hint("name another one for this server: `predictions.folder`")
        })?;
        take_over(folder, &own).map_err(unusable)?;
        let replica = replica.chars().filter(|c| c.is_ascii_alphanumeric()).take(26).collect();
        let mut spool =
            Self { folder: own, replica, most_bytes, open: None, full_bytes: 0, _lock: lock };
        spool.count().map_err(unusable)?;
        Ok(spool)
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns whether lines of `hour` belong into another segment than the open one, which is closed for them.
    pub(crate) fn is_other_hour(&self, hour: HourKey) -> bool {
        self.open.as_ref().is_some_and(|(open, ..)| *open != hour)
    }

    /// Writes lines of one hour; they are on the disk after [`Self::sync`]. Sync and close the segment after an
    /// error; the next lines begin another one.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn write(&mut self, hour: HourKey, lines: &[u8], now: Instant) -> io::Result<()> {
        if self.is_other_hour(hour) {
            self.close()?;
        }
        let (.., writer) = match &mut self.open {
            Some(open) => open,
            none => {
                let name = format!(
                    "{}~{}-{}{SEGMENT}{OPEN}",
                    hour.to_string().replace('/', "~"),
                    self.replica,
                    ulid::Ulid::generate()
                );
                let writer = SegmentWriter::create(&self.folder.join(name))?;
                // A file whose name is not on the disk is lost with the power.
                File::open(&self.folder)?.sync_all()?;
                none.insert((hour, now, writer))
            }
        };
        writer.write(lines)
    }

    /// Returns when what was written is on the disk, and closes a full segment. One that cannot be synced is closed with the
    /// groups that it has.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let Some((.., writer)) = &mut self.open else { return Ok(()) };
        let synced = writer.sync();
        let is_full = writer.bytes() >= FULL_BYTES || writer.line_bytes() >= FULL_LINE_BYTES;
        if is_full || synced.is_err() {
            let closed = self.close();
            return synced.and(closed);
        }
        Ok(())
    }

    /// Closes the open segment if it was begun more than `age` ago.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn close_older(&mut self, age: Duration) -> io::Result<()> {
        match &self.open {
            Some((_, begun, _)) if begun.elapsed() > age => self.close(),
            _ => Ok(()),
        }
    }

    /// Closes the open segment, so that it can be shipped.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        let Some((.., mut writer)) = self.open.take() else { return Ok(()) };
        let path = writer.path().to_owned();
        let synced = writer.sync();
        drop(writer);
        finish(&path)?;
        self.count()?;
        synced
    }

    /// Counts the bytes of the full segments again: shipping removes them.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn count(&mut self) -> io::Result<()> {
        let mut bytes = 0;
        for path in self.with_extension(SEGMENT)? {
            bytes += fs::metadata(path).map_or(0, |it| it.len());
        }
        self.full_bytes = bytes;
        Ok(())
    }

    /// Returns how much room there is.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        let bytes = self.bytes();
        if bytes >= self.most_bytes {
            SpoolState::Full
        } else if bytes >= self.most_bytes / 100 * SAMPLING_PERCENT {
            SpoolState::Sampling
        } else {
            SpoolState::Free
        }
    }

    /// Returns the bytes of all segments in the folder.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.full_bytes + self.open.as_ref().map_or(0, |(.., writer)| writer.bytes())
    }

    fn with_extension(&self, extension: &str) -> io::Result<Vec<PathBuf>> {
        segments(&self.folder, extension)
    }
}

/// Returns the first folder that no living server has, and its lock; `None` if each has one.
fn claim(folder: &Path) -> io::Result<Option<(PathBuf, File)>> {
    for number in 0..MOST_SERVERS {
        let own = folder.join(format!("server-{number}"));
        fs::create_dir_all(&own)?;
        if let Some(lock) = lock(&own)? {
            return Ok(Some((own, lock)));
        }
    }
    Ok(None)
}

/// Locks the folder of a server; `None` if a living one has it.
fn lock(own: &Path) -> io::Result<Option<File>> {
    let lock = File::create(own.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Closes the segments that a crash left open in `own`, and moves those of servers that are gone to it.
fn take_over(folder: &Path, own: &Path) -> io::Result<()> {
    for number in 0..MOST_SERVERS {
        let other = folder.join(format!("server-{number}"));
        let is_own = other == own;
        if !is_own && !other.is_dir() {
            break;
        }
        // Held until its segments are moved.
        let _lock = match is_own {
            true => None,
            false => match lock(&other)? {
                Some(lock) => Some(lock),
                None => continue,
            },
        };
        for path in segments(&other, OPEN)? {
            cut_half_group(&path)?;
            finish(&path)?;
        }
        for path in if is_own { Vec::new() } else { segments(&other, SEGMENT)? } {
            let name = path.file_name().unwrap_or_default();
            fs::rename(&path, own.join(name))?;
        }
    }
    Ok(())
}

/// Removes the group at the end of a segment that a crash cut: it was not synced. Other damage stays for a repair.
fn cut_half_group(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let whole = whole_frames(&bytes);
    let rest = &bytes[whole..];
    let has_more = rest.windows(4).skip(1).any(|four| four == FRAME);
    // A file system may leave zeros where the last write should be.
    let is_cut = FRAME.starts_with(&rest[..rest.len().min(4)]) || rest.iter().all(|it| *it == 0);
    if rest.is_empty() || has_more || !is_cut {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole as u64)?;
    file.sync_all()
}

/// Returns the bytes of the frames at the front that are whole.
fn whole_frames(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match zstd::zstd_safe::find_frame_compressed_size(&bytes[at..]) {
            Ok(n) if n > 0 => at += n,
            _ => break,
        }
    }
    at
}

/// Returns the full segments of a folder, sorted, each with its hour and its name in the store.
///
/// # Errors
/// Those of the file system.
pub(crate) fn full_segments(folder: &Path) -> io::Result<Vec<(PathBuf, HourKey, String)>> {
    let named = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let (hour, name) = name.rsplit_once('~')?;
        let (hour, name) = (hour.replace('~', "/").parse().ok()?, name.to_owned());
        Some((path, hour, name))
    };
    Ok(segments(folder, SEGMENT)?.into_iter().filter_map(named).collect())
}

fn segments(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("date=") && name.ends_with(extension)) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Gives a closed segment its final name; an empty one is removed.
fn finish(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.len() == 0 {
        return fs::remove_file(path);
    }
    let name = path.to_str().and_then(|path| path.strip_suffix(OPEN));
    let name = name.ok_or_else(|| io::Error::other("the name of the folder is not Unicode"))?;
    fs::rename(path, name)
}

fn unusable(folder: &Path, error: io::Error) -> Fault {
    let message = format!("the folder of the predictions cannot be used: {error}");
    Fault::internal("BOT-6204", message)
        .file(folder)
        .hint("let the server write to it, or name another one: `predictions.folder`")
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::tests::record, segment::read_segment};

    fn line(i: u32) -> (HourKey, Vec<u8>) {
        let (record, mut line) = (record(i), Vec::new());
        record.write_line(&mut line);
        (HourKey::of_millis(record.at), line)
    }

    #[test]
    fn segments_are_of_one_hour_and_those_of_a_crash_are_closed_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut spool = Spool::open(folder.path(), "replica-1", 1 << 20).unwrap();
        for i in [0, 1, 3_600, 3_601] {
            let (hour, line) = line(i);
            spool.write(hour, &line, now).unwrap();
            spool.sync().unwrap();
        }
        assert_eq!(full_segments(spool.folder()).unwrap().len(), 1, "the hour before is closed");
        let beside = Spool::open(folder.path(), "replica-2", 1 << 20).unwrap();
        assert!(beside.folder().ends_with("server-1"));
        drop(beside);
        // A crash: nothing is closed. Another server is faster to take the folder.
        drop(spool);
        let _first = lock(&folder.path().join("server-1")).unwrap().unwrap();
        fs::rename(folder.path().join("server-0"), folder.path().join("server-2")).unwrap();
        let mut spool = Spool::open(folder.path(), "replica-1", 1 << 20).unwrap();
        assert!(spool.folder().ends_with("server-0"));
        let full = full_segments(spool.folder()).unwrap();
        assert_eq!(full.len(), 2);
        for ((path, hour, name), first) in full.iter().zip([0, 3_600]) {
            let segment = read_segment(&fs::read(path).unwrap(), name).unwrap();
            assert_eq!(segment.records, [record(first), record(first + 1)]);
            assert_eq!(*hour, HourKey::of_millis(record(first).at));
            assert!(name.starts_with("replica1-") && name.ends_with(SEGMENT), "{name}");
        }
        assert!(spool.bytes() > 0);
        full.iter().for_each(|(path, ..)| fs::remove_file(path).unwrap());
        spool.count().unwrap();
        assert_eq!((spool.bytes(), spool.state()), (0, SpoolState::Free));
    }

    #[test]
    fn half_a_group_at_the_end_is_cut_and_other_damage_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("date=2026-11-30~hour=01~a.jsonl.zst.open");
        let frames: Vec<Vec<u8>> =
            (0..3).map(|i| zstd::bulk::compress(&line(i).1, 1).unwrap()).collect();
        let whole = frames[..2].concat();
        let cut = |tail: &[u8]| {
            fs::write(&path, [&whole, tail].concat()).unwrap();
            cut_half_group(&path).unwrap();
            fs::read(&path).unwrap().len() - whole.len()
        };
        for n in 0..frames[2].len() {
            assert_eq!(cut(&frames[2][..n]), 0, "{n}");
        }
        assert_eq!(cut(&frames[2]), frames[2].len());
        assert_eq!(cut(&[0; 40]), 0);
        assert_eq!(cut(b"something else"), 14);
        let before_another = [&frames[2][..20], &frames[2]].concat();
        assert_eq!(cut(&before_another), before_another.len());
    }

    #[test]
    fn a_folder_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), "r", 4_000).unwrap();
        let mut seen = Vec::new();
        for i in 0..60 {
            let (hour, line) = line(i);
            spool.write(hour, &line, Instant::now()).unwrap();
            spool.sync().unwrap();
            seen.push(spool.state());
        }
        assert_eq!((seen[0], seen[59]), (SpoolState::Free, SpoolState::Full));
        assert!(seen.contains(&SpoolState::Sampling));
    }
}
