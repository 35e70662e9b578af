//! Files that are complete or absent.

use super::Dataset;
use crate::findings::{Fault, Result};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Writes `data` as CSV (`text,intent,lang,entities`), complete or absent.
///
/// # Errors
/// `BOT-1002`.
pub fn write_csv(path: &Path, data: &Dataset) -> Result<()> {
    replace(path, &csv_bytes(data))
}

/// Returns the bytes that [`write_csv`] writes; reading them gives the same texts, intents, languages and entities.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn csv_bytes(data: &Dataset) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["text", "intent", "lang", "entities"]).expect("memory takes it");
    for record in &data.records {
        let entities = entities_cell(record);
        let intent = record.intent.as_deref().unwrap_or_default();
        let lang = record.lang.as_deref().unwrap_or_default();
        writer
            .write_record([record.text.as_str(), intent, lang, entities.as_str()])
            .expect("memory takes it");
    }
    writer.into_inner().expect("memory takes it")
}

/// Returns the entities of `record` as a cell: JSON, or nothing.
pub(super) fn entities_cell(record: &super::Record) -> String {
    if record.entities.is_empty() {
        return String::new();
    }
    serde_json::to_string(&record.entities).expect("spans are valid JSON")
}

/// Puts `bytes` at `path`: aside first, synced, renamed, the folder synced. Missing folders are made.
///
/// # Errors
/// `BOT-1002` (exit 1); the file is then as it was before.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut replacement = Replacement::create(path)?;
    replacement.write(bytes)?;
    replacement.publish()
}

/// A file that is written bit by bit, and complete or absent: it takes its place when it is published.
#[derive(Debug)]
pub(super) struct Replacement {
    path: PathBuf,
    folder: PathBuf,
    aside: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Replacement {
    /// Begins a file aside of `path`. Missing folders are made.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub(super) fn create(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Fault::internal(
                "BOT-1002",
                "the file cannot be written: it is a directory",
            )
            .file(path)
            .hint("name a file in it"));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let aside = aside(path, folder);
        let mut replacement =
            Self { path: path.to_owned(), folder: folder.to_owned(), aside, file: None };
        fs::create_dir_all(folder).map_err(|error| replacement.fault(error))?;
        let file = File::create(&replacement.aside).map_err(|error| replacement.fault(error))?;
        replacement.file = Some(BufWriter::new(file));
        Ok(replacement)
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// `BOT-1002`; the file is then as it was before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|error| self.fault(error))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// `BOT-1002`; the file is then as it was before.
    pub(super) fn publish(mut self) -> Result<()> {
        let published = self.file.take().map_or(Ok(()), |mut file| {
            file.flush()?;
            file.get_ref().sync_all()?;
            fs::rename(&self.aside, &self.path)
        });
        if let Err(error) = published {
            // What is left of it has no use, and the first error is the one to tell.
            let _ = fs::remove_file(&self.aside);
            return Err(self.fault(error));
        }
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> Fault {
        let why = match error.kind() {
            io::ErrorKind::StorageFull => "the disk is full".to_owned(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("`{}` may not be written to", self.folder.display())
            }
            _ => error.to_string(),
        };
        Fault::internal("BOT-1002", format!("the file cannot be written: {why}"))
            .file(&self.path)
            .hint("name another path, or make room there")
            .caused_by(error)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Never published: nobody misses it.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

/// A file for the time being; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Scratch {
    /// Makes one in `folder`, for what is `what`; only its owner may read it.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub(super) fn create(folder: &Path, what: &str) -> Result<Self> {
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
    pub(super) fn fault(&self, error: io::Error) -> Fault {
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

/// Returns a name beside `path` that no other writer uses, in this process or another.
fn aside(path: &Path, folder: &Path) -> PathBuf {
    static WRITERS: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}.tmp", std::process::id(), WRITERS.fetch_add(1, Ordering::Relaxed)));
    folder.join(name)
}

/// Returns `rows` (all of one length) as CSV in which every cell is safe to open in a spreadsheet.
///
/// # Panics
/// When rows differ in length: a bug.
#[must_use]
pub fn spreadsheet_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let cells = row.iter().map(|cell| crate::text::spreadsheet_safe(cell).into_owned());
        writer.write_record(cells).expect("memory takes every record of one length");
    }
    writer.into_inner().expect("memory takes every record")
}
