//! Records as a file for other tools.

use crate::{
    columns::{COLUMNS, Column},
    parquet::ParquetWriter,
    record::Record,
};
use botops_findings::Result;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line, as in a segment.
    Jsonl,
    /// A table with a header; times are in RFC 3339, and the predicted intent is called `predicted`.
    Csv,
    /// Parquet, as compaction writes it.
    Parquet,
}

/// A file of records, of which only the bytes that nobody has taken are in memory.
pub struct RecordExport {
    sink: Sink,
    records: u64,
}

impl std::fmt::Debug for RecordExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordExport").field("records", &self.records).finish_non_exhaustive()
    }
}

enum Sink {
    Lines(Vec<u8>),
    Csv(Vec<u8>),
    Parquet(Box<ParquetWriter>),
}

impl RecordExport {
    /// Begins a file.
    ///
    /// # Errors
    /// `BOT-6208` (exit 1) of the Parquet writer.
    pub fn new(format: ExportFormat) -> Result<Self> {
        let sink = match format {
            ExportFormat::Jsonl => Sink::Lines(Vec::new()),
            ExportFormat::Csv => {
                // Verbs that read tables take a column `intent` for the true one, and `entities` for spans.
                let name = |column: &Column| match column {
                    Column::Intent => "predicted",
                    Column::Entities => "entity_types",
                    other => other.name(),
                };
                let names: Vec<&str> = COLUMNS.iter().map(name).collect();
                Sink::Csv(format!("{}\n", names.join(",")).into_bytes())
            }
            ExportFormat::Parquet => Sink::Parquet(Box::new(ParquetWriter::new()?)),
        };
        Ok(Self { sink, records: 0 })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// `BOT-6208` (exit 1) of the Parquet writer.
    pub fn add(&mut self, record: Record) -> Result<()> {
        self.records += 1;
        match &mut self.sink {
            Sink::Lines(out) => {
                record.write_line(out);
                Ok(())
            }
            Sink::Csv(out) => {
                let cells: Vec<String> =
                    COLUMNS.iter().map(|column| cell(&column.text(&record))).collect();
                out.extend_from_slice(cells.join(",").as_bytes());
                out.push(b'\n');
                Ok(())
            }
            Sink::Parquet(writer) => writer.add(record),
        }
    }

    /// Takes the bytes that were made so far, to write them before the next ones.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        match &mut self.sink {
            Sink::Lines(out) | Sink::Csv(out) => std::mem::take(out),
            Sink::Parquet(writer) => writer.take(),
        }
    }

    /// Ends the file. Returns its bytes that were not taken, and the number of records.
    ///
    /// # Errors
    /// `BOT-6208` (exit 1) of the Parquet writer.
    pub fn finish(self) -> Result<(Vec<u8>, u64)> {
        match self.sink {
            Sink::Lines(out) | Sink::Csv(out) => Ok((out, self.records)),
            Sink::Parquet(writer) => writer.finish(),
        }
    }
}

/// Returns a cell of RFC 4180. A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, so a text that
/// does gets an apostrophe before it.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '@', '\t', '\r'])
        || text.starts_with('-') && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parquet::ParquetReader, record::tests::record};

    fn exported(format: ExportFormat, records: &[Record]) -> Vec<u8> {
        let mut export = RecordExport::new(format).unwrap();
        records.iter().for_each(|it| export.add(it.clone()).unwrap());
        let mut bytes = export.take();
        let (rest, n) = export.finish().unwrap();
        assert_eq!(n, records.len() as u64);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn records_are_lines_cells_or_columns() {
        let mut records = [record(0), record(1)];
        records[1].text = Some("=1+1, \"two\"".to_owned());
        let lines = exported(ExportFormat::Jsonl, &records);
        let read: Vec<Record> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| Record::read_line(line).unwrap())
            .collect();
        assert_eq!(read, records);
        let csv = String::from_utf8(exported(ExportFormat::Csv, &records)).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("time,request_id,index,endpoint,conversation,text,"));
        assert!(lines[1].starts_with("2026-11-30T01:00:00.000Z,r-0,0,chat,"), "{}", lines[1]);
        assert!(lines[2].contains(",\"'=1+1, \"\"two\"\"\","), "{}", lines[2]);
        let parquet = exported(ExportFormat::Parquet, &records);
        let reader = ParquetReader::open(parquet.into(), "a").unwrap();
        assert_eq!(reader.whole_group(0).unwrap(), records);
    }
}
