//! Records as a file for other tools.

use crate::{
    columns::{COLUMNS, Column},
    parquet::ParquetWriter,
    record::{EXPORT_SCHEMA, Record, SCHEMA},
};
use botops_findings::Result;

/// The format of a file. In each, the predicted intent is called `predicted`, and the entities `entity_types`, so that no verb takes
/// them for labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// One JSON object a line; times are milliseconds since 1970.
    Jsonl,
    /// A table with a header; times are in RFC 3339.
    Csv,
    /// Parquet.
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
                let names: Vec<&str> = COLUMNS.iter().map(|column| column.exported()).collect();
                Sink::Csv(format!("{}\n", names.join(",")).into_bytes())
            }
            ExportFormat::Parquet => Sink::Parquet(Box::new(ParquetWriter::exporting()?)),
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
                let mut line = Vec::new();
                record.write_line(&mut line);
                out.extend(exported_line(&line));
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

/// Returns a line of a segment with the names of an export. A quote inside a string is escaped, so a comma before a quoted key is only
/// found between the members of an object, and `intent` of another likely intent comes first in its object.
fn exported_line(line: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(line).into_owned();
    let schema = |name: &str| format!("{{\"schema\":\"{name}\"");
    text = text.replacen(&schema(SCHEMA), &schema(EXPORT_SCHEMA), 1);
    for column in [Column::Intent, Column::Entities] {
        let key = |name: &str| format!(",\"{name}\":");
        text = text.replacen(&key(column.name()), &key(column.exported()), 1);
    }
    text.into_bytes()
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
        records[0].text = Some("a \",\"intent\":\"b\", and \\".to_owned());
        records[0].entities = vec!["order_id".to_owned()];
        let lines = String::from_utf8(exported(ExportFormat::Jsonl, &records)).unwrap();
        let read: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), 2);
        for (line, record) in read.iter().zip(&records) {
            assert_eq!(line["schema"], "botops.prediction_export/1");
            assert_eq!(line["predicted"], record.intent.as_str());
            assert_eq!(line["text"].as_str(), record.text.as_deref());
            assert!(line.get("intent").is_none() && line.get("entities").is_none(), "{line}");
        }
        assert_eq!(read[0]["entity_types"], serde_json::json!(["order_id"]));
        let csv = String::from_utf8(exported(ExportFormat::Csv, &records)).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("time,request_id,index,endpoint,conversation,text,"));
        assert!(lines[1].starts_with("2026-11-30T01:00:00.000Z,r-0,0,chat,"), "{}", lines[1]);
        assert!(lines[2].contains(",\"'=1+1, \"\"two\"\"\","), "{}", lines[2]);
        // The names stand in the file, and a reader of the log refuses it.
        let parquet = exported(ExportFormat::Parquet, &records);
        let has = |name: &str| parquet.windows(name.len()).any(|it| it == name.as_bytes());
        assert!(has("predicted") && has("entity_types") && has("request_id"));
        let fault = ParquetReader::open(parquet.into(), "a").err().unwrap();
        assert_eq!(fault.code(), "BOT-6200");
    }
}
