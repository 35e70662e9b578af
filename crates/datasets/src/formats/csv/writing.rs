//! Writing of CSV: data sets, and tables for spreadsheets.

use crate::{
    column_roles::Roles,
    record::{Dataset, Record, entities_cell},
    table::{Row, rows::Source},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
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

/// The columns of a data set that is written as CSV.
const COLUMNS: [&str; 4] = ["text", "intent", "lang", "entities"];

/// Returns the bytes that [`write_csv`] writes. Reading them yields the same texts, intents, languages and entities.
///
/// # Panics
/// Never: writing to memory does not fail.
#[must_use]
pub fn csv_bytes(data: &Dataset) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).expect(MEMORY);
    for record in &data.records {
        writer.write_record(cells(record, &entities_cell(record))).expect(MEMORY);
    }
    writer.into_inner().expect(MEMORY)
}

fn cells<'a>(record: &'a Record, entities: &'a str) -> [&'a str; 4] {
    let intent = record.intent.as_deref().unwrap_or_default();
    [record.text.as_str(), intent, record.lang.as_deref().unwrap_or_default(), entities]
}

/// Returns the records of `data`, which are rows of `source` in its order, as [`csv_bytes`] does, each followed by the
/// cells of the columns of `source` that have no role.
///
/// - a column that is called as one of the first four gets an underscore after its name
/// - an unnamed column is called by its number: `column 5`
///
/// # Errors
/// Those of reading; `BOT-2218` (exit 5) when the rows are not those of `data`, because the file changed.
///
/// # Panics
/// Never: writing to memory does not fail.
pub fn csv_with_other_columns(source: &mut dyn Source, data: &Dataset) -> Result<Vec<u8>> {
    let shape = source.shape();
    let taken: Vec<usize> = shape.roles.iter().flat_map(Roles::columns).collect();
    let others: Vec<usize> =
        (0..shape.names.len()).filter(|column| !taken.contains(column)).collect();
    if others.is_empty() {
        return Ok(csv_bytes(data));
    }
    let mut names = COLUMNS.map(str::to_owned).to_vec();
    for &column in &others {
        let mut name = match shape.names[column].as_str() {
            "" => format!("column {}", column + 1),
            name => name.to_owned(),
        };
        // No other column may have the new name either, wherever it is.
        while names.contains(&name) || (name != shape.names[column] && shape.names.contains(&name))
        {
            name.push('_');
        }
        names.push(name);
    }
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(&names).expect(MEMORY);
    let mut records = data.records.iter().peekable();
    source.each(&mut |row| {
        let is_row =
            |record: &&Record| record.record == row.record() && record.file.as_ref() == row.file();
        if let Some(record) = records.next_if(is_row) {
            let entities = entities_cell(record);
            let others = others.iter().map(|&column| row.cell(column));
            let cells = cells(record, &entities).into_iter().chain(others);
            writer.write_record(cells).expect(MEMORY);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if records.peek().is_some() {
        return Err(Fault::conflict("BOT-2218", "the file changed while it was read")
            .file(source.name())
            .hint("wait until the file is complete, then try again"));
    }
    Ok(writer.into_inner().expect(MEMORY))
}

/// Returns `records` of `data` as a data set of its own, with the digest of its CSV.
#[must_use]
pub fn part(data: &Dataset, records: Vec<Record>) -> Dataset {
    let mut part = Dataset {
        name: data.name.clone(),
        digest: data.digest,
        columns: data.columns.clone(),
        records,
        lookups: data.lookups.clone(),
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
    delimited(rows, b',')
}

/// As [`rows_csv`], with tabs in the place of commas.
///
/// # Panics
/// When rows differ in length: a bug.
#[must_use]
pub fn rows_tsv(rows: &[Vec<String>]) -> Vec<u8> {
    delimited(rows, b'\t')
}

fn delimited(rows: &[Vec<String>], delimiter: u8) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect(MEMORY);
    }
    writer.into_inner().expect(MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReadOptions, TableRows, read_bytes, table::Origin};
    use bytes::Bytes;

    fn carried(csv: &str, options: &ReadOptions, leave_out: u64) -> String {
        let mut data = read_bytes(csv.as_bytes(), "a.csv", options).unwrap();
        data.records.retain(|record| record.record != leave_out);
        let origin = Origin::held(Bytes::copy_from_slice(csv.as_bytes()), "a.csv");
        let mut rows = TableRows::open(origin, options, None).unwrap();
        String::from_utf8(csv_with_other_columns(&mut rows, &data).unwrap()).unwrap()
    }

    #[test]
    fn the_other_columns_follow_the_first_four() {
        let read = ReadOptions::default();
        let csv = "id,label,text,latency_ms,\n1, a ,hi,20,x\n2,b,ho,30,\"y,z\"\n3,a,hu,,\n";
        assert_eq!(
            carried(csv, &read, 1),
            "text,intent,lang,entities,id,latency_ms,column 5\nho,b,,,2,30,\"y,z\"\nhu,a,,,3,,\n"
        );
        // Without other columns, the bytes are those of the records.
        let plain = "text,intent\nhi,a\n";
        assert_eq!(carried(plain, &read, 0), "text,intent,lang,entities\nhi,a,,\n");
    }

    #[test]
    fn a_column_that_is_called_as_a_role_gets_another_name() {
        let read = ReadOptions { text_column: Some("said".into()), ..ReadOptions::default() };
        let csv = "text,said,intent,text_,column 5,\nraw,hi,a,1,2,3\n";
        let written = carried(csv, &read, 0);
        assert_eq!(
            written,
            "text,intent,lang,entities,text__,text_,column 5,column 6\nhi,a,,,raw,1,2,3\n"
        );
        let back = read_bytes(written.as_bytes(), "b.csv", &ReadOptions::default()).unwrap();
        assert_eq!(back.records[0].text, "hi");
    }
}
