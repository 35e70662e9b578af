//! CSV and TSV, with the record and the line of everything.
//!
//! The `csv` crate takes fields apart. What it forgives is looked for here: a quote that is never
//! closed, and one that is closed by the opening quote of a later record, which swallows all between.

mod fields;

pub(super) use fields::{Cell, Extent, Fields};

use super::{
    ReadOptions, Record,
    columns::Roles,
    encoding::{Start, decode_part},
    read::{Cells, check_names},
    stream::LONGEST,
};
use crate::findings::{Fault, Finding, Place, Result, Severity};
use ::csv::{Reader, ReaderBuilder, StringRecord};
use std::collections::BTreeMap;

/// The names of the columns, and which are which.
#[derive(Debug)]
struct Header {
    names: Vec<String>,
    roles: Roles,
}

/// Reads the records of a file part by part.
#[derive(Debug)]
pub(super) struct Parts {
    file: String,
    delimiter: Option<u8>,
    header: Option<Header>,
    start: Start,
    /// Records with another number of fields, where all of them are to be told at the end.
    ragged: Option<Vec<Finding>>,
}

impl Parts {
    /// Begins a file whose text begins at the byte `offset`; without a delimiter, the first line suggests one.
    pub(super) fn new(file: &str, delimiter: Option<u8>, offset: u64) -> Self {
        let start = Start { offset, ..Start::default() };
        Self { file: file.to_owned(), delimiter, header: None, start, ragged: None }
    }

    /// Tells of every record with another number of fields, at the end.
    pub(super) fn gather(&mut self) {
        self.ragged = Some(Vec::new());
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those that were gathered.
    pub(super) fn finish(&mut self, _: &ReadOptions) -> Result<Vec<Record>> {
        refuse(self.ragged.take().unwrap_or_default()).map(|()| Vec::new())
    }

    /// The fault of `bytes`, which begin with a record that does not end in them.
    pub(super) fn too_long(&self, bytes: &[u8]) -> Fault {
        let record = self.header.as_ref().map(|_| self.start.records + 1);
        unended(bytes, self.delimiter, &self.file, record, self.start.line)
    }

    /// Returns how many bytes of `bytes`, which begins with a record, are whole records; 0 when none is.
    pub(super) fn whole(&mut self, bytes: &[u8]) -> usize {
        let Some(delimiter) = self.delimiter.or_else(|| guess(bytes)) else { return 0 };
        self.delimiter = Some(delimiter);
        let mut reader = reader(bytes, delimiter);
        let mut record = ::csv::ByteRecord::new();
        let (mut before, mut last) = (0, 0);
        while reader.read_byte_record(&mut record).unwrap_or(false) {
            before = last;
            last = usize::try_from(reader.position().byte()).unwrap_or(bytes.len());
        }
        // The last one may go on in what was not read yet.
        before + bytes[before..].iter().take_while(|&&byte| byte == b'\n').count()
    }

    /// Reads the records of `bytes`, the next part of the file.
    pub(super) fn read(&mut self, bytes: &[u8], options: &ReadOptions) -> Result<Vec<Record>> {
        let delimiter = *self.delimiter.get_or_insert_with(|| {
            // A last line without an end is a line as well.
            guess(&[bytes, b"\n"].concat()).unwrap_or(b',')
        });
        let text = decode_part(bytes, &self.file, self.start, |valid| {
            let at = record_at_end(valid, delimiter);
            if self.header.is_some() { Some(at.map_or(1, |at| at + 1)) } else { at }
        })?;
        let mut parser = Parser {
            text,
            file: &self.file,
            delimiter,
            first_line: self.start.line,
            records: self.start.records,
            ragged: Vec::new(),
        };
        let records = parser.read(options, &mut self.header)?;
        match &mut self.ragged {
            Some(gathered) => gathered.append(&mut parser.ragged),
            None => refuse(std::mem::take(&mut parser.ragged))?,
        }
        self.start = Start {
            offset: self.start.offset + bytes.len() as u64,
            line: Lines { text: text.as_bytes(), at: 0, line: self.start.line }.peek(text.len()),
            records: parser.records,
        };
        Ok(records)
    }

    /// Returns the columns that have a role; none before the header was read.
    pub(super) fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.header.as_ref().map(|header| header.roles.columns(&header.names))
    }

    /// Returns the columns that have no role.
    pub(super) fn other_columns(&self) -> Vec<String> {
        self.header.as_ref().map_or(Vec::new(), |header| header.roles.others(&header.names))
    }
}

/// What to do with a quote that is open.
const CLOSE: &str = "close it, or double each quote that belongs to the text: `\"\"`";

/// The fault of a record that nobody wrote on purpose.
pub(super) fn too_long(place: Place) -> Fault {
    Fault::data("BOT-2163", format!("the record is longer than {} MiB", LONGEST >> 20))
        .at(place)
        .hint("look for a quote that is never closed, or split the record")
}

/// The fault of `bytes`, which begin on `line` with the record `record` that does not end in them; `None`: the header.
pub(super) fn unended(
    bytes: &[u8],
    delimiter: Option<u8>,
    file: &str,
    record: Option<u64>,
    line: u64,
) -> Fault {
    let lines = Lines { text: bytes, at: 0, line };
    let place = Place { file: Some(file.to_owned()), record, line: Some(line), ..Place::default() };
    match odd_quote(bytes, delimiter.unwrap_or(b',')) {
        Some(Quote::Open(at)) => {
            let message =
                format!("a quote opened here is not closed within {} MiB", bytes.len() >> 20);
            let column = bytes[..at].iter().rev().take_while(|b| !b"\r\n".contains(b));
            // Bytes that go on with a character are none of their own.
            let column = column.filter(|&&byte| byte & 0xc0 != 0x80).count() as u64 + 1;
            Fault::data("BOT-2106", message)
                .at(Place { line: Some(lines.peek(at)), column: Some(column), ..place })
                .hint(CLOSE)
        }
        _ => too_long(place),
    }
}

/// Refuses a file with `ragged` records; the first is the place of the fault.
pub(super) fn refuse(ragged: Vec<Finding>) -> Result<()> {
    let [first, rest @ ..] = ragged.as_slice() else { return Ok(()) };
    let others = match rest.len() {
        0 => String::new(),
        1 => ", and 1 more such record".to_owned(),
        n => format!(", and {n} more such records"),
    };
    let message = format!("a record has {}, as the header has{others}", first.message);
    Err(Fault::data("BOT-2105", message)
        .at(first.place.clone())
        .hint(first.help.clone())
        .with_findings(ragged))
}

/// Returns the separator of a file that begins with `bytes`: the comma, unless its first line has none, but semicolons
/// or tabs; `None` where no line with anything in it ends in them.
pub(super) fn guess(bytes: &[u8]) -> Option<u8> {
    let mut lines = bytes.split_inclusive(|byte| b"\r\n".contains(byte));
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    line.last().filter(|last| b"\r\n".contains(last))?;
    Some([b',', b';', b'\t'].into_iter().find(|sign| line.contains(sign)).unwrap_or(b','))
}

pub(super) fn reader(text: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text)
}

/// Returns the record that the byte after `valid` belongs to; `None` for the header.
pub(super) fn record_at_end(valid: &str, delimiter: u8) -> Option<u64> {
    // One more byte makes a record of what would otherwise be only the end of the one before.
    let text = [valid.as_bytes(), b"x"].concat();
    let records = reader(&text, delimiter).into_byte_records().count() as u64;
    records.checked_sub(1).filter(|&record| record > 0)
}

/// A part of a file, being taken apart.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
    pub(super) delimiter: u8,
    /// The line on which `text` begins.
    pub(super) first_line: u64,
    /// Records before it; after reading, with those in it.
    pub(super) records: u64,
    /// Those of them with another number of fields than the header.
    pub(super) ragged: Vec<Finding>,
}

/// What is odd about the quotes of one record.
#[derive(Debug, PartialEq)]
enum Quote {
    /// Opened at this offset, and never closed.
    Open(usize),
    /// Opened at the first offset, closed lines later at the second, and more follows in the field.
    Swallows(usize, usize),
}

impl Parser<'_> {
    fn read(&mut self, options: &ReadOptions, header: &mut Option<Header>) -> Result<Vec<Record>> {
        let mut reader = reader(self.text.as_bytes(), self.delimiter);
        let mut lines = Lines { text: self.text.as_bytes(), at: 0, line: self.first_line };
        let mut record = StringRecord::new();
        let mut records: Vec<Record> = Vec::new();
        let mut number = self.records;
        loop {
            let from = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            let more = reader.read_record(&mut record).map_err(|error| {
                Fault::data("BOT-2105", "a record cannot be read")
                    .at(self.place(None, lines.line))
                    .caused_by(error)
            })?;
            if !more {
                break;
            }
            let to = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            // The line break of the record before, and blank lines, are read with this one.
            let raw = &self.text.as_bytes()[from..to];
            let blank = raw.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            let (start, raw) = (from + blank, &raw[blank..]);
            let line = lines.of(start);
            if raw.len() > LONGEST {
                let record = header.is_some().then_some(number + 1);
                return Err(too_long(self.place(record, line)));
            }

            let Some(Header { names, roles }) = header else {
                if record.len() == 1 && record[0].trim().is_empty() {
                    continue;
                }
                self.check_quotes(raw, start, None, line, &lines)?;
                let names: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
                let place = self.place(None, line);
                check_names(&names, &place)?;
                let roles = Roles::recognise(&names, options, &place)?;
                *header = Some(Header { names, roles });
                continue;
            };
            if record.len() == 1 && record[0].trim().is_empty() && names.len() > 1 {
                continue;
            }
            number += 1;
            self.check_quotes(raw, start, Some(number), line, &lines)?;
            if record.len() != names.len() {
                self.ragged.push(
                    Finding::new(
                        "BOT-2105",
                        Severity::Error,
                        format!("{} instead of {}", fields(record.len()), names.len()),
                        self.ragged_help(raw, start, &lines),
                    )
                    .at(self.place(Some(number), line)),
                );
                continue;
            }
            let cells = Cells::of(roles, |column| &record[column]);
            records.push(cells.record(self.file, number, line)?);
        }
        self.records = number;
        Ok(records)
    }

    pub(super) fn place(&self, record: Option<u64>, line: u64) -> Place {
        Place { file: Some(self.file.to_owned()), record, line: Some(line), ..Place::default() }
    }

    /// Refuses a quote that is not closed where it should be.
    pub(super) fn check_quotes(
        &self,
        raw: &[u8],
        start: usize,
        record: Option<u64>,
        line: u64,
        lines: &Lines<'_>,
    ) -> Result<()> {
        if !raw.contains(&b'"') {
            return Ok(());
        }
        let quote = odd_quote(raw, self.delimiter);
        let (opened, message) = match quote {
            None => return Ok(()),
            Some(Quote::Open(at)) => (at, "a quote opened here is never closed".to_owned()),
            Some(Quote::Swallows(at, closed)) => (
                at,
                format!(
                    "a quote opened here is closed only on line {}, in the middle of a field",
                    lines.peek(start + closed)
                ),
            ),
        };
        let at = start + opened;
        let line_start = self.text[..at].rfind(['\n', '\r']).map_or(0, |newline| newline + 1);
        Err(Fault::data("BOT-2106", message)
            .at(Place {
                line: Some(lines.peek(at)),
                column: Some(self.text[line_start..at].chars().count() as u64 + 1),
                ..self.place(record, line)
            })
            .hint(CLOSE))
    }

    pub(super) fn ragged_help(&self, raw: &[u8], start: usize, lines: &Lines<'_>) -> String {
        let first = raw.iter().position(|&b| b == b'"');
        let last = raw.iter().rposition(|&b| b == b'"');
        if let (Some(first), Some(last)) = (first, last) {
            let (first, last) = (lines.peek(start + first), lines.peek(start + last));
            if first < last {
                return format!(
                    "look at the quotes: one opened on line {first} reaches to line {last}"
                );
            }
        }
        let name = match self.delimiter {
            b';' => "semicolon",
            b'\t' => "tab",
            _ => "comma",
        };
        format!("quote a text that holds a {name}: `\"like, this\"`")
    }
}

pub(super) fn fields(n: usize) -> String {
    if n == 1 { "1 field".to_owned() } else { format!("{n} fields") }
}

/// Looks for a quote of one record that is not closed where it should be; linear.
fn odd_quote(raw: &[u8], delimiter: u8) -> Option<Quote> {
    let mut i = 0;
    while i < raw.len() {
        // At the start of a field.
        if raw[i] == b'"' {
            let opened = i;
            let mut newline = false;
            i += 1;
            loop {
                match raw.get(i) {
                    None => return Some(Quote::Open(opened)),
                    Some(b'"') if raw.get(i + 1) == Some(&b'"') => i += 2,
                    Some(b'"') => break,
                    Some(&byte) => {
                        newline |= byte == b'\n';
                        i += 1;
                    }
                }
            }
            let closed = i;
            i += 1;
            let follows = raw.get(i).is_some_and(|&b| b != delimiter && !b"\r\n".contains(&b));
            if newline && follows {
                return Some(Quote::Swallows(opened, closed));
            }
        }
        while i < raw.len() && raw[i] != delimiter {
            i += 1;
        }
        i += 1;
    }
    None
}

/// Counts lines on from where it last was; a lone carriage return is a line break too.
pub(super) struct Lines<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) line: u64,
}

impl Lines<'_> {
    /// Moves on to offset `to`, where the next line begins.
    pub(super) fn next_line(&mut self, to: usize) {
        self.at = to;
        self.line += 1;
    }

    /// Returns the line of offset `to`, and stays there.
    pub(super) fn of(&mut self, to: usize) -> u64 {
        self.line = self.peek(to);
        self.at = to;
        self.line
    }

    /// Returns the line of offset `to`, which is not before the last one.
    pub(super) fn peek(&self, to: usize) -> u64 {
        let passed = &self.text[self.at..to];
        let newlines = passed.iter().filter(|&&byte| byte == b'\n').count();
        let lone = if passed.contains(&b'\r') {
            let after = |i: usize| self.text.get(self.at + i + 1);
            (0..passed.len()).filter(|&i| passed[i] == b'\r' && after(i) != Some(&b'\n')).count()
        } else {
            0
        };
        self.line + (newlines + lone) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_quotes_are_told_from_sloppy_ones() {
        for (raw, expected) in [
            ("a,\"b\"\n", None),
            ("a,\"b \"\"c\"\" d\"\n", None),
            ("\"a\nb\",c\r\n", None),
            ("a\"b,c\n", None),
            ("\"a\" b,c\n", None),
            ("a,\"b\n", Some(Quote::Open(2))),
            ("a,\"b\"\"\n", Some(Quote::Open(2))),
            ("\"a\nb\"c\",d\n", Some(Quote::Swallows(0, 4))),
        ] {
            assert_eq!(odd_quote(raw.as_bytes(), b','), expected, "{raw:?}");
        }
    }
}
