//! What a file looked like when it was read, so that one that looks the same need not be read again.
//!
//! A stamp holds what a change of a file changes: its size, its identity on the disk, and the times of
//! its last change (of content, and of anything). The times tick coarsely, so a file that was written
//! just before it was read may change once more within the same tick and look the same: such a file is
//! not remembered, and read again next time. The digests here are a courtesy: lost or damaged, they cost time only.

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

/// What a file looked like; times in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    size_bytes: u64,
    device: u64,
    inode: u64,
    modified: i64,
    changed: i64,
}

impl Stamp {
    /// Takes the stamp of a file; none where the system does not tell enough to trust it.
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

    /// Takes the stamp of a file; none where the system does not tell enough to trust it.
    #[cfg(not(unix))]
    pub(crate) fn of(_meta: &Metadata) -> Option<Self> {
        None
    }

    /// Returns whether any change after `read_at` (nanoseconds since 1970) shows in the stamp.
    fn tells(&self, read_at: i64) -> bool {
        read_at.saturating_sub(self.modified.max(self.changed)) > TICK
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    digest: Digest,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    schema: String,
    /// By absolute path.
    files: BTreeMap<String, Known>,
}

/// The digests of files as they were last read.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    path: Option<PathBuf>,
    files: BTreeMap<String, Known>,
    fresh: BTreeMap<String, Known>,
}

impl Stamps {
    /// Reads what is remembered at `path`; nothing of what cannot be read.
    pub(crate) fn open(path: Option<&Path>) -> Self {
        let files = path
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok())
            .filter(|stored| stored.schema == SCHEMA)
            .map(|stored| stored.files)
            .unwrap_or_default();
        Self { path: path.map(Path::to_owned), files, fresh: BTreeMap::new() }
    }

    /// Returns the digest of the file at `path` (absolute), if it looks as it did when it was read.
    pub(crate) fn digest(&self, path: &str, stamp: Option<Stamp>) -> Option<Digest> {
        let known = self.files.get(path)?;
        (Some(known.stamp) == stamp).then_some(known.digest)
    }

    /// Remembers that the file at `path`, which looked like `stamp`, had `digest` at `clock` or later.
    pub(crate) fn remember(
        &mut self,
        path: &str,
        stamp: Option<Stamp>,
        digest: Digest,
        clock: DateTime<Utc>,
    ) {
        let read_at = clock.timestamp_nanos_opt().unwrap_or(i64::MIN);
        // What was trusted before still is: it looks the same.
        let trusted = self.digest(path, stamp) == Some(digest);
        if let Some(stamp) = stamp.filter(|stamp| trusted || stamp.tells(read_at)) {
            self.fresh.insert(path.to_owned(), Known { stamp, digest });
        }
    }

    /// Writes what was remembered since it was opened, and nothing else: files that are gone are forgotten.
    ///
    /// # Errors
    /// `BOT-1002`.
    pub(crate) fn save(self) -> Result<()> {
        match self.path {
            Some(path) if self.fresh != self.files => {
                let stored = Stored { schema: SCHEMA.to_owned(), files: self.fresh };
                // What cannot be made is found out by writing there.
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
    fn a_file_read_within_the_tick_of_its_last_change_is_not_remembered() {
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
    fn any_other_look_is_another_file() {
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
