//! A table that a person edited: a patch or a quarantine, as an editor or a spreadsheet saves it.

use crate::spans;
use botops_datasets::{
    Format, Presence, ReadOptions, bytes,
    formats::csv,
    table::{Origin, Table},
};
use botops_findings::{Place, Result};
use std::path::{Path, PathBuf};

/// The lines of an edited table: with or without a byte-order mark, separated by commas, semicolons or tabs. It may hold
/// only a header.
pub(crate) struct EditedTable {
    path: PathBuf,
    pub(crate) names: Vec<String>,
    table: Option<Table>,
}

/// The cells of a line, and its place.
pub(crate) type Line = (Place, Vec<String>);

impl EditedTable {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Those of reading a table; a header without a line is not an error.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let options = ReadOptions {
            text: Presence::Optional,
            intent: Presence::Optional,
            ..ReadOptions::default()
        };
        let (names, table) = match Table::open(&Origin::of(path)?, &options) {
            Ok(table) => (table.shape().names.clone(), Some(table)),
            Err(fault) if fault.code() == "BOT-2102" => {
                let header = header(&bytes(path)?);
                if header.is_empty() {
                    return Err(fault);
                }
                (header, None)
            }
            Err(fault) => return Err(fault),
        };
        Ok(Self { path: path.to_owned(), names, table })
    }

    /// Returns the column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    /// Reads the lines that are not blank: a spreadsheet leaves blank ones in the place of deleted ones.
    ///
    /// # Errors
    /// Those of reading a table.
    pub(crate) fn lines(&mut self) -> Result<Vec<Line>> {
        let mut lines = Vec::new();
        let Some(mut table) = self.table.take() else { return Ok(lines) };
        while let Some(batch) = table.next()? {
            for row in batch.rows() {
                let cells: Vec<String> =
                    (0..self.names.len()).map(|column| row.cell(column).to_owned()).collect();
                let place = Place {
                    file: Some(self.path.display().to_string()),
                    record: Some(row.record()),
                    line: Some(row.line()),
                    ..Place::default()
                };
                if cells.iter().any(|cell| !cell.trim().is_empty()) {
                    lines.push((place, cells));
                }
            }
        }
        Ok(lines)
    }
}

/// Returns the names in the first line of a table without other lines.
fn header(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    let dialect = spans::dialect(text, Format::Csv, None);
    let mut fields = csv::Fields::new(dialect.delimiter);
    if fields.read(text, dialect.start).is_none() {
        return Vec::new();
    }
    fields.words(text).map(|name| name.trim().to_owned()).collect()
}
