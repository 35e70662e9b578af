//! An object store that fails on its n-th call, before or after the effect: once, or from then on.

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, path::Path,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Whether a call fails before or after its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The call has no effect.
    Before,
    /// The call has its effect, and its response is lost.
    After,
}

/// How long the store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Only on one call.
    Once,
    /// On every later call as well, before its effect, as if the program had been killed there.
    Forever,
}

/// A store that fails on call `at`, counted from 1.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: Arc<dyn ObjectStore>,
    at: usize,
    side: Side,
    until: Until,
    calls: AtomicUsize,
}

enum Verdict {
    Work,
    FailBefore,
    FailAfter,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, at: usize, side: Side, until: Until) -> Self {
        Self { inner, at, side, until, calls: AtomicUsize::new(0) }
    }

    /// Returns whether call `at` has been made.
    pub(crate) fn has_failed(&self) -> bool {
        self.calls.load(Ordering::SeqCst) >= self.at
    }

    fn next(&self) -> Verdict {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if call == self.at {
            match self.side {
                Side::Before => Verdict::FailBefore,
                Side::After => Verdict::FailAfter,
            }
        } else if call > self.at && self.until == Until::Forever {
            Verdict::FailBefore
        } else {
            Verdict::Work
        }
    }

    fn fault() -> Error {
        Error::Generic { store: "faulty", source: "the answer was lost".into() }
    }

    async fn intercepted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next() {
            Verdict::Work => work.await,
            Verdict::FailBefore => Err(Self::fault()),
            Verdict::FailAfter => {
                work.await?;
                Err(Self::fault())
            }
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({}, {:?}, {:?})", self.at, self.side, self.until)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, at: &Path, bytes: PutPayload, how: PutOptions) -> Result<PutResult> {
        self.intercepted(self.inner.put_opts(at, bytes, how)).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &Path, how: GetOptions) -> Result<GetResult> {
        self.intercepted(self.inner.get_opts(at, how)).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.next() {
            Verdict::Work => self.inner.delete_stream(paths),
            Verdict::FailBefore => stream::once(async { Err(Self::fault()) }).boxed(),
            Verdict::FailAfter => {
                self.inner.delete_stream(paths).map(|_| Err(Self::fault())).boxed()
            }
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            Verdict::Work => self.inner.list(prefix),
            _ => stream::once(async { Err(Self::fault()) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.next() {
            Verdict::Work => self.inner.list_with_offset(prefix, offset),
            _ => stream::once(async { Err(Self::fault()) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.intercepted(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}
