//! Files that are complete or absent.

use crate::{Dataset, Record};
pub use botops_files::replace;
use botops_findings::Result;
use std::path::Path;

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
pub fn entities_cell(record: &Record) -> String {
    if record.entities.is_empty() {
        return String::new();
    }
    serde_json::to_string(&record.entities).expect("spans are valid JSON")
}

/// Returns `rows` (all of one length) as CSV in which every cell is safe to open in a spreadsheet.
///
/// # Panics
/// When rows differ in length: a bug.
#[must_use]
pub fn spreadsheet_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let cells = row.iter().map(|cell| botops_text::spreadsheet_safe(cell).into_owned());
        writer.write_record(cells).expect("memory takes every record of one length");
    }
    writer.into_inner().expect("memory takes every record")
}
