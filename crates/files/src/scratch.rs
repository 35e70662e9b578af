//! Scratch files, which are removed when they are dropped.

use botops_findings::{Fault, Result};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A temporary file that is removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    /// The file, open for reading and writing.
    pub file: File,
    /// The path of the file.
    pub path: PathBuf,
}

impl Scratch {
    /// Creates a scratch file in `folder`, with `purpose` as a part of its name; only its owner may read it.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn create(folder: &Path, purpose: &str) -> Result<Self> {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("botops-{purpose}-{}-{number}.tmp", std::process::id()));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(scratch_fault(&path, error)),
        }
    }

    /// Returns the fault for an `error` of writing or reading this file.
    pub fn fault(&self, error: io::Error) -> Fault {
        scratch_fault(&self.path, error)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The file may already be gone, and its contents are no longer needed.
        let _ = fs::remove_file(&self.path);
    }
}

fn scratch_fault(path: &Path, error: io::Error) -> Fault {
    Fault::internal("BOT-1002", format!("temporary data cannot be written to disk: {error}"))
        .file(path)
        .hint("free some space there, or set `TMPDIR` to another folder")
        .caused_by(error)
}
