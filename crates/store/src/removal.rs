//! Removal of objects, and the marks that let writers wait for it.
//!
//! Objects are removed only by code that has read everything that could refer to them: `botops-experiments` does for
//! runs, and nothing does for versions. A sweep writes a mark before it removes blobs, so that a writer that is about to
//! refer to a blob can wait until the sweep has ended.

use super::{Store, failure::Operation};
use botops_digest::Digest;
use botops_findings::Result;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// The path of the marks of sweeps.
pub const SWEEPS: &str = "sweeps";
/// The time to wait for marks to disappear; a running sweep keeps its mark for less.
pub const SWEEP_PATIENCE: Duration = Duration::from_secs(60);
/// The interval between checks for marks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The path within the store.
    pub path: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The time of the last write, by the clock of the store.
    pub written_at: DateTime<Utc>,
}

impl Stored {
    /// Returns the digest of the blob at this path; `None` if it is not the path of a blob.
    #[must_use]
    pub fn blob(&self) -> Option<Digest> {
        let hex = self.path.rsplit('/').next()?;
        let digest: Digest = format!("sha256:{hex}").parse().ok()?;
        (super::blob_path(&digest) == self.path).then_some(digest)
    }
}

impl Store {
    /// Lists the objects under `path`, sorted by path.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn list(&self, path: &str) -> Result<Vec<Stored>> {
        let location = self.parse(path)?;
        let (inner, location) = (&self.inner, &location);
        let listing = || async move { inner.list(Some(location)).try_collect::<Vec<_>>().await };
        let listed = self.reading(Operation::List, path, listing).await?.unwrap_or_default();
        let mut stored: Vec<Stored> = listed
            .into_iter()
            .map(|meta| Stored {
                path: meta.location.to_string(),
                size_bytes: meta.size,
                written_at: meta.last_modified,
            })
            .collect();
        stored.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(stored)
    }

    /// Lists the blobs, sorted by digest; other objects in their folder are ignored.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn blobs(&self) -> Result<Vec<(Digest, Stored)>> {
        let listed = self.list("blobs/sha256").await?;
        Ok(listed.into_iter().filter_map(|stored| Some((stored.blob()?, stored))).collect())
    }

    /// Removes the object `path`; succeeds if it does not exist.
    ///
    /// # Errors
    /// `BOT-5002` (exit 1) if the store refuses to remove it, `BOT-5003`.
    pub async fn remove(&self, path: &str) -> Result<()> {
        let location = self.parse(path)?;
        self.reading(Operation::Remove, path, || self.inner.delete(&location)).await.map(|_| ())
    }

    /// Waits until no sweep is removing blobs, that is, until there are no marks.
    ///
    /// Marks that remain after `patience` were left by killed sweeps and are removed.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn outlast_sweeps(&self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let marks = self.objects(SWEEPS, None).await?;
            if marks.is_empty() {
                return Ok(());
            }
            if began.elapsed() > patience {
                for mark in marks {
                    self.remove(&mark).await?;
                }
                return Ok(());
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}
