//! One store reached by a path or URL: immutable blobs and put-if-absent logs.
//!
//! Everything durable rests on these two. A local directory and an S3-compatible bucket go through
//! the same code; nothing is ever overwritten.
//!
//! - [`Store::open`] turns a location into a store; [`Store::wrap`] takes any `ObjectStore`
//! - a **blob** is bytes under their SHA-256 digest: `blobs/sha256/ab/abcd…`
//! - a **log** ([`Log`]) is a folder of numbered entries; whoever creates the next number first wins
//! - what nothing names any more can be listed and removed ([`Store::list`], [`Store::remove`])
//! - what fails for a moment (5xx, time-outs, a conditional request in flight) is tried again for a
//!   few seconds; a write whose outcome is unknown is read back before anything is said of it

mod failure;
mod location;
mod log;
mod removal;
mod retries;

pub use log::{Appended, Entry, Inspection, Log};
pub use removal::{SWEEP_PATIENCE, Stored};
pub use retries::Retries;

pub use removal::SWEEPS;

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use bytes::Bytes;
use failure::{Doing, Failure};
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, path::Path};
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, ops::Range, path::PathBuf, sync::Arc};

/// An object store at a prefix. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    url: String,
    retries: Retries,
}

impl Store {
    /// Opens the store at `location`: a path (made when it is first written), a `file://` or an `s3://bucket/prefix` URL.
    ///
    /// S3 settings come from the standard `AWS_*` variables of `environment` (`AWS_ENDPOINT_URL`, `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ALLOW_HTTP`); a plain-http endpoint on loopback is allowed as it is.
    ///
    /// # Errors
    /// `BOT-5001` for a location that is no path and no URL this program knows (exit 2).
    pub fn open(location: &str, environment: &BTreeMap<String, String>) -> Result<Self> {
        let inner = location::open(location, environment)?;
        Ok(Self { inner, url: location.to_owned(), retries: Retries::default() })
    }

    /// Wraps an object store, for tests and rehearsals. `url` is what messages call it.
    #[must_use]
    pub fn wrap(inner: Arc<dyn ObjectStore>, url: impl Into<String>) -> Self {
        Self { inner, url: url.into(), retries: Retries::default() }
    }

    /// Makes a store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::wrap(Arc::new(object_store::memory::InMemory::new()), "memory://")
    }

    /// Sets how often and how long what fails for a moment is tried again.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Returns what messages call this store; holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what messages call the object `path`.
    #[must_use]
    pub fn object_url(&self, path: &str) -> String {
        let joint = if self.url.ends_with('/') { "" } else { "/" };
        format!("{}{joint}{path}", self.url)
    }

    /// Returns the folder that this store is, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        location::folder(&self.url)
    }

    /// Stores `bytes` under their digest; writing them twice is harmless.
    ///
    /// # Errors
    /// `BOT-5002` read-only or full (exit 1), `BOT-5003` unreachable after retries (exit 7),
    /// `BOT-5005` the blob is there with another length (exit 3).
    pub async fn put_blob(&self, bytes: Bytes) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        let path = blob_path(&digest);
        // Models are re-registered far more often than they change: ask before sending them again.
        match self.size(&path).await? {
            Some(size) if size == bytes.len() as u64 => Ok(digest),
            Some(_) => Err(self.damaged(&digest)),
            None => self.create(&path, bytes).await.map(|_| digest),
        }
    }

    /// Returns the blob `digest`, checked against it.
    ///
    /// # Errors
    /// `BOT-5004` absent (exit 1), `BOT-5005` its bytes do not match its digest (exit 3), `BOT-5003`.
    pub async fn blob(&self, digest: &Digest) -> Result<Bytes> {
        let path = blob_path(digest);
        let bytes = self.read(&path).await?.ok_or_else(|| {
            Fault::internal("BOT-5004", format!("blob `{digest}` is not in `{}`", self.url))
                .file(self.object_url(&path))
                .hint("register the model again from its file, or restore the object from a backup")
        })?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(self.damaged(digest)) }
    }

    /// Returns whether the blob is there (by a HEAD, unread).
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        self.size(&blob_path(digest)).await.map(|size| size.is_some())
    }

    /// Returns the log at `path`, such as `models/support/log`.
    #[must_use]
    pub fn log<T: Serialize + DeserializeOwned>(&self, path: &str) -> Log<T> {
        Log::new(self.clone(), path.to_owned())
    }

    /// Returns the names of the folders directly under `path`, sorted.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn folders(&self, path: &str) -> Result<Vec<String>> {
        let location = self.parse(path)?;
        let listed = self
            .reading(Doing::List, path, || self.inner.list_with_delimiter(Some(&location)))
            .await?;
        let mut names: Vec<String> = listed
            .into_iter()
            .flat_map(|listed| listed.common_prefixes)
            .filter_map(|prefix| prefix.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates the object `path`; returns whether this call made it (false: it was there already, unchanged).
    ///
    /// When the answer to a try was lost, the object is read back: holding these very bytes, it counts as made by this call.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<bool> {
        let location = self.parse(path)?;
        let mut patience = self.retries.begin();
        let mut uncertain = false;
        loop {
            let put = self.inner.put_opts(&location, bytes.clone().into(), PutMode::Create.into());
            let Err(error) = put.await else { return Ok(true) };
            match Failure::of(&error) {
                // Only an earlier try of our own, whose answer was lost, can have written our bytes.
                Failure::Exists if uncertain => {
                    return Ok(self.read(path).await?.is_some_and(|found| found == bytes));
                }
                Failure::Exists => return Ok(false),
                Failure::Passing { maybe_done } => uncertain |= maybe_done,
                _ => return Err(self.fault(Doing::Write, path, error, patience.tries())),
            }
            if !patience.pause().await {
                if uncertain && self.holds(&location, &bytes).await {
                    return Ok(true);
                }
                return Err(self.fault(Doing::Write, path, error, patience.tries()));
            }
        }
    }

    /// Returns the object `path`, or `None` when it is absent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let location = self.parse(path)?;
        let (inner, location) = (&self.inner, &location);
        self.reading(Doing::Read, path, || async move { inner.get(location).await?.bytes().await })
            .await
    }

    /// Returns the bytes `range` of the object `path`, as many as there are, or `None` when it is absent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let location = self.parse(path)?;
        let (inner, location) = (&self.inner, &location);
        let get = || inner.get_range(location, range.clone());
        match self.reading(Doing::Read, path, get).await {
            // Past its end a store answers an error of its own kind: an object cut short is damage, not a fault of the store.
            Err(fault) => match self.size(path).await? {
                Some(size) if size < range.end => Ok(Some(Bytes::new())),
                _ => Err(fault),
            },
            read => read,
        }
    }

    /// Returns the names of the objects under `path` that sort after `after`, as `path` relative to the store, sorted.
    pub async fn objects(&self, path: &str, after: Option<&str>) -> Result<Vec<String>> {
        let location = self.parse(path)?;
        let offset = after.map(|after| self.parse(after)).transpose()?;
        let (inner, location, offset) = (&self.inner, &location, &offset);
        let list = || async move {
            let listed = match offset {
                Some(offset) => inner.list_with_offset(Some(location), offset),
                None => inner.list(Some(location)),
            };
            listed.map_ok(|meta| meta.location.to_string()).try_collect::<Vec<_>>().await
        };
        let mut paths = self.reading(Doing::List, path, list).await?.unwrap_or_default();
        paths.sort_unstable();
        Ok(paths)
    }

    /// Returns the size of the object `path`, or `None` when it is absent.
    pub async fn size(&self, path: &str) -> Result<Option<u64>> {
        let location = self.parse(path)?;
        let head = self.reading(Doing::Read, path, || self.inner.head(&location)).await?;
        Ok(head.map(|meta| meta.size))
    }

    /// Returns the policy for what fails for a moment.
    pub fn retries(&self) -> Retries {
        self.retries
    }

    /// Runs `operation` until it succeeds or fails for good; `None` when there is no such object.
    async fn reading<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        doing: Doing,
        path: &str,
        operation: impl Fn() -> F,
    ) -> Result<Option<T>> {
        let mut patience = self.retries.begin();
        loop {
            let error = match operation().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) => error,
            };
            let passing = match Failure::of(&error) {
                Failure::Absent => return Ok(None),
                failure => matches!(failure, Failure::Passing { .. }),
            };
            if !passing || !patience.pause().await {
                return Err(self.fault(doing, path, error, patience.tries()));
            }
        }
    }

    /// Returns whether `location` holds `bytes`, as far as one look can tell.
    async fn holds(&self, location: &Path, bytes: &Bytes) -> bool {
        match self.inner.get(location).await {
            Ok(found) => found.bytes().await.is_ok_and(|found| found == *bytes),
            Err(_) => false,
        }
    }

    fn parse(&self, path: &str) -> Result<Path> {
        Path::parse(path).map_err(|error| {
            Fault::usage("BOT-5001", format!("`{path}` cannot name an object in `{}`", self.url))
                .hint("use letters, digits, `-` and `_`")
                .caused_by(error)
        })
    }

    fn fault(&self, doing: Doing, path: &str, error: object_store::Error, tries: u32) -> Fault {
        failure::fault(&self.url, &self.object_url(path), doing, error, tries)
    }

    fn damaged(&self, digest: &Digest) -> Fault {
        Fault::data("BOT-5005", format!("the bytes of blob `{digest}` do not match its digest"))
            .file(self.object_url(&blob_path(digest)))
            .hint("restore the object from a backup, or delete it and register the model again")
    }
}

/// Returns the path of the blob `digest`: `blobs/sha256/ab/abcd…`.
#[must_use]
pub fn blob_path(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("blobs/sha256/{}/{hex}", &hex[..2])
}

#[cfg(test)]
mod tests;
