//! An object store that records its requests, and can lose answers.

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
};

/// A store that records its requests as `GET path`, `PUT path` and `LIST path`.
pub(super) struct Observed {
    inner: Arc<dyn ObjectStore>,
    requests: Mutex<Vec<String>>,
    /// The writes whose next answer is lost.
    lost: Mutex<BTreeSet<String>>,
}

impl Observed {
    /// Makes an empty store in memory.
    pub(super) fn in_memory() -> Arc<Self> {
        Self::over(Arc::new(InMemory::new()))
    }

    /// Wraps `inner`.
    pub(super) fn over(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, requests: Mutex::default(), lost: Mutex::default() })
    }

    /// Loses the answer of the next write of `path`, after its effect.
    pub(super) fn lose_answer_of(&self, path: &str) {
        self.lost.lock().unwrap().insert(path.to_owned());
    }

    /// Returns the requests since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    fn note(&self, verb: &str, path: &str) {
        self.requests.lock().unwrap().push(format!("{verb} {path}"));
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Observed({})", self.inner)
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait]
impl ObjectStore for Observed {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.note("PUT", at.as_ref());
        let put = self.inner.put_opts(at, bytes, how).await;
        if self.lost.lock().unwrap().remove(at.as_ref()) {
            let source = "the answer was lost".into();
            return put.and(Err(Error::Generic { store: "observed", source }));
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.note("GET", at.as_ref());
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note("LIST", prefix.map_or("", Path::as_ref));
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.note("LIST", prefix.map_or("", Path::as_ref));
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.note("LIST", prefix.map_or("", Path::as_ref));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
