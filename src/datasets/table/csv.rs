//! CSV and TSV as rows of all columns.

use super::{Batch, Shape, batch::Filling};
use crate::{
    datasets::{
        ReadOptions,
        csv::{Cell, Extent, Fields, Lines, Parser, fields, guess, record_at_end, refuse, unended},
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
        let mut rows = shape.as_ref().map(|shape| self.filling(shape, text));
        let mut record = Fields::new(delimiter);
        let mut ragged: Vec<Finding> = Vec::new();
        let mut number = self.start.records;
        // A second byte-order mark is no part of the header either.
        let marked = shape.is_none() && text.starts_with('\u{feff}');
        let mut consumed = if marked { '\u{feff}'.len_utf8() } else { 0 };
        loop {
            let Some(Extent { start, end, is_plain }) = record.read(text, consumed) else {
                // A line feed may follow the last carriage return: both are one line break.
                let is_cut = !last && text[consumed..].ends_with('\r');
                consumed = text.len() - usize::from(is_cut);
                break;
            };
            if end == text.len() && !last {
                break;
            }
            consumed = end;
            let raw = &text.as_bytes()[start..end];
            let line = lines.of(start);
            if is_plain {
                lines.next_line(end);
            }
            if raw.len() > LONGEST {
                let record = shape.is_some().then_some(number + 1);
                return Err(unended(raw, Some(delimiter), &self.file, record, line));
            }
            let (Some(Shape { names, .. }), Some(rows)) = (shape.as_ref(), rows.as_mut()) else {
                if record.is_blank(text) {
                    continue;
                }
                parser.check_quotes(raw, start, None, line, &lines)?;
                let names: Vec<String> =
                    record.words(text).map(|name| name.trim().to_owned()).collect();
                let place = parser.place(None, line);
                check_names(&names, &place)?;
                let made = Shape::of(names, options, &place)?;
                rows = Some(self.filling(&made, text));
                *shape = Some(made);
                continue;
            };
            if names.len() > 1 && record.is_blank(text) {
                continue;
            }
            number += 1;
            if !is_plain {
                parser.check_quotes(raw, start, Some(number), line, &lines)?;
            }
            if record.len() == names.len() {
                for cell in record.cells() {
                    match cell {
                        Cell::There(range) => rows.cell_at(range),
                        Cell::Unquoted(cell) => rows.cell(cell),
                    }
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
        let line = lines.peek(consumed);
        self.start = Start { offset: self.start.offset + consumed as u64, line, records: number };
        Ok((consumed, rows.filter(|rows| !rows.is_empty()).map(Filling::finish)))
    }

    fn filling<'a>(&self, shape: &Shape, text: &'a str) -> Filling<'a> {
        Filling::over(text, shape.names.len(), self.start.records + 1)
    }
}
