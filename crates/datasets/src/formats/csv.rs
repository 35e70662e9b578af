//! CSV and TSV, with the record and the line of everything.
//!
//! Fields are parted as the `csv` crate does it. What it forgives is looked for here: a quote that is never
//! closed, and one that is closed by the opening quote of a later record, which swallows all between.

mod fields;

use fields::Extent;
pub use fields::{Cell, Fields};

use super::encoding::{Start, decode_part};
use crate::{
    ReadOptions, Record,
    column_roles::Roles,
    read::{Cells, check_names},
    reading::LONGEST,
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::collections::BTreeMap;

/// Takes what a file of CSV holds, in its order. What it is given stands in texts that live for `'t`.
pub(crate) trait Taking<'t> {
    /// Takes the names of the columns, which stand at `place`.
    ///
    /// # Errors
    /// What is wrong with them; nothing follows.
    fn header(&mut self, names: Vec<String>, place: &Place) -> Result<()>;

    /// Takes the record `number`, which begins on `line`, and whose `fields`, as many as the header has, were read from
    /// `text`.
    ///
    /// # Errors
    /// What is wrong with it; nothing follows.
    fn record(&mut self, fields: &Fields, text: &'t str, number: u64, line: u64) -> Result<()>;
}

/// Takes records out of a file part by part.
#[derive(Debug)]
pub(crate) struct Reader {
    file: String,
    delimiter: Option<u8>,
    start: Start,
    /// How many columns the header has; `None`: it was not read yet.
    width: Option<usize>,
    /// Records with another number of fields, where all of them are to be told at the end.
    ragged: Option<Vec<Finding>>,
}

impl Reader {
    /// Begins a file whose text begins at the byte `offset`; without a delimiter, the first line suggests one.
    pub(crate) fn new(file: &str, delimiter: Option<u8>, offset: u64) -> Self {
        let start = Start { offset, ..Start::default() };
        Self { file: file.to_owned(), delimiter, start, width: None, ragged: None }
    }

    /// The fault of `bytes`, which begin with a record that does not end in them.
    pub(crate) fn too_long(&self, bytes: &[u8]) -> Fault {
        let record = self.width.map(|_| self.start.records + 1);
        unended(bytes, self.delimiter, &self.file, record, self.start.line)
    }

    /// Gives the whole records at the beginning of `bytes`, the next part of the file, to `taking`; returns how many
    /// bytes they are.
    ///
    /// `last` says that nothing follows: else the last record is left, for it may go on in what was not read yet.
    ///
    /// # Errors
    /// See [`crate::read()`]; what `taking` returns.
    pub(crate) fn read<'t>(
        &mut self,
        bytes: &'t [u8],
        last: bool,
        taking: &mut impl Taking<'t>,
    ) -> Result<usize> {
        let guessed = self.delimiter.or_else(|| match last {
            // A last line without an end is a line as well.
            true => Some(guess(&[bytes, b"\n"].concat()).unwrap_or(b',')),
            false => guess(bytes),
        });
        let Some(delimiter) = guessed else { return Ok(0) };
        self.delimiter = Some(delimiter);
        let text = self.decode(bytes, last, delimiter)?;
        let part = Part { text, file: &self.file, delimiter };
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: self.start.line };
        let mut record = Fields::new(delimiter);
        let mut ragged: Vec<Finding> = Vec::new();
        let mut number = self.start.records;
        // A second byte-order mark is no part of the header either.
        let is_marked = self.width.is_none() && text.starts_with('\u{feff}');
        let mut consumed = if is_marked { '\u{feff}'.len_utf8() } else { 0 };
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
                let record = self.width.map(|_| number + 1);
                return Err(unended(raw, Some(delimiter), &self.file, record, line));
            }
            let Some(width) = self.width else {
                if record.is_blank(text) {
                    continue;
                }
                part.check_quotes(raw, start, None, line, &lines)?;
                let names: Vec<String> =
                    record.words(text).map(|name| name.trim().to_owned()).collect();
                let place = part.place(None, line);
                check_names(&names, &place)?;
                self.width = Some(names.len());
                taking.header(names, &place)?;
                continue;
            };
            if width > 1 && record.is_blank(text) {
                continue;
            }
            number += 1;
            if !is_plain {
                part.check_quotes(raw, start, Some(number), line, &lines)?;
            }
            if record.len() == width {
                taking.record(&record, text, number, line)?;
            } else {
                let message = format!("{} instead of {width}", fields(record.len()));
                let help = part.ragged_help(raw, start, &lines);
                ragged.push(
                    Finding::new("BOT-2105", Severity::Error, message, help)
                        .at(part.place(Some(number), line)),
                );
            }
        }
        match &mut self.ragged {
            Some(gathered) => gathered.append(&mut ragged),
            None => refuse(ragged)?,
        }
        let line = lines.peek(consumed);
        self.start = Start { offset: self.start.offset + consumed as u64, line, records: number };
        Ok(consumed)
    }

    fn decode<'t>(&self, bytes: &'t [u8], last: bool, delimiter: u8) -> Result<&'t str> {
        match std::str::from_utf8(bytes) {
            // A character that was cut in two is read with the next part.
            Err(error) if error.error_len().is_none() && !last => {
                Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
            }
            _ => decode_part(bytes, &self.file, self.start, |valid| {
                let at = record_at_end(valid, delimiter);
                if self.width.is_some() { Some(at.map_or(1, |at| at + 1)) } else { at }
            }),
        }
    }
}

/// The names of the columns, and which are which.
#[derive(Debug)]
struct Header {
    names: Vec<String>,
    roles: Roles,
}

/// Reads the records of a file part by part.
#[derive(Debug)]
pub(crate) struct Parts {
    reader: Reader,
    header: Option<Header>,
}

/// Makes records.
struct Records<'a> {
    file: &'a str,
    options: &'a ReadOptions,
    header: &'a mut Option<Header>,
    made: Vec<Record>,
}

impl Taking<'_> for Records<'_> {
    fn header(&mut self, names: Vec<String>, place: &Place) -> Result<()> {
        let roles = Roles::recognise(&names, self.options, place)?;
        *self.header = Some(Header { names, roles });
        Ok(())
    }

    fn record(&mut self, fields: &Fields, text: &str, number: u64, line: u64) -> Result<()> {
        let Some(Header { roles, .. }) = &self.header else { return Ok(()) };
        let cells = Cells::of(roles, |column| fields.word(column, text));
        self.made.push(cells.record(self.file, number, line)?);
        Ok(())
    }
}

impl Parts {
    /// Begins a file whose text begins at the byte `offset`; without a delimiter, the first line suggests one.
    pub(crate) fn new(file: &str, delimiter: Option<u8>, offset: u64) -> Self {
        Self { reader: Reader::new(file, delimiter, offset), header: None }
    }

    /// Tells of every record with another number of fields, at the end.
    pub(crate) fn gather(&mut self) {
        self.reader.ragged = Some(Vec::new());
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those that were gathered.
    pub(crate) fn finish(&mut self, _: &ReadOptions) -> Result<Vec<Record>> {
        refuse(self.reader.ragged.take().unwrap_or_default()).map(|()| Vec::new())
    }

    /// The fault of `bytes`, which begin with a record that does not end in them.
    pub(crate) fn too_long(&self, bytes: &[u8]) -> Fault {
        self.reader.too_long(bytes)
    }

    /// Reads the whole records at the beginning of `bytes`, as [`Reader::read`] does.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        last: bool,
        options: &ReadOptions,
    ) -> Result<(usize, Vec<Record>)> {
        let file = self.reader.file.clone();
        let mut records =
            Records { file: &file, options, header: &mut self.header, made: Vec::new() };
        let consumed = self.reader.read(bytes, last, &mut records)?;
        Ok((consumed, records.made))
    }

    /// Returns the columns that have a role; none before the header was read.
    pub(crate) fn columns(&self) -> Option<BTreeMap<String, String>> {
        self.header.as_ref().map(|header| header.roles.columns(&header.names))
    }

    /// Returns the columns that have no role.
    pub(crate) fn other_columns(&self) -> Vec<String> {
        self.header.as_ref().map_or(Vec::new(), |header| header.roles.others(&header.names))
    }
}

/// What to do with a quote that is open.
const CLOSE: &str = "close it, or double each quote that belongs to the text: `\"\"`";

/// The fault of a record that nobody wrote on purpose.
pub(crate) fn too_long(place: Place) -> Fault {
    Fault::data("BOT-2163", format!("the record is longer than {} MiB", LONGEST >> 20))
        .at(place)
        .hint("look for a quote that is never closed, or split the record")
}

/// The fault of `bytes`, which begin on `line` with the record `record` that does not end in them; `None`: the header.
fn unended(
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
fn refuse(ragged: Vec<Finding>) -> Result<()> {
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
pub fn guess(bytes: &[u8]) -> Option<u8> {
    let mut lines = bytes.split_inclusive(|byte| b"\r\n".contains(byte));
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    line.last().filter(|last| b"\r\n".contains(last))?;
    Some([b',', b';', b'\t'].into_iter().find(|sign| line.contains(sign)).unwrap_or(b','))
}

/// Returns the record that the byte after `valid` belongs to; `None` for the header.
fn record_at_end(valid: &str, delimiter: u8) -> Option<u64> {
    // One more byte makes a record of what would otherwise be only the end of the one before.
    let text = format!("{valid}x");
    let (mut fields, mut at, mut records) = (Fields::new(delimiter), 0, 0_u64);
    while let Some(Extent { end, .. }) = fields.read(&text, at) {
        (at, records) = (end, records + 1);
    }
    records.checked_sub(1).filter(|&record| record > 0)
}

/// A part of a file, being taken apart.
struct Part<'a> {
    text: &'a str,
    file: &'a str,
    delimiter: u8,
}

/// What is odd about the quotes of one record.
#[derive(Debug, PartialEq)]
enum Quote {
    /// Opened at this offset, and never closed.
    Open(usize),
    /// Opened at the first offset, closed lines later at the second, and more follows in the field.
    Swallows(usize, usize),
}

impl Part<'_> {
    fn place(&self, record: Option<u64>, line: u64) -> Place {
        Place { file: Some(self.file.to_owned()), record, line: Some(line), ..Place::default() }
    }

    /// Refuses a quote that is not closed where it should be.
    fn check_quotes(
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

    fn ragged_help(&self, raw: &[u8], start: usize, lines: &Lines<'_>) -> String {
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

fn fields(n: usize) -> String {
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
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// Moves on to offset `to`, where the next line begins.
    fn next_line(&mut self, to: usize) {
        self.at = to;
        self.line += 1;
    }

    /// Returns the line of offset `to`, and stays there.
    fn of(&mut self, to: usize) -> u64 {
        self.line = self.peek(to);
        self.at = to;
        self.line
    }

    /// Returns the line of offset `to`, which is not before the last one.
    fn peek(&self, to: usize) -> u64 {
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
