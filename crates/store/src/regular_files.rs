//! A local disk whose objects are regular files.
//!
//! - a pipe or a device at the path of an object is an error: opening a pipe waits until another program writes to it
//! - a killed writer leaves its unfinished file beside the object, named `object#1`. After a minute the next write of that
//!   object removes it, and [`sweep`] removes those of other objects

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    local::LocalFileSystem, path::Path as ObjectPath,
};
use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The age from which an unfinished file has lost its writer, which touches it at least once a second.
const ABANDONED: Duration = Duration::from_secs(60);
/// Tries of a write whose unfinished file was removed, because the writer did not touch it for a minute.
const TRIES: u32 = 5;

/// A local disk whose objects are regular files.
#[derive(Debug)]
pub(super) struct RegularFiles {
    inner: LocalFileSystem,
}

impl RegularFiles {
    /// Wraps the whole disk.
    pub(super) fn new(inner: LocalFileSystem) -> Self {
        Self { inner }
    }

    /// Refuses a pipe or a device.
    async fn check(&self, location: &ObjectPath) -> Result<()> {
        let path = self.inner.path_to_filesystem(location)?;
        let found = in_background(move || std::fs::metadata(path)).await?;
        match found {
            Ok(found) if !found.is_file() && !found.is_dir() => Err(generic(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a pipe or a device, not a file",
            ))),
            // Other problems are reported by the read.
            _ => Ok(()),
        }
    }
}

impl fmt::Display for RegularFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for RegularFiles {
    async fn put_opts(
        &self,
        at: &ObjectPath,
        bytes: PutPayload,
        how: PutOptions,
    ) -> Result<PutResult> {
        let mut tries = 1;
        let put = loop {
            match self.inner.put_opts(at, bytes.clone(), how.clone()).await {
                // This writer was stopped for so long that another one removed its unfinished file.
                Err(error) if tries < TRIES && is_not_found(&error) => tries += 1,
                put => break put,
            }
        };
        if matches!(put, Ok(_) | Err(Error::AlreadyExists { .. })) {
            let path = self.inner.path_to_filesystem(at)?;
            in_background(move || remove_unfinished(&path)).await?;
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        at: &ObjectPath,
        how: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, how).await
    }

    async fn get_opts(&self, at: &ObjectPath, how: GetOptions) -> Result<GetResult> {
        self.check(at).await?;
        self.inner.get_opts(at, how).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&ObjectPath>,
        offset: &ObjectPath,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, how: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, how).await
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| generic(io::Error::other(error)))
}

fn generic(error: io::Error) -> Error {
    Error::Generic { store: "LocalFileSystem", source: Box::new(error) }
}

fn is_not_found(error: &Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Removes the unfinished files of the object at `path`, which is complete, if their writers are gone.
///
/// A writer that is still at work removes its own, and would fail if it were removed.
fn remove_unfinished(path: &Path) {
    for number in 1_u32.. {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!("#{number}"));
        let unfinished = PathBuf::from(unfinished);
        let Ok(found) = std::fs::metadata(&unfinished) else { return };
        if is_abandoned(&found) {
            // The object itself is written, so a file that stays is not an error.
            let _ = std::fs::remove_file(unfinished);
        }
    }
}

/// Returns whether no writer has touched an unfinished file for a minute.
fn is_abandoned(found: &std::fs::Metadata) -> bool {
    let age = found.modified().ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age > ABANDONED)
}

/// Removes the unfinished files under `folder` that no writer has touched for a minute.
///
/// Files that cannot be read or removed stay: the next sweep tries again.
pub(super) fn sweep(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && is_unfinished(&entry.file_name().to_string_lossy())
                && entry.metadata().is_ok_and(|found| is_abandoned(&found))
            {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Returns whether `name` is that of an unfinished file: `object#1`.
fn is_unfinished(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(object, number)| {
        !object.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    })
}
