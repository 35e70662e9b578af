//! Writes a snapshot to a folder: complete or not at all, each chunk verified.
//!
//! Files are written into a staging folder beside the target, `.<target>.<digest>.part`, which is renamed at the end. A
//! run that finds the staging folder of a killed run keeps its valid chunks and completes the rest. Nothing is written
//! outside the staging folder: the paths of a manifest are checked when it is read, and links are not followed.

use crate::{
    log::{Snapshot, Snapshots},
    manifest::SnapshotFile,
    reading::contradicts,
};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Result};
use botops_text as text;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Files written at a time.
const AT_ONCE: usize = 8;

/// The result of pulling a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The number of files in the snapshot.
    pub files: u64,
    /// The size of all files.
    pub size_bytes: u64,
    /// Bytes that existed already: those of an interrupted run, or all of them.
    pub kept_bytes: u64,
    /// Whether the target already held the complete snapshot, so that nothing was written.
    pub was_there: bool,
}

impl Snapshots {
    /// Writes the files of `snapshot` into the folder `target`, which must be absent, empty, or hold this snapshot already.
    ///
    /// `progress` receives the bytes done so far and the total.
    ///
    /// # Errors
    /// `BOT-5065` the target holds something else (exit 2), `BOT-5066` another run pulls into it (exit 5); `BOT-5004`,
    /// `BOT-5005`, `BOT-5006` a stored object is missing, damaged or contradicts itself; `BOT-1002` the folder cannot be
    /// written; `BOT-5003`.
    pub async fn pull(
        &self,
        snapshot: &Snapshot,
        target: &Path,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Pulled> {
        let files = &snapshot.manifest.files;
        let size_bytes = snapshot.manifest.size_bytes();
        let pulled = Pulled { files: files.len() as u64, size_bytes, ..Pulled::default() };
        if self.is_there(snapshot, target).await? {
            return Ok(Pulled { kept_bytes: size_bytes, was_there: true, ..pulled });
        }
        let staging = Staging::open(snapshot, target)?;
        let (done, kept) = (AtomicU64::new(0), AtomicU64::new(0));
        futures::stream::iter(files)
            .map(|file| {
                let (done, kept, folder) = (&done, &kept, &staging.path);
                async move {
                    let add =
                        |n: u64| progress(done.fetch_add(n, Ordering::Relaxed) + n, size_bytes);
                    let there = self.write(snapshot, file, folder, &add).await?;
                    kept.fetch_add(there, Ordering::Relaxed);
                    Ok::<_, Fault>(())
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        staging.publish(snapshot, target)?;
        Ok(Pulled { kept_bytes: kept.into_inner(), ..pulled })
    }

    /// Returns whether `target` holds exactly this snapshot.
    async fn is_there(&self, snapshot: &Snapshot, target: &Path) -> Result<bool> {
        let shown = target.display();
        let refuse = |message: String| {
            Fault::usage("BOT-5065", message).file(target).hint("name a new folder: `--out FOLDER`")
        };
        match fs::symlink_metadata(target) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unwritable(target, &error)),
            Ok(meta) if !meta.is_dir() => {
                return Err(refuse(format!("`{shown}` exists and is not a folder")));
            }
            Ok(_) => {}
        }
        let mut there = Vec::new();
        list(target, "", &mut there).map_err(|error| unwritable(target, &error))?;
        if there.is_empty() {
            return Ok(false);
        }
        there.sort_unstable();
        let expected: Vec<&str> =
            snapshot.manifest.files.iter().map(|file| file.path.as_str()).collect();
        let same = there == expected
            && snapshot.manifest.files.iter().all(|file| {
                let path = target.join(&file.path);
                fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file())
                    && File::open(&path)
                        .and_then(Digest::of_reader)
                        .is_ok_and(|digest| digest == file.digest)
            });
        match same {
            true => Ok(true),
            false => Err(refuse(format!("`{shown}` exists and holds something else")).hint(
                format!("see how it differs: `botops data diff {} {shown}`", snapshot.reference()),
            )),
        }
    }

    /// Completes one file in `folder`. Returns the bytes that existed already.
    async fn write(
        &self,
        snapshot: &Snapshot,
        file: &SnapshotFile,
        folder: &Path,
        add: &(dyn Fn(u64) + Sync),
    ) -> Result<u64> {
        let path = folder.join(&file.path);
        let fault = |error: &io::Error| unwritable(&path, error);
        let mut partial = {
            let (folder, file) = (folder.to_owned(), file.clone());
            blocking(move || Partial::open(&folder, &file)).await?.map_err(|error| fault(&error))?
        };
        let kept = partial.n_bytes;
        add(kept);
        while partial.n_chunks < file.chunks.len() {
            let (parts, next) = self.parts(snapshot, file, partial.n_chunks).await?;
            let before = partial.n_bytes;
            partial = blocking(move || partial.extend(parts, next))
                .await?
                .map_err(|error| fault(&error))?;
            add(partial.n_bytes - before);
        }
        let digest = blocking(move || partial.finish()).await?.map_err(|error| fault(&error))?;
        match digest == file.digest {
            true => Ok(kept),
            false => Err(contradicts(snapshot, file)),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Fault::internal("BOT-9001", "a file was not written to the end").caused_by(error)
    })
}

/// A file that is being written.
struct Partial {
    file: File,
    hasher: Hasher,
    n_bytes: u64,
    n_chunks: usize,
}

impl Partial {
    /// Opens or creates the file, and keeps the valid chunks at its beginning.
    fn open(folder: &Path, expected: &SnapshotFile) -> io::Result<Self> {
        let mut above = folder.to_owned();
        let (folders, name) = expected.path.rsplit_once('/').unwrap_or(("", &expected.path));
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            above.push(part);
            match fs::symlink_metadata(&above) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(foreign(&above)),
                Err(error) if error.kind() == ErrorKind::NotFound => match fs::create_dir(&above) {
                    // Another file of the same folder created it first.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => made?,
                },
                Err(error) => return Err(error),
            }
        }
        let path = above.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if !meta.is_file() => return Err(foreign(&path)),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut partial = Self { file, hasher: Hasher::default(), n_bytes: 0, n_chunks: 0 };
        let mut bytes = Vec::new();
        for chunk in &expected.chunks {
            bytes.clear();
            (&mut partial.file).take(chunk.size_bytes).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != chunk.size_bytes || Digest::of(&bytes) != chunk.digest {
                break;
            }
            partial.hasher.update(&bytes);
            partial.n_bytes += chunk.size_bytes;
            partial.n_chunks += 1;
        }
        partial.file.set_len(partial.n_bytes)?;
        partial.file.seek(SeekFrom::Start(partial.n_bytes))?;
        Ok(partial)
    }

    fn extend(mut self, parts: Vec<Vec<u8>>, n_chunks: usize) -> io::Result<Self> {
        for part in parts {
            self.file.write_all(&part)?;
            self.hasher.update(&part);
            self.n_bytes += part.len() as u64;
        }
        self.n_chunks = n_chunks;
        Ok(self)
    }

    fn finish(self) -> io::Result<Digest> {
        self.file.sync_all()?;
        Ok(self.hasher.finish())
    }
}

/// The folder in which files are completed before it is renamed.
struct Staging {
    path: PathBuf,
    /// Held open and locked until this value is dropped or the process ends.
    lock: File,
}

impl Staging {
    fn open(snapshot: &Snapshot, target: &Path) -> Result<Self> {
        let own = target.file_name().ok_or_else(|| {
            Fault::usage("BOT-5065", format!("`{}` is not a folder name", target.display()))
                .hint("name a new folder: `--out FOLDER`")
        })?;
        let mut name = std::ffi::OsString::from(".");
        name.push(own);
        name.push(format!(".{}.part", snapshot.digest.short()));
        let above = folder_of(target);
        if !above.is_dir() {
            let shown = above.display();
            return Err(Fault::internal(
                "BOT-1002",
                format!("`{}` cannot be written: there is no folder `{shown}`", target.display()),
            )
            .file(target)
            .hint(format!("make it: `mkdir -p {shown}`")));
        }
        let path = above.join(name);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| unwritable(target, &error))?,
        }
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
        if !is_folder {
            return Err(unwritable(target, &foreign(&path)));
        }
        let lock = File::open(&path).map_err(|error| unwritable(target, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another run is pulling into `{}`", target.display());
                Err(Fault::conflict("BOT-5066", message)
                    .file(target)
                    .hint("wait for it to end, or name another folder: `--out FOLDER`"))
            }
            Err(TryLockError::Error(error)) => Err(unwritable(target, &error)),
        }
    }

    /// Renames the folder to `target`, once it holds exactly the files of the snapshot.
    fn publish(self, snapshot: &Snapshot, target: &Path) -> Result<()> {
        let fault = |error: &io::Error| unwritable(target, error);
        let mut there = Vec::new();
        list(&self.path, "", &mut there).map_err(|error| fault(&error))?;
        let is_known = |path: &String| snapshot.manifest.file(path).is_some();
        if let Some(other) = there.iter().find(|path| !is_known(path)) {
            return Err(fault(&foreign(&self.path.join(other))));
        }
        botops_files::publish_folder(&self.path, target).map_err(|error| fault(&error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A child process that is starting shares the open file, and would hold the lock after the file is closed here.
        let _ = self.lock.unlock();
    }
}

/// Lists everything under `folder` that is not a folder, with `/` between parts.
fn list(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), found)?;
        } else {
            found.push(name);
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn foreign(path: &Path) -> io::Error {
    let shown = text::display(&path.display().to_string(), 400);
    io::Error::other(format!("`{shown}` is not a file of this snapshot: remove it"))
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    let why = match error.kind() {
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    Fault::internal("BOT-1002", format!("`{}` cannot be written: {why}", path.display()))
        .file(path)
        .hint("check the permissions and the free space of the folder, then run again: it continues where it stopped")
}
