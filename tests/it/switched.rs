//! An object store that a test makes full, or makes hang, while it is in use. It also counts the reads of logs.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use std::{
    fmt, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The condition of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Condition {
    /// It works.
    #[default]
    Sound,
    /// Every write fails, as on a full disk.
    Full,
    /// Every call waits forever.
    Hanging,
}

/// A store in memory with a switch.
#[derive(Debug, Default)]
pub(crate) struct Switched {
    inner: InMemory,
    condition: Mutex<Condition>,
    log_reads: AtomicUsize,
}

impl Switched {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn set(&self, condition: Condition) {
        *self.condition.lock().unwrap() = condition;
    }

    /// Returns how many log entries were read.
    pub(crate) fn log_reads(&self) -> usize {
        self.log_reads.load(Ordering::SeqCst)
    }

    fn condition(&self) -> Condition {
        *self.condition.lock().unwrap()
    }

    async fn wait(&self) {
        if self.condition() == Condition::Hanging {
            std::future::pending::<()>().await;
        }
    }

    fn hang<T: Send + 'static>(&self, or: BoxStream<'static, T>) -> BoxStream<'static, T> {
        if self.condition() == Condition::Hanging { stream::pending().boxed() } else { or }
    }
}

impl fmt::Display for Switched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switched")
    }
}

#[async_trait]
impl ObjectStore for Switched {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.wait().await;
        if self.condition() == Condition::Full {
            let source = Box::new(io::Error::from(io::ErrorKind::StorageFull));
            return Err(Error::Generic { store: "switched", source });
        }
        self.inner.put_opts(at, bytes, how).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.wait().await;
        if at.as_ref().contains("/log/") {
            self.log_reads.fetch_add(1, Ordering::SeqCst);
        }
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let deleted = self.inner.delete_stream(paths);
        self.hang(deleted)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        self.hang(listed)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list_with_offset(prefix, offset);
        self.hang(listed)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.wait().await;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
