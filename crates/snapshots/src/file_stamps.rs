//! Stamps of files that were read, so that unchanged files need not be read again.
//!
//! A stamp holds everything that changes with a file: its size, its device and inode, and the times of its last change
//! of content and of metadata. File system clocks are coarse: a file that was written just before it was read may change
//! again within the same tick and keep its stamp. The stamp of such a file is not saved, and the file is read again next
//! time. The stamp file is a cache: if it is lost or damaged, files are read again.

use botops_digest::{Digest, canonical_json};
use botops_findings::Result;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

const SCHEMA: &str = "botops.stamps/1";
/// The coarsest tick of a file system's clock (FAT), in nanoseconds.
const TICK: i64 = 2_000_000_000;

/// The size, identity and times of a file; times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    size_bytes: u64,
    device: u64,
    inode: u64,
    modified: i64,
    changed: i64,
}

impl Stamp {
    /// Returns the stamp of a file; `None` on systems without inodes and change times.
    #[cfg(unix)]
    pub(crate) fn of(meta: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.checked_mul(1_000_000_000)?.checked_add(rest);
        Some(Self {
            size_bytes: meta.len(),
            device: meta.dev(),
            inode: meta.ino(),
            modified: nanoseconds(meta.mtime(), meta.mtime_nsec())?,
            changed: nanoseconds(meta.ctime(), meta.ctime_nsec())?,
        })
    }

    /// Returns the stamp of a file; `None` on systems without inodes and change times.
    #[cfg(not(unix))]
    pub(crate) fn of(_meta: &Metadata) -> Option<Self> {
        None
    }

    /// Returns whether every change after `read_at` (nanoseconds since 1970) would change the stamp.
    fn is_reliable(&self, read_at: i64) -> bool {
        read_at.saturating_sub(self.modified.max(self.changed)) > TICK
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KnownFile {
    stamp: Stamp,
    digest: Digest,
}

/// The content of the stamp file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct StampFile {
    schema: String,
    /// The files by absolute path.
    files: BTreeMap<String, KnownFile>,
}

/// The digests and stamps of files when they were last read.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    path: Option<PathBuf>,
    files: BTreeMap<String, KnownFile>,
    fresh: BTreeMap<String, KnownFile>,
}

impl Stamps {
    /// Reads the stamp file at `path`; a missing or damaged file counts as empty.
    pub(crate) fn open(path: Option<&Path>) -> Self {
        let files = path
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<StampFile>(&bytes).ok())
            .filter(|stored| stored.schema == SCHEMA)
            .map(|stored| stored.files)
            .unwrap_or_default();
        Self { path: path.map(Path::to_owned), files, fresh: BTreeMap::new() }
    }

    /// Returns the digest of the file at `path` (absolute), if `stamp` is the one it had when it was read.
    pub(crate) fn digest(&self, path: &str, stamp: Option<Stamp>) -> Option<Digest> {
        let known = self.files.get(path)?;
        (Some(known.stamp) == stamp).then_some(known.digest)
    }

    /// Records that the file at `path` had `stamp` and `digest` when it was read, at `clock` or later.
    pub(crate) fn remember(
        &mut self,
        path: &str,
        stamp: Option<Stamp>,
        digest: Digest,
        clock: DateTime<Utc>,
    ) {
        let read_at = clock.timestamp_nanos_opt().unwrap_or(i64::MIN);
        // A reliable stamp stays reliable while it does not change.
        let trusted = self.digest(path, stamp) == Some(digest);
        if let Some(stamp) = stamp.filter(|stamp| trusted || stamp.is_reliable(read_at)) {
            self.fresh.insert(path.to_owned(), KnownFile { stamp, digest });
        }
    }

    /// Writes the files recorded since the stamps were opened, and no others: files that no longer exist are dropped.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn save(self) -> Result<()> {
        match self.path {
            Some(path) if self.fresh != self.files => {
                let stored = StampFile { schema: SCHEMA.to_owned(), files: self.fresh };
                // If the folder cannot be created, the write below fails and reports it.
                let _ = path.parent().map(fs::create_dir_all);
                botops_files::replace(&path, &canonical_json(&stored))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn stamp(changed: i64) -> Stamp {
        Stamp { size_bytes: 3, device: 1, inode: 2, modified: 5, changed }
    }

    #[test]
    fn a_file_read_within_the_tick_of_its_last_change_is_not_recorded() {
        let clock = DateTime::from_timestamp_nanos(10 * TICK);
        let digest = Digest::of(b"abc");
        let mut stamps = Stamps::default();
        for (path, changed) in [("/old", 9 * TICK - 1), ("/young", 9 * TICK), ("/ahead", 11 * TICK)]
        {
            stamps.remember(path, Some(stamp(changed)), digest, clock);
        }
        stamps.remember("/unknown", None, digest, clock);
        assert_eq!(stamps.fresh.keys().collect::<Vec<_>>(), ["/old"]);
    }

    #[test]
    fn another_stamp_means_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/stamps.json");
        let digest = Digest::of(b"abc");
        let mut stamps = Stamps::open(Some(&path));
        stamps.remember("/a", Some(stamp(7)), digest, DateTime::from_timestamp_nanos(10 * TICK));
        stamps.save().unwrap();
        let read = Stamps::open(Some(&path));
        assert_eq!(read.digest("/a", Some(stamp(7))), Some(digest));
        assert_eq!(read.digest("/a", Some(stamp(8))), None);
        assert_eq!(read.digest("/a", Some(Stamp { inode: 3, ..stamp(7) })), None);
        assert_eq!(read.digest("/a", None), None);
        assert_eq!(read.digest("/b", Some(stamp(7))), None);
        fs::write(&path, b"{\"schema\":\"botops.stamps/1\",").unwrap();
        assert_eq!(Stamps::open(Some(&path)).digest("/a", Some(stamp(7))), None);
    }
}
