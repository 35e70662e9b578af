//! Scratch files: removed when they are dropped.

use botops_findings::{Fault, Result};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A file for the time being; removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    pub file: File,
    pub path: PathBuf,
}

impl Scratch {
    /// Makes one in `folder`, for what is `what`; only its owner may read it.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn create(folder: &Path, what: &str) -> Result<Self> {
        static FILES: AtomicU64 = AtomicU64::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("botops-{what}-{}-{number}.tmp", std::process::id()));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(scratch_fault(&path, error)),
        }
    }

    /// The fault of writing or reading it.
    pub fn fault(&self, error: io::Error) -> Fault {
        scratch_fault(&self.path, error)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may be gone already: nothing is lost with it.
        let _ = fs::remove_file(&self.path);
    }
}

fn scratch_fault(path: &Path, error: io::Error) -> Fault {
    Fault::internal(
        "BOT-1002",
        format!("what is needed for a while cannot be put on disk: {error}"),
    )
    .file(path)
    .hint("make room there, or name another folder with `TMPDIR`")
    .caused_by(error)
}
