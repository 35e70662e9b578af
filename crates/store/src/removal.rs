//! Taking objects away: the one thing that is not an addition, and so kept apart.
//!
//! Logs and blobs never change, and nothing here changes that. An object is removed by whoever has
//! read everything that could name it: for runs that is [`botops_experiments`], for versions nobody.
//! A sweep removes under a mark, so that whoever names an object meanwhile can wait for it to end.

use super::{Store, failure::Doing};
use botops_digest::Digest;
use botops_findings::Result;
use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// Where the marks of sweeps are.
pub const SWEEPS: &str = "sweeps";
/// How long to wait for marks to go: longer than a living sweep holds one.
pub const SWEEP_PATIENCE: Duration = Duration::from_secs(60);
/// How often to look.
const LOOK: Duration = Duration::from_millis(100);

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its path within the store.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written, by the store's own clock.
    pub written_at: DateTime<Utc>,
}

impl Stored {
    /// Returns the digest that the blob at this path has, if it is the path of a blob.
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
        let listed = self.reading(Doing::List, path, listing).await?.unwrap_or_default();
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

    /// Lists the blobs, sorted by digest; other objects among them are none of ours.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn blobs(&self) -> Result<Vec<(Digest, Stored)>> {
        let listed = self.list("blobs/sha256").await?;
        Ok(listed.into_iter().filter_map(|stored| Some((stored.blob()?, stored))).collect())
    }

    /// Removes the object `path`; one that is not there is as good as removed.
    ///
    /// # Errors
    /// `BOT-5002` it may not be removed (exit 1), `BOT-5003`.
    pub async fn remove(&self, path: &str) -> Result<()> {
        let location = self.parse(path)?;
        self.reading(Doing::Remove, path, || self.inner.delete(&location)).await.map(|_| ())
    }

    /// Waits until no sweep is removing blobs: until there is no mark. One that outlives `patience`, and so every living
    /// sweep, was left by a killed one, and is taken away.
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
            tokio::time::sleep(LOOK).await;
        }
    }
}
