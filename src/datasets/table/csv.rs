//! CSV and TSV as rows of all columns.

use super::{Batch, Shape, batch::Filling};
use crate::{
    datasets::{
        ReadOptions,
        csv::{Lines, Parser, fields, guess, reader, record_at_end, refuse, too_long, unended},
        encoding::{Start, decode_part},
        read::check_names,
        stream::LONGEST,
    },
    findings::{Fault, Finding, Result, Severity},
};

/// Reads the rows of a file part by part.
#[derive(Debug)]
pub(super) struct Parts {
    file: String,
    delimiter: Option<u8>,
    start: Start,
}

impl Parts {
    /// Begins a file whose text begins at the byte `offset`; without a delimiter, the first line suggests one.
    pub(super) fn new(file: &str, delimiter: Option<u8>, offset: u64) -> Self {
        let start = Start { offset, ..Start::default() };
        Self { file: file.to_owned(), delimiter, start }
    }

    /// The fault of `bytes`, which begin with a record that does not end in them; `is_header`: with the header.
    pub(super) fn too_long(&self, bytes: &[u8], is_header: bool) -> Fault {
        let record = (!is_header).then_some(self.start.records + 1);
        unended(bytes, self.delimiter, &self.file, record, self.start.line)
    }

    /// Reads the whole records at the beginning of `bytes`, and says how many bytes they are.
    ///
    /// `last` says that nothing follows: else the last record is left, for it may go on in what was not read yet.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        shape: &mut Option<Shape>,
        options: &ReadOptions,
    ) -> Result<(usize, Option<Batch>)> {
        let guessed = self.delimiter.or_else(|| match last {
            // A last line without an end is a line as well.
            true => Some(guess(&[bytes, b"\n"].concat()).unwrap_or(b',')),
            false => guess(bytes),
        });
        let Some(delimiter) = guessed else { return Ok((0, None)) };
        self.delimiter = Some(delimiter);
        let text = match std::str::from_utf8(bytes) {
            // A character that was cut in two is read with the next part.
            Err(error) if error.error_len().is_none() && !last => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            _ => decode_part(bytes, &self.file, self.start, |valid| {
                let at = record_at_end(valid, delimiter);
                if shape.is_some() { Some(at.map_or(1, |at| at + 1)) } else { at }
            })?,
        };
        let parser = Parser {
            text,
            file: &self.file,
            delimiter,
            first_line: self.start.line,
            records: self.start.records,
            ragged: Vec::new(),
        };
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: self.start.line };
        let mut rows = shape.as_ref().map(|shape| self.filling(shape, text.len()));
        let mut reader = reader(text.as_bytes(), delimiter);
        let mut record = ::csv::ByteRecord::new();
        let mut ragged: Vec<Finding> = Vec::new();
        let mut number = self.start.records;
        let mut consumed = text.len();
        loop {
            let from = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            let more = reader.read_byte_record(&mut record).map_err(|error| {
                Fault::data("BOT-2105", "a record cannot be read")
                    .at(parser.place(None, lines.line))
                    .caused_by(error)
            })?;
            if !more {
                break;
            }
            let to = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            if to == text.len() && !last {
                // With the line feed of the record before: a line break is not to be counted twice.
                let feeds = text.as_bytes()[from..].iter().take_while(|&&b| b == b'\n').count();
                consumed = from + feeds;
                break;
            }
            // The line break of the record before, and blank lines, are read with this one.
            let raw = &text.as_bytes()[from..to];
            let blank = raw.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let (start, raw) = (from + blank, &raw[blank..]);
            let line = lines.of(start);
            if raw.len() > LONGEST {
                let record = shape.is_some().then_some(number + 1);
                return Err(too_long(parser.place(record, line)));
            }
            let (Some(Shape { names, .. }), Some(rows)) = (shape.as_ref(), rows.as_mut()) else {
                if record.len() == 1 && record[0].trim_ascii().is_empty() {
                    continue;
                }
                parser.check_quotes(raw, start, None, line, &lines)?;
                let names: Vec<String> = record
                    .iter()
                    .map(|name| String::from_utf8_lossy(name).trim().to_owned())
                    .collect();
                let place = parser.place(None, line);
                check_names(&names, &place)?;
                let made = Shape::of(names, options, &place)?;
                rows = Some(self.filling(&made, text.len()));
                *shape = Some(made);
                continue;
            };
            if record.len() == 1 && record[0].trim_ascii().is_empty() && names.len() > 1 {
                continue;
            }
            number += 1;
            parser.check_quotes(raw, start, Some(number), line, &lines)?;
            if record.len() == names.len() {
                for cell in &record {
                    rows.cell(cell);
                }
                rows.end_row(line);
            } else {
                let message = format!("{} instead of {}", fields(record.len()), names.len());
                let help = parser.ragged_help(raw, start, &lines);
                ragged.push(
                    Finding::new("BOT-2105", Severity::Error, message, help)
                        .at(parser.place(Some(number), line)),
                );
            }
        }
        refuse(ragged)?;
        let line = Lines { text: text.as_bytes(), at: 0, line: self.start.line }.peek(consumed);
        self.start = Start { offset: self.start.offset + consumed as u64, line, records: number };
        Ok((consumed, rows.map(Filling::finish)))
    }

    fn filling(&self, shape: &Shape, bytes: usize) -> Filling {
        let mut rows = Filling::new(shape.names.len(), self.start.records + 1);
        rows.reserve(bytes);
        rows
    }
}
