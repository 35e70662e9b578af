//! Files that are complete or absent.

use super::{Aside, Dataset};
use crate::findings::{Fault, Result};
use std::{
    fs::{self, File},
    io,
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

/// Puts `bytes` at `path`, complete or absent: see [`Aside`].
///
/// # Errors
/// `BOT-1002`; the file is then as it was before.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Aside::create(path)?;
    file.write(bytes)?;
    file.publish()
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
