//! CSV and TSV: records with their numbers and lines.
//!
//! Fields are split as the `csv` crate splits them. That crate accepts three mistakes, which are faults here: a quote that
//! is never closed; one that is closed by the opening quote of a later record, which swallows all records between; and text
//! after a closing quote, which loses quotes of the text.

mod dialect;
mod fields;
mod writing;

use dialect::SAMPLE_BYTES;
pub use dialect::{Ambiguous, Dialect, Separator, delimiter, word};
pub(crate) use fields::Cell;
use fields::MisplacedQuote;
pub use fields::{Extent, Fields};
pub use writing::{
    SheetForm, csv_bytes, csv_parts, csv_with_other_columns, part, rows_csv, rows_tsv,
    spreadsheet_csv, write_csv,
};

use super::encoding::{LONGEST, Start, decode, not_utf8, too_long};
use crate::column_roles::check_names;
use botops_findings::{Fault, Finding, Place, Result, Severity};

/// Receives the header and the records of a CSV file, in their order. The text of the records lives for `'t`.
pub(crate) trait RowSink<'t> {
    /// Receives the names of the columns, which stand at `place` and are separated by `delimiter`.
    ///
    /// # Errors
    /// A fault of the names ends the reading.
    fn header(&mut self, names: Vec<String>, delimiter: u8, place: &Place) -> Result<()>;

    /// Receives the record `number`, which starts on `line`. Its `fields`, as many as the header has, were read from
    /// `text`. The numbers are consecutive, and no record comes after one with another number of fields.
    fn record(&mut self, fields: &Fields, text: &'t str, number: u64, line: u64);
}

/// The treatment of records with another number of fields than the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ragged {
    /// It is a fault at the end of the part in which it stands.
    Refuse,
    /// It is a fault at the end of the file, together with all others.
    Gather,
}

/// Reads the records of a file part by part.
#[derive(Debug)]
pub(crate) struct Reader {
    file: String,
    separator: Separator,
    /// The delimiter; `None` before the beginning of the file was read.
    delimiter: Option<u8>,
    start: Start,
    /// The number of columns of the header; `None` before the header was read.
    width: Option<usize>,
    /// Another delimiter that a name of the header contains.
    other: Option<u8>,
    ragged: Ragged,
    /// Records with another number of fields, when they are gathered.
    gathered: Vec<Finding>,
}

impl Reader {
    /// Begins a file whose text begins at the byte `offset`.
    pub(crate) fn new(file: &str, separator: Separator, offset: u64, ragged: Ragged) -> Self {
        Self {
            file: file.to_owned(),
            separator,
            delimiter: None,
            start: Start::at(offset),
            width: None,
            other: None,
            ragged,
            gathered: Vec::new(),
        }
    }

    /// The fault of `bytes`, which begin with a record that does not end in them.
    pub(crate) fn too_long(&self, bytes: &[u8]) -> Fault {
        let record = self.width.map(|_| self.start.records + 1);
        let (text, _) = decode(bytes, false);
        let mut fields = Fields::new(self.delimiter.unwrap_or(b','));
        fields.read(text, 0);
        let line = self.start.line;
        let lines = Lines { text: bytes, at: 0, line };
        unended(bytes, fields.misplaced_quote(), self.place(record, line), &lines)
    }

    fn place(&self, record: Option<u64>, line: u64) -> Place {
        Place { file: Some(self.file.clone()), record, line: Some(line), ..Place::default() }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// `BOT-2105` for the ragged records that were gathered.
    pub(crate) fn finish(&mut self) -> Result<()> {
        refuse(std::mem::take(&mut self.gathered))
    }

    /// Passes the whole records at the beginning of `bytes`, the next part of the file, to `sink`; returns how many
    /// bytes they have.
    ///
    /// Unless `bytes` are the `last` ones, the record at their end is left, because it may continue in the next part.
    ///
    /// # Errors
    /// See [`crate::read()`]; those of `sink`. The records before the fault were passed to `sink`.
    pub(crate) fn read<'t>(
        &mut self,
        bytes: &'t [u8],
        last: bool,
        sink: &mut impl RowSink<'t>,
    ) -> Result<usize> {
        let (text, is_damaged) = decode(bytes, last);
        let last = last && !is_damaged;
        let mut consumed = 0;
        let delimiter = match self.delimiter {
            Some(delimiter) => delimiter,
            // The dialect must not depend on the size of a part.
            None if bytes.len() < SAMPLE_BYTES && !last && !is_damaged => return Ok(0),
            None => {
                let place = self.place(None, self.start.line);
                let dialect = Dialect::of(text, last, self.separator)
                    .map_err(|ambiguous| ambiguous.fault(place))?;
                consumed = dialect.start;
                *self.delimiter.insert(dialect.delimiter)
            }
        };
        let mut part = Part { text, file: &self.file, delimiter, other: self.other };
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: self.start.line };
        let mut record = Fields::new(delimiter);
        let mut ragged: Vec<Finding> = Vec::new();
        let mut number = self.start.records;
        loop {
            let Some(extent) = record.read(text, consumed) else {
                // A line feed may follow the last carriage return: both are one line break.
                let is_cut = !last && text[consumed..].ends_with('\r');
                consumed = text.len() - usize::from(is_cut);
                break;
            };
            let Extent { start, end, is_plain } = extent;
            if end == text.len() && !last {
                break;
            }
            consumed = end;
            let line = lines.advance(start);
            if is_plain {
                lines.next_line(end);
            }
            if end - start > LONGEST {
                let place = part.place(self.width.map(|_| number + 1), line);
                let quote = record.misplaced_quote();
                return Err(unended(&bytes[start..end], quote, place, &lines));
            }
            let Some(width) = self.width else {
                if record.is_blank(text) {
                    continue;
                }
                part.check_quotes(&record, None, line, &lines)?;
                let names: Vec<String> =
                    record.words(text).map(|name| name.trim().to_owned()).collect();
                let place = part.place(None, line);
                check_text(&names, &place)?;
                check_names(&names, &place)?;
                self.width = Some(names.len());
                self.other = dialect::other_in(&names, delimiter);
                part.other = self.other;
                sink.header(names, delimiter, &place).map_err(|fault| match self.other {
                    Some(other) => fault.hint(dialect::hint(other)),
                    None => fault,
                })?;
                continue;
            };
            if width > 1 && record.is_blank(text) {
                continue;
            }
            number += 1;
            part.check_quotes(&record, Some(number), line, &lines)?;
            if record.len() == width {
                // Records after a fault are counted, and go nowhere.
                if ragged.is_empty() && self.gathered.is_empty() {
                    sink.record(&record, text, number, line);
                }
            } else {
                ragged.push(
                    part.ragged(&record, width, extent, &lines).at(part.place(Some(number), line)),
                );
            }
        }
        match self.ragged {
            Ragged::Gather => self.gathered.append(&mut ragged),
            Ragged::Refuse => refuse(ragged)?,
        }
        if is_damaged {
            // One more byte shows whether a new record begins at the damage.
            let rest = count_records(&format!("{}x", &text[consumed..]), delimiter);
            let record = match self.width {
                Some(_) => Some(number + rest),
                None => rest.checked_sub(1).filter(|&record| record > 0),
            };
            return Err(not_utf8(bytes, text, &self.file, self.start, record));
        }
        let line = lines.peek(consumed);
        let offset = self.start.offset + consumed as u64;
        self.start = Start { offset, line, column: 0, records: number };
        Ok(consumed)
    }
}

/// The remedy for an open quote.
const CLOSE: &str = "close it, or double each quote that belongs to the text: `\"\"`";
/// The remedy for text after a closing quote.
const FOLLOWED: &str = "enclose the whole field in quotes, and double each quote that belongs to the text: `\"he said \"\"hi\"\"\"`";
/// The remedy for a quote after a backslash.
const ESCAPED: &str = "a backslash does not escape a quote in CSV: double each quote that belongs to the text, `\"\"` instead of `\\\"`";

/// The fault of the record at `place`, whose `bytes` are more than 64 MiB.
fn unended(bytes: &[u8], quote: Option<MisplacedQuote>, place: Place, lines: &Lines<'_>) -> Fault {
    let Some(MisplacedQuote::Open(at)) = quote else { return too_long(place) };
    let message = format!("a quote opened here is not closed within {} MiB", bytes.len() >> 20);
    Fault::data("BOT-2106", message)
        .at(Place { line: Some(lines.peek(at)), column: Some(lines.column(at)), ..place })
        .hint(CLOSE)
}

/// Refuses a file with `ragged` records. The place of the fault is that of the first.
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

/// Refuses a header with a NUL: the file is no text, or its first line is damaged.
///
/// # Errors
/// `BOT-2103` (exit 3).
fn check_text(names: &[String], place: &Place) -> Result<()> {
    if names.iter().all(|name| !name.contains('\0')) {
        return Ok(());
    }
    Err(Fault::data("BOT-2103", "the header is binary: it contains a NUL byte")
        .at(place.clone())
        .hint("name a CSV, TSV, JSONL or Parquet file, or remove the NUL from the first line"))
}

fn count_records(text: &str, delimiter: u8) -> u64 {
    let (mut fields, mut at, mut records) = (Fields::new(delimiter), 0, 0);
    while let Some(Extent { end, .. }) = fields.read(text, at) {
        (at, records) = (end, records + 1);
    }
    records
}

/// The part of a file that is being read.
struct Part<'a> {
    text: &'a str,
    file: &'a str,
    delimiter: u8,
    /// Another delimiter that the header contains.
    other: Option<u8>,
}

impl Part<'_> {
    fn place(&self, record: Option<u64>, line: u64) -> Place {
        Place { file: Some(self.file.to_owned()), record, line: Some(line), ..Place::default() }
    }

    /// Refuses a misplaced quote in `fields`.
    #[inline]
    fn check_quotes(
        &self,
        fields: &Fields,
        record: Option<u64>,
        line: u64,
        lines: &Lines<'_>,
    ) -> Result<()> {
        match fields.misplaced_quote() {
            None => Ok(()),
            Some(quote) => Err(self.misplaced(quote, record, line, lines)),
        }
    }

    fn misplaced(
        &self,
        quote: MisplacedQuote,
        record: Option<u64>,
        line: u64,
        lines: &Lines<'_>,
    ) -> Fault {
        let (at, code, message, hint) = match quote {
            MisplacedQuote::Open(at) => {
                (at, "BOT-2106", "a quote opened here is never closed".to_owned(), CLOSE)
            }
            MisplacedQuote::ClosedLate { opened, closed } => {
                let line = lines.peek(closed);
                let message = format!(
                    "a quote opened here is closed only on line {line}, in the middle of a field"
                );
                (opened, "BOT-2106", message, CLOSE)
            }
            MisplacedQuote::ClosedEarly { closed } => {
                let message = "more text follows the quote that closes a field here".to_owned();
                let is_escaped = self.text[..closed].ends_with('\\');
                (closed, "BOT-2230", message, if is_escaped { ESCAPED } else { FOLLOWED })
            }
        };
        Fault::data(code, message)
            .at(Place {
                line: Some(lines.peek(at)),
                column: Some(lines.column(at)),
                ..self.place(record, line)
            })
            .hint(hint)
    }

    /// Returns the finding of a record with another number of fields than `width`, without its place.
    fn ragged(&self, fields: &Fields, width: usize, extent: Extent, lines: &Lines<'_>) -> Finding {
        let message = match fields.len() {
            1 => format!("1 field instead of {width}"),
            n => format!("{n} fields instead of {width}"),
        };
        let help = self.ragged_help(extent, lines);
        Finding::new("BOT-2105", Severity::Error, message, help)
    }

    fn ragged_help(&self, extent: Extent, lines: &Lines<'_>) -> String {
        let raw = &self.text[extent.start..extent.end];
        if let (Some(first), Some(last)) = (raw.find('"'), raw.rfind('"')) {
            let (first, last) = (lines.peek(extent.start + first), lines.peek(extent.start + last));
            if first < last {
                return format!(
                    "look at the quotes: one opened on line {first} reaches to line {last}"
                );
            }
        }
        let name = match self.delimiter {
            b',' => "a comma".to_owned(),
            b';' => "a semicolon".to_owned(),
            other => dialect::shown(other),
        };
        let example = match self.delimiter {
            b'\t' => ',',
            other => char::from(other),
        };
        let help = format!("quote a text that holds {name}: `\"like{example} this\"`");
        match self.other {
            Some(other) => format!("{help}; {}", dialect::hint(other)),
            None => help,
        }
    }
}

/// Counts lines from the last offset on. A lone carriage return is a line break too.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// Moves to the offset `to`, where the next line begins.
    fn next_line(&mut self, to: usize) {
        self.at = to;
        self.line += 1;
    }

    /// Moves to the offset `to`, and returns its line.
    fn advance(&mut self, to: usize) -> u64 {
        self.line = self.peek(to);
        self.at = to;
        self.line
    }

    /// Returns the line of the offset `to`, which is not before the last one.
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

    /// Returns the column of the offset `at` on its line, in characters, from 1.
    fn column(&self, at: usize) -> u64 {
        let before = self.text[..at].iter().rev().take_while(|byte| !b"\r\n".contains(byte));
        // Continuation bytes belong to the character before them.
        before.filter(|&&byte| byte & 0xc0 != 0x80).count() as u64 + 1
    }
}
