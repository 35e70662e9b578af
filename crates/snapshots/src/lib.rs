//! Data sets kept by content: what was stored, when, by whom; found again, compared, written back.
//!
//! - a file is cut where its content says (FastCDC), so that a changed record changes a chunk or two
//!   and leaves the others as they were; a chunk is known by the digest of its bytes
//! - new chunks are compressed (zstd) and stored side by side in **packs**, blobs of some megabytes:
//!   a bucket is asked for dozens of objects, not for thousands
//! - a snapshot is a [`SnapshotManifest`]: a blob in canonical JSON that names files, their chunks, and the packs these lie in;
//!   its identity is the digest of what it holds (paths, sizes, digests), wherever that is stored
//! - a data set is one log, `datasets/<name>/log`; its entry is the point of commitment: packs and
//!   manifest are stored before it, so that a crash leaves nothing but blobs nobody names
//!
//! The same files, the same latest snapshot: the same packs, whatever the number of threads. So what a
//! killed run had stored is found by the next.

pub(crate) mod file_list;
pub(crate) mod file_stamps;
pub(crate) mod log;
pub(crate) mod pulling;
pub(crate) mod taking;

mod chunks;
mod reference;
mod verification;

pub use file_list::files_under;
pub use pulling::Pulled;
pub use reference::{SnapshotReference, SnapshotSelector};
pub use taking::{Taken, Taking};
pub use verification::SnapshotVerification;

use botops_digest::Digest;
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const SCHEMA: &str = "botops.snapshot/1";

/// A part of a file, as cut by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Digest of its bytes.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Where it is: the place of its pack in [`SnapshotManifest::packs`], from 0.
    pub pack: u32,
    /// Its first byte in the pack.
    pub start: u64,
    /// Its size in the pack, compressed.
    pub stored_bytes: u64,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// Its path within the snapshot, with `/` between parts; never absolute, never with `..`.
    pub path: String,
    /// Digest of its bytes: what runs and versions record as their data.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Its chunks in order.
    pub chunks: Vec<Chunk>,
}

/// A blob of compressed chunks side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pack {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// What a snapshot holds and where. Holds nothing of the moment.
///
/// - `files` rise by path, `packs` by digest
/// - every chunk lies within its pack, and the sizes of a file's chunks sum to its own
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// `botops.snapshot/1`.
    pub schema: String,
    /// The data set.
    pub name: String,
    /// The files.
    pub files: Vec<SnapshotFile>,
    /// The packs that hold their chunks.
    pub packs: Vec<Pack>,
}

impl SnapshotManifest {
    /// Returns the snapshot's identity: the digest of the paths, sizes and digests of its files.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.size_bytes, file.digest))
            .collect();
        Digest::of_json(&files)
    }

    /// Returns the bytes of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Returns the file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&SnapshotFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// What happened to a data set: the payload of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What.
    pub action: SnapshotAction,
}

/// What may happen to a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum SnapshotAction {
    /// A snapshot was taken; the n-th such entry is snapshot n.
    Taken {
        /// Its identity.
        snapshot: Digest,
        /// Its manifest.
        manifest: Digest,
        /// Its files.
        files: u64,
        /// Their bytes.
        size_bytes: u64,
        /// Bytes that were stored for it: packs that the snapshot before did not have, and the manifest.
        stored_bytes: u64,
    },
}

/// A snapshot as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The data set.
    pub name: String,
    /// Its number, from 1.
    pub number: u64,
    /// Its identity.
    pub digest: Digest,
    /// Digest of its manifest.
    pub manifest_digest: Digest,
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// By whom.
    pub actor: String,
    /// The manifest.
    pub manifest: SnapshotManifest,
}

impl Snapshot {
    /// Returns `name@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.number)
    }

    /// Returns `name@sha256:…`, the reference that stays true wherever the data set goes.
    #[must_use]
    pub fn lasting_reference(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }

    /// Returns every digest by which a run or a version may point to it, with what that is: the whole or a file.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<Digest, String> {
        let files = self.manifest.files.iter().map(|file| (file.digest, file.path.clone()));
        files.chain([(self.digest, "the whole snapshot".to_owned())]).collect()
    }
}

/// The data sets of one store.
#[derive(Clone)]
pub struct Snapshots {
    store: Store,
}

impl Snapshots {
    /// Opens the data sets of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store }
    }

    /// Returns the store beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}
