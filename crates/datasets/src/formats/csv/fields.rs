//! Records of CSV, one after another, as the places of their fields. Only quoted fields with quotes in them are copied.
//!
//! The dialect is that of the `csv` crate, and the tests compare the two: a record ends at a line feed, a carriage
//! return or both; blank lines are skipped; a quote counts at the start of a field, and two quotes within such a field
//! are one. Unlike there, blanks may precede the quote at the start of a field.

use memchr::{memchr, memchr_iter, memchr2, memchr3};
use std::ops::Range;

/// The fields of the record that was read last.
#[derive(Debug)]
pub struct Fields {
    delimiter: u8,
    fields: Vec<Field>,
    /// The places of the fields with their quotes; empty for a record without quotes, where they are those of `fields`.
    raw: Vec<Range<usize>>,
    /// The text of fields that do not stand in the file as such.
    unquoted: String,
    misplaced: Option<MisplacedQuote>,
}

/// The place of a field.
#[derive(Debug, Clone)]
enum Field {
    /// In the text of the file.
    InText(Range<usize>),
    /// In the text of fields from which quotes were removed.
    Unquoted(Range<usize>),
}

/// A field: a place in the text of the file, or a text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// It stands in the text unchanged.
    InText(Range<usize>),
    /// Quotes were removed from it.
    Unquoted(&'a str),
}

/// The place of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its first byte, after blank lines.
    pub start: usize,
    /// The byte after it and its line break.
    pub end: usize,
    /// Whether it holds no quote, and ends on the line on which it starts.
    pub(crate) is_plain: bool,
}

/// A quote that the `csv` crate accepts, and that loses characters, fields or records. Offsets are those of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MisplacedQuote {
    /// Opened at this offset, and never closed.
    Open(usize),
    /// Opened at `opened`, closed at `closed` on a later line, and followed by more text of the field.
    ClosedLate { opened: usize, closed: usize },
    /// Closed at `closed` on the same line, and followed by more text of the field than white space.
    ClosedEarly { closed: usize },
}

impl Fields {
    /// Makes a reader of records whose fields are separated by `delimiter`.
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            fields: Vec::new(),
            raw: Vec::new(),
            unquoted: String::new(),
            misplaced: None,
        }
    }

    /// Returns the number of fields of the record.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a record has at least one field")]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Iterates over the fields of the record.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.fields.iter().map(|field| match field {
            Field::InText(range) => Cell::InText(range.clone()),
            Field::Unquoted(range) => Cell::Unquoted(&self.unquoted[range.clone()]),
        })
    }

    /// Iterates over the fields of the record, which was read from `text`.
    pub fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().map(move |field| match field {
            Field::InText(range) => &text[range.clone()],
            Field::Unquoted(range) => &self.unquoted[range.clone()],
        })
    }

    /// Iterates over the places of the fields in the text, with their quotes.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> {
        let plain =
            self.fields.iter().filter(|_| self.raw.is_empty()).filter_map(|field| match field {
                Field::InText(range) => Some(range.clone()),
                Field::Unquoted(_) => None,
            });
        self.raw.iter().cloned().chain(plain)
    }

    /// Returns the first misplaced quote of the record.
    pub(crate) fn misplaced_quote(&self) -> Option<MisplacedQuote> {
        self.misplaced
    }

    /// Returns whether the record, which was read from `text`, is a line of white space.
    #[must_use]
    pub fn is_blank(&self, text: &str) -> bool {
        self.len() == 1 && self.words(text).all(|word| word.trim_ascii().is_empty())
    }

    /// Reads the record of `text` at `from` or after blank lines there; `None` when there is none.
    ///
    /// A record that ends with the text is incomplete if more text follows.
    pub fn read(&mut self, text: &str, from: usize) -> Option<Extent> {
        let bytes = text.as_bytes();
        self.fields.clear();
        self.raw.clear();
        self.unquoted.clear();
        self.misplaced = None;
        let blank = bytes[from..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let start = from + blank;
        if start == bytes.len() {
            return None;
        }
        let feed = memchr(b'\n', &bytes[start..]).map(|at| start + at);
        let line = &bytes[start..feed.unwrap_or(bytes.len())];
        let line = line.strip_suffix(b"\r").filter(|_| feed.is_some()).unwrap_or(line);
        if memchr2(b'"', b'\r', line).is_some() {
            let end = self.read_quoted(text, start);
            return Some(Extent { start, end, is_plain: false });
        }
        let mut field = start;
        for at in memchr_iter(self.delimiter, line) {
            self.fields.push(Field::InText(field..start + at));
            field = start + at + 1;
        }
        self.fields.push(Field::InText(field..start + line.len()));
        let end = feed.map_or(bytes.len(), |feed| feed + 1);
        Some(Extent { start, end, is_plain: feed.is_some() })
    }

    /// Reads a record with quotes or lone carriage returns; returns where the next one begins.
    fn read_quoted(&mut self, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let mut at = start;
        loop {
            let (field, end) = match bytes.get(at) {
                Some(b'"') => self.unquote(text, at),
                _ => match self.quote_after_blanks(bytes, at) {
                    Some(opened) => self.unquote(text, opened),
                    None => {
                        let end = self.end_of_field(bytes, at);
                        (Field::InText(at..end), end)
                    }
                },
            };
            self.fields.push(field);
            self.raw.push(at..end);
            match bytes.get(end) {
                Some(b'\n') => return end + 1,
                Some(b'\r') => return end + 1 + usize::from(bytes.get(end + 1) == Some(&b'\n')),
                Some(_) => at = end + 1,
                None => return end,
            }
        }
    }

    /// Reads the field whose opening quote stands at `opened`; returns it and where it ends.
    fn unquote(&mut self, text: &str, opened: usize) -> (Field, usize) {
        let bytes = text.as_bytes();
        let from = opened + 1;
        let begin = self.unquoted.len();
        let mut piece = from;
        let (closed, end) = loop {
            let Some(quote) = memchr(b'"', &bytes[piece..]).map(|at| piece + at) else {
                self.misplaced.get_or_insert(MisplacedQuote::Open(opened));
                break (bytes.len(), bytes.len());
            };
            if bytes.get(quote + 1) != Some(&b'"') {
                break (quote, self.end_of_field(bytes, quote + 1));
            }
            self.unquoted.push_str(&text[piece..=quote]);
            piece = quote + 2;
        };
        let tail = (closed + 1).min(end);
        if tail < end {
            let is_late = memchr(b'\n', &bytes[from..closed]).is_some();
            if is_late {
                self.misplaced.get_or_insert(MisplacedQuote::ClosedLate { opened, closed });
            } else if !bytes[tail..end].trim_ascii().is_empty() {
                self.misplaced.get_or_insert(MisplacedQuote::ClosedEarly { closed });
            }
        }
        if piece == from && tail == end {
            return (Field::InText(from..closed), end);
        }
        self.unquoted.push_str(&text[piece..closed]);
        self.unquoted.push_str(&text[tail..end]);
        (Field::Unquoted(begin..self.unquoted.len()), end)
    }

    /// Returns the quote that opens the field at `from` after blanks, as in `a, "b"`; `None` if there is none.
    ///
    /// The field has to end with another quote on the same line. Any other field that begins like this is a text with quotes
    /// in it.
    fn quote_after_blanks(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t') && *byte != self.delimiter;
        let opened = from + bytes[from..].iter().take_while(|byte| is_blank(byte)).count();
        if opened == from || bytes.get(opened) != Some(&b'"') {
            return None;
        }
        let line = memchr2(b'\r', b'\n', &bytes[opened..]).map_or(bytes.len(), |at| opened + at);
        let mut quote = opened;
        loop {
            quote += 1 + memchr(b'"', &bytes[quote + 1..line])?;
            if bytes[..line].get(quote + 1) == Some(&b'"') {
                quote += 1;
                continue;
            }
            let tail = &bytes[quote + 1..self.end_of_field(bytes, quote + 1)];
            return tail.trim_ascii().is_empty().then_some(opened);
        }
    }

    /// Returns the end of the unquoted text at `from`.
    fn end_of_field(&self, bytes: &[u8], from: usize) -> usize {
        memchr3(self.delimiter, b'\r', b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn misplaced_quotes_are_found_and_harmless_ones_accepted() {
        use MisplacedQuote::{ClosedEarly, ClosedLate, Open};
        for (raw, expected) in [
            ("a,\"b\"\n", None),
            ("a,\"b \"\"c\"\" d\"\n", None),
            ("\"a\nb\",c\r\n", None),
            ("a\"b,c\n", None),
            // White space after a closing quote loses nothing.
            ("\"a\" ,c\n", None),
            ("\"a\" b,c\n", Some(ClosedEarly { closed: 2 })),
            ("\"\"a\"\",c\n", Some(ClosedEarly { closed: 1 })),
            ("\"say \\\"hi\\\" ok\",a\n", Some(ClosedEarly { closed: 6 })),
            ("a,\"b\n", Some(Open(2))),
            ("a,\"b\"\"\n", Some(Open(2))),
            ("\"a\nb\"c\",d\n", Some(ClosedLate { opened: 0, closed: 4 })),
        ] {
            let mut fields = Fields::new(b',');
            fields.read(raw, 0).unwrap();
            assert_eq!(fields.misplaced_quote(), expected, "{raw:?}");
        }
    }

    #[test]
    fn spans_include_the_quotes() {
        let mut fields = Fields::new(b',');
        for text in ["a,,b c\r\n", "\"a \"\"b\"\", ,\"c\"d,e\n", "\"\"", "x\"y,\"z\n1\""] {
            fields.read(text, 0).unwrap();
            let spans: Vec<&str> = fields.spans().map(|span| &text[span]).collect();
            assert_eq!(spans.join(","), text.trim_end_matches(['\r', '\n']), "{text:?}");
            assert_eq!(spans.len(), fields.len());
        }
    }

    #[test]
    fn blanks_before_a_quote_that_opens_a_field_are_skipped() {
        for (raw, delimiter, expected) in [
            ("\"text\", \"intent\"\n", b',', ["text", "intent"]),
            ("\"a, b\",  \"say \"\"c, d\"\"\" \n", b',', ["a, b", "say \"c, d\" "]),
            (" \"a\",\t\"\"\r\n", b',', ["a", ""]),
            ("\"a\"; \"b;c\"", b';', ["a", "b;c"]),
            ("\"a\"\t \"b\"\n", b'\t', ["a", "b"]),
            // The quotes belong to the text.
            ("a, \"yes\" please\n", b',', ["a", " \"yes\" please"]),
            ("a, \"open\n", b',', ["a", " \"open"]),
            ("a, \"open\nb\",c\n", b',', ["a", " \"open"]),
        ] {
            let mut fields = Fields::new(delimiter);
            fields.read(raw, 0).unwrap();
            assert_eq!(fields.words(raw).collect::<Vec<_>>(), expected, "{raw:?}");
            assert_eq!(fields.misplaced_quote(), None, "{raw:?}");
        }
    }

    /// Returns the records of `text` as [`Fields`] reads them, each with its first byte.
    fn ours(text: &str, delimiter: u8) -> Vec<(usize, Vec<String>)> {
        let mut fields = Fields::new(delimiter);
        let (mut records, mut at) = (Vec::new(), 0);
        while let Some(extent) = fields.read(text, at) {
            let raw = &text[extent.start..extent.end];
            let lines = raw.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count();
            assert!(!extent.is_plain || !raw.contains('"') && lines == 1, "{raw:?}");
            records.push((extent.start, fields.words(text).map(str::to_owned).collect()));
            at = extent.end;
        }
        records
    }

    /// Returns the records of `text` as the `csv` crate reads them, each with its first byte.
    fn theirs(text: &str, delimiter: u8) -> Vec<(usize, Vec<String>)> {
        let mut reader = ::csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut record = ::csv::StringRecord::new();
        let (mut records, mut at) = (Vec::new(), 0);
        while reader.read_record(&mut record).unwrap() {
            let blank = text[at..].bytes().take_while(|byte| b"\r\n".contains(byte)).count();
            records.push((at + blank, record.iter().map(str::to_owned).collect()));
            at = usize::try_from(reader.position().byte()).unwrap();
        }
        records
    }

    #[test]
    fn records_are_those_of_the_csv_crate() {
        for text in [
            "",
            "\n\r\n",
            "a",
            "a,b\nc,d\n",
            "a,\r\n,\r\r\n\"\"",
            "a\rb\n",
            "\"a \"\"b\"\" c\",\"d\ne\" f\"g\"\r\n\"\"\"\",x",
            "5\" screen,b\n",
            "\"open\nand,on",
            "\"open\"\"",
            "é,\"ü\"\"\"\n",
        ] {
            assert_eq!(ours(text, b','), theirs(text, b','), "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_split_as_the_csv_crate_splits_it(
            text in "([ab;\"\r\n,\t é]|\"\"|\r\n|,\"){0,40}",
            delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        ) {
            // The crate does not skip blanks before a quote.
            let is_blank = |c: char| matches!(c, ' ' | '\t') && c != char::from(delimiter);
            let pieces: Vec<&str> = text.split('"').collect();
            let last = pieces.len() - 1;
            let text: Vec<&str> = (pieces.iter().enumerate())
                .map(|(at, piece)| if at < last { piece.trim_end_matches(is_blank) } else { piece })
                .collect();
            let text = text.join("\"");
            prop_assert_eq!(ours(&text, delimiter), theirs(&text, delimiter));
        }
    }
}
