//! A file that is complete or absent, written bit by bit.

use super::context::plain;
use crate::findings::{Fault, Result};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// A file that is being written beside the path it is for; dropped before [`Self::publish`], it leaves nothing.
///
/// A link is followed; a device or pipe is written to as it is.
#[derive(Debug)]
pub(crate) struct Aside {
    /// Where it goes.
    path: PathBuf,
    /// Where it is until then; none: it is written in place.
    aside: Option<PathBuf>,
    file: BufWriter<File>,
}

impl Aside {
    /// Begins the file for `path`.
    ///
    /// # Errors
    /// `BOT-1002`: exit 2 for a directory or no name, exit 1 where it cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let real = match path.canonicalize() {
            Ok(real) if real.is_dir() => {
                return Err(Fault::usage(
                    "BOT-1002",
                    format!("`{}` is a directory, and a file is wanted", path.display()),
                )
                .file(path)
                .hint("name a file in it"));
            }
            Ok(real) if !real.is_file() => {
                let file = OpenOptions::new()
                    .write(true)
                    .open(&real)
                    .map_err(|error| unwritable(path, &error))?;
                return Ok(Self { path: path.to_owned(), aside: None, file: BufWriter::new(file) });
            }
            Ok(real) if path.is_symlink() => real,
            _ => path.to_owned(),
        };
        let folder = folder_of(&real);
        if !folder.is_dir() {
            return Err(Fault::internal(
                "BOT-1002",
                format!(
                    "`{}` cannot be written: there is no folder `{}`",
                    path.display(),
                    folder.display()
                ),
            )
            .file(path)
            .hint(format!("make it: `mkdir -p {}`", folder.display())));
        }
        let name = real.file_name().ok_or_else(|| {
            Fault::usage("BOT-1002", format!("`{}` is not a file's name", path.display()))
                .hint("name a file to write")
        })?;
        let aside = folder.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let file = File::create(&aside).map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: real, aside: Some(aside), file: BufWriter::new(file) })
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.path, &error))
    }

    /// Syncs what was written and puts it where it goes.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1); what was there before then still is.
    pub(crate) fn publish(mut self) -> Result<()> {
        let path = self.path.clone();
        let mut publish = || -> io::Result<()> {
            self.file.flush()?;
            let Some(aside) = &self.aside else { return Ok(()) };
            self.file.get_ref().sync_all()?;
            fs::rename(aside, &path)?;
            self.aside = None;
            File::open(folder_of(&path))?.sync_all()
        };
        publish().map_err(|error| unwritable(&path, &error))
    }
}

/// For what writes by itself; its errors are [`Fault`]s inside.
impl io::Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Aside::write(self, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            // What is left of it has no use, and there is nobody to tell.
            let _ = fs::remove_file(aside);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Fault {
    Fault::internal("BOT-1002", format!("`{}` cannot be written: {}", path.display(), plain(error)))
        .file(path)
        .hint("check that the folder exists, its permissions and its free space")
}
