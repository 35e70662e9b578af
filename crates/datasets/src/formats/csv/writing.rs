//! Writing of CSV: data sets, and tables for spreadsheets.

use crate::{
    record::{Dataset, Record, entities_cell},
    table::{Row, rows::Source},
};
use botops_digest::Digest;
use botops_findings::Result;
use std::{ops::ControlFlow, path::Path};

/// The form of a table that people edit in a spreadsheet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SheetForm {
    /// Separated by commas.
    #[default]
    Comma,
    /// Separated by semicolons, after a byte-order mark: a spreadsheet that saves its tables with semicolons opens it in
    /// columns, with its accents.
    Semicolon,
}

impl SheetForm {
    /// Returns the form for people whose data are separated by `delimiter`, if they are a table.
    #[must_use]
    pub fn of_data(delimiter: Option<u8>) -> Self {
        if delimiter == Some(b';') { Self::Semicolon } else { Self::Comma }
    }

    /// Returns the bytes at the beginning of the file.
    #[must_use]
    pub fn mark(self) -> &'static [u8] {
        match self {
            Self::Comma => b"",
            Self::Semicolon => "\u{feff}".as_bytes(),
        }
    }

    /// Returns `cells` as one line.
    ///
    /// # Panics
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn line(self, cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
        let delimiter = if self == Self::Semicolon { b';' } else { b',' };
        let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(cells).expect(MEMORY);
        writer.into_inner().expect(MEMORY)
    }
}

const MEMORY: &str = "writing records of one length to memory does not fail";

/// Writes `data` as CSV (`text,intent,lang,entities`) to `path`, which afterwards is complete or unchanged.
///
/// # Errors
/// `BOT-1002`.
pub fn write_csv(path: &Path, data: &Dataset) -> Result<()> {
    botops_files::replace(path, &csv_bytes(data))
}

/// Returns the bytes that [`write_csv`] writes. Reading them yields the same texts, intents, languages and entities.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn csv_bytes(data: &Dataset) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["text", "intent", "lang", "entities"]).expect(MEMORY);
    for record in &data.records {
        let entities = entities_cell(record);
        let intent = record.intent.as_deref().unwrap_or_default();
        let lang = record.lang.as_deref().unwrap_or_default();
        writer.write_record([record.text.as_str(), intent, lang, entities.as_str()]).expect(MEMORY);
    }
    writer.into_inner().expect(MEMORY)
}

/// Returns `records` of `data` as a data set of its own, with the digest of its CSV.
#[must_use]
pub fn part(data: &Dataset, records: Vec<Record>) -> Dataset {
    let mut part = Dataset {
        name: data.name.clone(),
        digest: data.digest,
        columns: data.columns.clone(),
        records,
    };
    part.digest = Digest::of(&csv_bytes(&part));
    part
}

/// Returns the rows of `source` as CSV with all of its columns, divided into `n_parts` files with a header each.
///
/// `part_of` is called for each row with its position, from 0, and returns the part that the row goes to.
///
/// # Errors
/// Those of reading, and those of `part_of`.
///
/// # Panics
/// When `part_of` returns a part that is not below `n_parts`: a bug.
pub fn csv_parts(
    source: &mut dyn Source,
    n_parts: usize,
    part_of: &mut dyn FnMut(usize, Row<'_>) -> Result<Option<usize>>,
) -> Result<Vec<Vec<u8>>> {
    let names = source.shape().names.clone();
    let mut writers: Vec<_> =
        (0..n_parts).map(|_| ::csv::Writer::from_writer(Vec::new())).collect();
    for writer in &mut writers {
        writer.write_record(&names).expect(MEMORY);
    }
    let mut position = 0;
    source.each(&mut |row| {
        if let Some(part) = part_of(position, row)? {
            let cells = (0..names.len()).map(|column| row.cell(column));
            writers[part].write_record(cells).expect(MEMORY);
        }
        position += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(writers.into_iter().map(|writer| writer.into_inner().expect(MEMORY)).collect())
}

/// Returns `rows` (all of one length) as CSV in which every cell is safe to open in a spreadsheet.
///
/// # Panics
/// When rows differ in length: a bug.
#[must_use]
pub fn spreadsheet_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in rows {
        let cells = row.iter().map(|cell| botops_text::spreadsheet_safe(cell).into_owned());
        writer.write_record(cells).expect(MEMORY);
    }
    writer.into_inner().expect(MEMORY)
}

/// Returns `rows` (all of one length) as CSV whose cells are read back unchanged.
///
/// # Panics
/// When rows differ in length: a bug.
#[must_use]
pub fn rows_csv(rows: &[Vec<String>]) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect(MEMORY);
    }
    writer.into_inner().expect(MEMORY)
}
