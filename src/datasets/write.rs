//! Files that are complete or absent.

use super::Dataset;
use crate::findings::{Fault, Result};
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
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
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let fault = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::StorageFull => "the disk is full".to_owned(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                format!("`{}` may not be written to", folder.display())
            }
            _ => error.to_string(),
        };
        Fault::internal("BOT-1002", format!("the file cannot be written: {why}"))
            .file(path)
            .hint("name another path, or make room there")
            .caused_by(error)
    };
    if path.is_dir() {
        return Err(Fault::internal("BOT-1002", "the file cannot be written: it is a directory")
            .file(path)
            .hint("name a file in it"));
    }
    fs::create_dir_all(folder).map_err(fault)?;
    let aside = aside(path, folder);
    let written = (|| {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if let Err(error) = written {
        // What is left of it has no use, and the first error is the one to tell.
        let _ = fs::remove_file(&aside);
        return Err(fault(error));
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
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
