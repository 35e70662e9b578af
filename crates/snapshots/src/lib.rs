//! Data sets stored by content: taken as snapshots, listed, compared, written back, verified.
//!
//! In: files and folders, and a [`botops_store::Store`]. Out: numbered snapshots in the log of a data set, and the same
//! files again, byte for byte.
//!
//! - a file is cut into chunks where its content decides (FastCDC), so that a changed record changes one or two chunks
//!   and leaves the others as they were; a chunk is identified by the digest of its bytes
//! - new chunks are compressed (zstd) and stored side by side in **packs**, blobs of about 8 MiB, so that a bucket
//!   receives dozens of requests instead of thousands
//! - a snapshot is a [`SnapshotManifest`]: a blob in canonical JSON that lists files, their chunks, and the packs that
//!   hold these; the identity of a snapshot is the digest of its paths, sizes and file digests, wherever they are stored
//! - a data set is one log, `datasets/<name>/log`; appending the entry is the commit: packs and manifest are stored
//!   before it, so that a crash leaves only blobs without a reference
//!
//! The same files and the same latest snapshot give the same packs, whatever the number of threads. The next run
//! therefore finds the packs that a killed run stored.

mod chunks;
mod file_list;
mod file_stamps;
mod holding;
mod log;
mod manifest;
mod pulling;
mod reading;
mod reference;
mod searching;
mod taking;
mod verification;

pub use file_list::files_under;
pub use holding::Held;
pub use log::{Snapshot, SnapshotAction, SnapshotEvent, Snapshots};
pub use manifest::{Chunk, Pack, SnapshotFile, SnapshotManifest};
pub use pulling::Pulled;
pub use reference::{SnapshotReference, SnapshotSelector};
pub use taking::{SnapshotRequest, Taken};
pub use verification::SnapshotVerification;
