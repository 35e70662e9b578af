//! The rule for a file that exists at the path of an output: it is replaced only if botops wrote it, or with `--force`.

use crate::{output_kind::OutputKind, standard_output::is_standard_output};
use botops_findings::{Fault, Result};
use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::Path,
};

/// The most bytes of an existing file that are read to recognise it.
const MOST_READ: u64 = 64 << 20;

/// The rule of one output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverwriteRule {
    /// The kind of the output.
    pub(crate) kind: OutputKind,
    /// Whether any existing file may be replaced.
    pub(crate) force: bool,
}

/// The state of the path of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// There is no file, or one that may be replaced.
    Replaceable,
    /// There is a file that may be replaced only by the same content.
    Unrecognised,
}

impl OverwriteRule {
    /// Returns whether the file at `path` may be replaced. An empty file, and standard output, may always be.
    ///
    /// # Errors
    /// `BOT-1033` (exit 2) for a link, `BOT-1016` (exit 2) for a directory, `BOT-1017` (exit 1) if it cannot be read.
    pub(crate) fn existing(self, path: &Path) -> Result<Existing> {
        if is_standard_output(path) {
            return Ok(Existing::Replaceable);
        }
        let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(Existing::Replaceable) };
        if metadata.is_dir() {
            return Err(is_directory(path));
        }
        if metadata.is_symlink() && !is_in_place(path) {
            return self.check_link(path).map(|()| Existing::Replaceable);
        }
        if self.force || !metadata.is_file() || metadata.len() == 0 {
            return Ok(Existing::Replaceable);
        }
        if self.kind == OutputKind::Other {
            return Ok(Existing::Unrecognised);
        }
        let mut content = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_READ).read_to_end(&mut content))
            .map_err(|error| unreadable(path, error))?;
        Ok(match self.kind.recognises(&content) {
            true => Existing::Replaceable,
            false => Existing::Unrecognised,
        })
    }

    /// Checks whether the link at `path` may be replaced.
    fn check_link(self, path: &Path) -> Result<()> {
        // Links such as `/dev/stdout` belong to the system.
        let is_of_system = ["/dev", "/proc"].iter().any(|system| path.starts_with(system));
        if self.force && !is_of_system {
            return Ok(());
        }
        let message = format!("`{}` is a symbolic link", path.display());
        let fault = Fault::usage("BOT-1033", message)
            .file(path)
            .hint("name the file that it points to, or another file");
        Err(match is_of_system {
            true => fault,
            false => fault.hint("or add `--force` to replace the link itself"),
        })
    }

    /// Returns the fault of an existing file that must not be replaced.
    pub(crate) fn exists(self, path: &Path) -> Fault {
        let shown = path.display();
        let message = match self.kind.noun() {
            Some(noun) => format!("`{shown}` exists and is not {noun}"),
            None => format!("`{shown}` exists already"),
        };
        Fault::usage("BOT-2219", message)
            .file(path)
            .hint("name another file, or add `--force` to replace it")
    }
}

/// Returns whether a write to `path` goes into an existing pipe or device, also behind a link.
pub(crate) fn is_in_place(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Returns the fault of a file to write whose path is a directory.
pub(crate) fn is_directory(path: &Path) -> Fault {
    let message = format!("`{}` is a directory: expected a file", path.display());
    Fault::usage("BOT-1016", message).file(path).hint("give the path of a file in it")
}

/// Returns whether two files have the same content.
pub(crate) fn same_content(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    let (mut left, mut right) = ([0; 8 << 10], [0; 8 << 10]);
    loop {
        let n = one.read(&mut left)?;
        if n == 0 {
            return Ok(true);
        }
        other.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
    }
}

fn unreadable(path: &Path, error: io::Error) -> Fault {
    Fault::internal("BOT-1017", format!("`{}` exists and cannot be read", path.display()))
        .file(path)
        .hint("name another file, or add `--force` to replace it")
        .caused_by(error)
}
