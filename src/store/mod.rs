//! One store reached by a path or URL: immutable blobs and put-if-absent logs.
//!
//! Everything durable rests on these two. A local directory and an S3-compatible bucket go through
//! the same code; nothing is ever overwritten.

use crate::{digest::Digest, findings::Result};
use bytes::Bytes;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, sync::Arc};

/// An object store at a prefix. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    url: String,
}

impl Store {
    /// Opens the store at `location`: a path (made when it is first written), a `file://` or an `s3://bucket/prefix` URL.
    ///
    /// S3 settings come from the standard `AWS_*` variables (`AWS_ENDPOINT_URL`, `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_ALLOW_HTTP`); a plain-http endpoint on loopback is allowed as it is.
    ///
    /// # Errors
    /// `BOT-5001` for a location that is no path and no URL this program knows (exit 2).
    pub fn open(location: &str) -> Result<Self> {
        todo!("{location}")
    }

    /// Wraps an object store, for tests and rehearsals. `url` is what messages call it.
    #[must_use]
    pub fn wrap(inner: Arc<dyn ObjectStore>, url: impl Into<String>) -> Self {
        Self { inner, url: url.into() }
    }

    /// Makes a store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::wrap(Arc::new(object_store::memory::InMemory::new()), "memory://")
    }

    /// Returns what messages call this store; holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stores `bytes` under their digest; writing them twice is harmless.
    ///
    /// # Errors
    /// `BOT-5002` read-only or full (exit 1), `BOT-5003` unreachable after retries (exit 7).
    pub async fn put_blob(&self, bytes: Bytes) -> Result<Digest> {
        let _ = (&self.inner, bytes);
        todo!()
    }

    /// Returns the blob `digest`, checked against it.
    ///
    /// # Errors
    /// `BOT-5004` absent (exit 1), `BOT-5005` its bytes do not match its digest (exit 3), `BOT-5003`.
    pub async fn blob(&self, digest: &Digest) -> Result<Bytes> {
        todo!("{digest}")
    }

    /// Returns whether the blob is there (by a HEAD, unread).
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        todo!("{digest}")
    }

    /// Returns the log at `path`, such as `models/support/log`.
    #[must_use]
    pub fn log<T: Serialize + DeserializeOwned>(&self, path: &str) -> Log<T> {
        Log { store: self.clone(), path: path.to_owned(), payload: PhantomData }
    }

    /// Returns the names of the folders directly under `path`, sorted.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn folders(&self, path: &str) -> Result<Vec<String>> {
        todo!("{path}")
    }

    /// Creates the object `path`; returns whether this call made it (false: it was there already, unchanged).
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn create(&self, path: &str, bytes: Bytes) -> Result<bool> {
        let _ = bytes;
        todo!("{path}")
    }

    /// Returns the object `path`, or `None` when it is absent.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        todo!("{path}")
    }
}

/// A log: numbered JSON entries, each written with put-if-absent, each holding the digest of the one before.
pub struct Log<T> {
    store: Store,
    path: String,
    payload: PhantomData<fn() -> T>,
}

/// One entry of a log as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry<T> {
    /// `botops.log/1`.
    pub schema: String,
    /// From 1, without gaps.
    pub seq: u64,
    /// The digest of the bytes of entry `seq - 1`; `None` for the first.
    pub previous: Option<Digest>,
    /// What was logged.
    pub payload: T,
}

/// What an append came to.
#[derive(Debug)]
pub enum Appended<T> {
    /// This call wrote the entry (or found its very bytes written by an earlier try of its own).
    Written(Entry<T>),
    /// Someone else wrote first: nothing was written. Read again, check again, then retry or report.
    Conflict,
}

impl<T: Serialize + DeserializeOwned> Log<T> {
    /// Returns all entries in order, the chain verified.
    ///
    /// # Errors
    /// `BOT-5006` a broken chain, a gap, or an entry that cannot be read (exit 3); `BOT-5007` an
    /// entry of a newer schema (exit 6); `BOT-5003`.
    pub async fn entries(&self) -> Result<Vec<Entry<T>>> {
        let _ = (&self.store, &self.path);
        todo!()
    }

    /// Appends `payload` after entry `last` (as [`Self::entries`] returned it; `None` for an empty log).
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn append(&self, last: Option<&Entry<T>>, payload: T) -> Result<Appended<T>> {
        let _ = (last, payload);
        todo!()
    }
}
