//! Tables of records as outputs: one that botops wrote, and nobody edited since, is replaced without `--force`.
//!
//! A table of botops looks like any table. Therefore the digest of each one is kept in `.botops/tables.json`, in the folder
//! of `botops.yaml` or, without one, in the current folder. Without this file, only `--force` replaces a table.

use super::context::current_folder;
use botops_digest::Digest;
use botops_files::{AtomicFile, Output, OutputKind};
use botops_findings::Result;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

const SCHEMA: &str = "botops.tables/1";
/// The most tables that are remembered.
const MOST_TABLES: usize = 10_000;

/// A table to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableOutput<'a> {
    output: Output<'a>,
}

/// The content of `.botops/tables.json`.
#[derive(Serialize, Deserialize)]
struct Written {
    schema: String,
    /// The digest of each table, by its absolute path.
    tables: BTreeMap<PathBuf, Digest>,
}

impl<'a> TableOutput<'a> {
    /// Makes a table output at `path`; `force` allows any existing file to be replaced.
    pub(crate) fn new(path: &'a Path, force: bool) -> Self {
        let may_replace = force || is_as_written(path);
        Self { output: Output::new(path, OutputKind::Other, may_replace) }
    }

    /// As [`Output::check`].
    pub(crate) fn check(&self) -> Result<()> {
        self.output.check()
    }

    /// As [`Output::check_content`].
    pub(crate) fn check_content(&self, bytes: &[u8]) -> Result<()> {
        self.output.check_content(bytes)
    }

    /// As [`Output::create`]; [`Self::publish`] publishes the file.
    pub(crate) fn create(&self) -> Result<AtomicFile> {
        self.output.create()
    }

    /// Publishes `file`, and remembers its digest.
    pub(crate) fn publish(&self, file: AtomicFile) -> Result<()> {
        file.publish()?;
        remember(self.output.path());
        Ok(())
    }

    /// As [`Output::write`]; remembers the digest.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.output.write(bytes)?;
        remember(self.output.path());
        Ok(())
    }
}

/// Returns whether `path` is a file, and no link, with the content that botops wrote there.
fn is_as_written(path: &Path) -> bool {
    let (Some(now), Some(known)) = (digest(path), known()) else { return false };
    key(path).is_some_and(|key| known.tables.get(&key) == Some(&now))
}

/// Adds `path` to the known tables. If this fails, the table is replaced only with `--force`.
fn remember(path: &Path) {
    let (Some(digest), Some(key), Some(file)) = (digest(path), key(path), file()) else { return };
    let mut known =
        known().unwrap_or_else(|| Written { schema: SCHEMA.to_owned(), tables: BTreeMap::new() });
    if known.tables.len() >= MOST_TABLES {
        known.tables.retain(|path, _| path.exists());
    }
    known.tables.insert(key, digest);
    // A path that is not UTF-8 cannot be written as JSON.
    if let (Ok(bytes), Some(Ok(()))) =
        (serde_json::to_vec_pretty(&known), file.parent().map(fs::create_dir_all))
    {
        let _ = botops_files::replace(&file, &bytes);
    }
}

/// Returns the known tables; `None` without a readable list.
fn known() -> Option<Written> {
    let written: Written = serde_json::from_slice(&fs::read(file()?).ok()?).ok()?;
    (written.schema == SCHEMA).then_some(written)
}

fn file() -> Option<PathBuf> {
    let current = current_folder().ok()?;
    let root = current.ancestors().find(|folder| folder.join("botops.yaml").is_file());
    Some(root.unwrap_or(&current).join(".botops").join("tables.json"))
}

/// Returns the absolute path of `path`, with links in its folder followed.
fn key(path: &Path) -> Option<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

/// Returns the digest of a file that is no link; `None` for anything else.
fn digest(path: &Path) -> Option<Digest> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    Digest::of_reader(File::open(path).ok().filter(|_| is_file)?).ok()
}
