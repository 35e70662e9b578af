//! A store at a path or URL: immutable blobs and put-if-absent logs.
//!
//! All durable data uses these two. Local directories and S3-compatible buckets share the same code, and no object is
//! ever overwritten.
//!
//! - [`Store::open`] opens a location; [`Store::wrap`] takes any `ObjectStore`
//! - a **blob** is bytes under their SHA-256 digest: `blobs/sha256/ab/abcd…`
//! - a **log** ([`Log`]) is a folder of numbered entries; the first writer of the next number wins
//! - a **checkpoint** is the fold of a log up to an entry, from which [`Folded`] opens the log
//! - the first write proves that the store supports put-if-absent, and keeps the proof in it ([`Store::identify`])
//! - the log of erasures says which names and blobs were erased ([`Erasure`])
//! - a store that is being restored is refused until it is complete ([`Store::begin_restore`]), and the records of its
//!   backups are in it ([`Safeguards`])
//! - unreferenced objects can be listed and removed ([`Store::list`], [`Store::remove`])
//! - transient failures (5xx, time-outs, a conditional request in flight) are retried for a few seconds; a write whose
//!   outcome is unknown is read back before its result is returned

mod absence;
mod aws_profile;
mod checkpoint;
mod encryption;
mod erased;
mod erasures;
mod failure;
mod folded;
mod guard;
mod identity;
mod known_logs;
mod location;
mod log;
mod regular_files;
mod removal;
mod restoring;
mod retries;
mod safeguards;
mod sealed;

pub use checkpoint::{Fold, contradictions};
pub use erased::ErasedBlob;
pub use erasures::{ERASURES, Erasure, ErasureSubject};
pub use folded::{CHECKPOINT_INTERVAL, Folded, Followed};
pub use known_logs::KnownLogs;
pub use log::{Appended, Entry, Inspection, Log, intact_entry, newer_payload};
pub use removal::{SWEEP_PATIENCE, SWEEPS, Stored};
pub use retries::{Retries, RetryState};
pub use safeguards::{BackupRecord, DrillRecord, SafeguardLogs, Safeguards};

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use bytes::Bytes;
use failure::{Failure, Operation};
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
    /// `None` for a wrapped store, which is trusted.
    guard: Option<Arc<guard::Guard>>,
}

impl Store {
    /// Opens the store at `location`: a path, a `file://` URL or an `s3://bucket/prefix` URL.
    ///
    /// A local folder is created by the first write. S3 settings come from the standard `AWS_*` variables of
    /// `environment` (`AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`, `AWS_ALLOW_HTTP`, and for encryption at rest `AWS_SERVER_SIDE_ENCRYPTION` with
    /// `AWS_SSE_KMS_KEY_ID`); those that are not set, from the profile `AWS_PROFILE` in `~/.aws/credentials`
    /// and `~/.aws/config`, if `environment` has `HOME`. A plain-http endpoint is allowed on loopback addresses.
    ///
    /// # Errors
    /// `BOT-5001` (exit 2) if the location is neither a path nor a supported URL; `BOT-5070` (exit 2) if the AWS profile
    /// cannot be used; `BOT-5139` (exit 2) if the variables for encryption contradict each other.
    pub fn open(location: &str, environment: &BTreeMap<String, String>) -> Result<Self> {
        let inner = location::open(location, environment)?;
        let guard = Some(Arc::new(guard::Guard::new(location::folder(location))));
        Ok(Self { inner, url: location.to_owned(), retries: Retries::default(), guard })
    }

    /// Wraps an object store, for tests and rehearsals; messages name it `url`.
    #[must_use]
    pub fn wrap(inner: Arc<dyn ObjectStore>, url: impl Into<String>) -> Self {
        Self { inner, url: url.into(), retries: Retries::default(), guard: None }
    }

    /// Creates a store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::wrap(Arc::new(object_store::memory::InMemory::new()), "memory://")
    }

    /// Sets the retry policy for transient failures.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Returns the name of this store in messages, which contains no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the name of the object `path` in messages.
    #[must_use]
    pub fn object_url(&self, path: &str) -> String {
        let joint = if self.url.ends_with('/') { "" } else { "/" };
        format!("{}{joint}{path}", self.url)
    }

    /// Returns the folder of a local store; `None` for other stores.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        location::folder(&self.url)
    }

    /// Stores `bytes` under their digest; storing them again is harmless.
    ///
    /// # Errors
    /// `BOT-5002` (exit 1) for a read-only or full store, `BOT-5003` (exit 7) for one that is unreachable after retries,
    /// `BOT-5005` (exit 3) if the blob exists with another length, `BOT-5131` (exit 6) if it was erased.
    pub async fn put_blob(&self, bytes: Bytes) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        let path = blob_path(&digest);
        // Models are registered again far more often than they change, so check before uploading.
        match self.size(&path).await? {
            Some(size) if size == bytes.len() as u64 => Ok(digest),
            Some(_) => Err(self.damaged(&digest)),
            None => {
                self.refuse_erased(&digest).await?;
                self.create(&path, bytes).await.map(|_| digest)
            }
        }
    }

    /// Returns the blob `digest` after verifying its bytes.
    ///
    /// # Errors
    /// `BOT-5004` (exit 1) if it is absent, `BOT-5130` (exit 6) if it was erased, `BOT-6062` (exit 7) if the whole store is, `BOT-5005` (exit 3) if its bytes do
    /// not match the digest, `BOT-5003`.
    pub async fn blob(&self, digest: &Digest) -> Result<Bytes> {
        let path = blob_path(digest);
        let Some(bytes) = self.read(&path).await? else {
            self.check_present().await?;
            if let Some(fault) = self.erased_fault(digest).await? {
                return Err(fault);
            }
            let message = format!("blob `{digest}` is missing in `{}`", self.url);
            return Err(Fault::internal("BOT-5004", message).file(self.object_url(&path)).hint(
                "register the model again from its file, or restore the object from a backup",
            ));
        };
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(self.damaged(digest)) }
    }

    /// Returns whether the blob exists, without reading it.
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
            .reading(Operation::List, path, || self.inner.list_with_delimiter(Some(&location)))
            .await?;
        let mut names: Vec<String> = listed
            .into_iter()
            .flat_map(|listed| listed.common_prefixes)
            .filter_map(|prefix| prefix.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Creates the object `path` and returns true; returns false if it already exists, which leaves it unchanged.
    ///
    /// If the response to a try was lost, the object is read back. If it contains exactly `bytes`, it counts as created by
    /// this call.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`; those of [`Self::identify`].
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<bool> {
        self.identify().await.map_err(|fault| match fault.code() {
            // The store cannot be written or reached: the object that was to be written is the place to name.
            "BOT-5002" | "BOT-5003" => fault.file(self.object_url(path)),
            _ => fault,
        })?;
        self.put_if_absent(path, bytes).await
    }

    /// Creates an object without looking at the identity of the store.
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<bool> {
        let location = self.parse(path)?;
        let mut retry = self.retries.begin();
        let mut uncertain = false;
        loop {
            let put = self.inner.put_opts(&location, bytes.clone().into(), PutMode::Create.into());
            let Err(error) = put.await else { return Ok(true) };
            match Failure::of(&error) {
                // Equal bytes come from an earlier try of this call whose response was lost.
                Failure::Exists if uncertain => {
                    return Ok(self.read(path).await?.is_some_and(|found| found == bytes));
                }
                Failure::Exists => return Ok(false),
                Failure::Transient { maybe_done } => uncertain |= maybe_done,
                _ => return Err(self.fault(Operation::Write, path, error, retry.tries())),
            }
            if !retry.pause().await {
                if uncertain && self.contains(&location, &bytes).await {
                    return Ok(true);
                }
                return Err(self.fault(Operation::Write, path, error, retry.tries()));
            }
        }
    }

    /// Returns the bytes of the object `path`, or `None` if it is absent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        let location = self.parse(path)?;
        let (inner, location) = (&self.inner, &location);
        self.reading(
            Operation::Read,
            path,
            || async move { inner.get(location).await?.bytes().await },
        )
        .await
    }

    /// Returns the bytes `range` of the object `path`, or `None` if it is absent; fewer bytes if the object is shorter.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn read_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>> {
        let location = self.parse(path)?;
        let (inner, location) = (&self.inner, &location);
        let get = || inner.get_range(location, range.clone());
        match self.reading(Operation::Read, path, get).await {
            // A range beyond the end is an error of the store, but here it means a truncated object, which the caller
            // reports as damage.
            Err(fault) => match self.size(path).await? {
                Some(size) if size < range.end => Ok(Some(Bytes::new())),
                _ => Err(fault),
            },
            read => read,
        }
    }

    /// Returns the paths of the objects under `path` that sort after `after`, relative to the store, sorted.
    ///
    /// # Errors
    /// `BOT-5003`.
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
        let mut paths = self.reading(Operation::List, path, list).await?.unwrap_or_default();
        paths.sort_unstable();
        Ok(paths)
    }

    /// Returns the size of the object `path` in bytes, or `None` if it is absent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn size(&self, path: &str) -> Result<Option<u64>> {
        let location = self.parse(path)?;
        let head = self.reading(Operation::Read, path, || self.inner.head(&location)).await?;
        Ok(head.map(|meta| meta.size))
    }

    /// Returns the retry policy for transient failures.
    pub fn retries(&self) -> Retries {
        self.retries
    }

    /// Runs `request` until it succeeds or fails permanently; `None` if there is no such object.
    async fn reading<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        operation: Operation,
        path: &str,
        request: impl Fn() -> F,
    ) -> Result<Option<T>> {
        let mut retry = self.retries.begin();
        loop {
            let error = match request().await {
                Ok(done) => return Ok(Some(done)),
                Err(error) => error,
            };
            let is_transient = match Failure::of(&error) {
                Failure::Absent => return Ok(None),
                failure => matches!(failure, Failure::Transient { .. }),
            };
            if !is_transient || !retry.pause().await {
                return Err(self.fault(operation, path, error, retry.tries()));
            }
        }
    }

    /// Returns whether `location` contains `bytes`; false if it cannot be read.
    async fn contains(&self, location: &Path, bytes: &Bytes) -> bool {
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

    fn fault(
        &self,
        operation: Operation,
        path: &str,
        error: object_store::Error,
        tries: u32,
    ) -> Fault {
        failure::fault(&self.url, &self.object_url(path), operation, error, tries)
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
