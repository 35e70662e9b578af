//! One record of CSV after another, as the places of its fields: nothing is copied but what quotes are taken out of.
//!
//! The dialect is that of the `csv` crate, to which the tests hold it: a record ends at a line feed, a carriage return
//! or both; blank lines are skipped; a quote counts at the start of a field, and two within such a field are one.

use memchr::{memchr, memchr_iter, memchr2, memchr3};
use std::ops::Range;

/// The fields of the record that was read last.
#[derive(Debug)]
pub struct Fields {
    delimiter: u8,
    fields: Vec<Field>,
    /// What fields say that do not stand in the text as such.
    unquoted: String,
}

/// Where a field is.
#[derive(Debug, Clone)]
enum Field {
    /// In the text.
    There(Range<usize>),
    /// In what quotes were taken out of.
    Unquoted(Range<usize>),
}

/// A field, as the place of it in the text, or as a text of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    /// It stands in the text as it is.
    There(Range<usize>),
    /// Quotes were taken out of it.
    Unquoted(&'a str),
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its first byte, after blank lines.
    pub start: usize,
    /// The byte after it and its line break.
    pub end: usize,
    /// Whether it holds no quote, and ends with the line on which it starts.
    pub(crate) is_plain: bool,
}

impl Fields {
    /// Begins with fields parted by `delimiter`.
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, fields: Vec::new(), unquoted: String::new() }
    }

    /// Returns how many fields the record has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Iterates over the fields of the record.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.fields.iter().map(|field| match field {
            Field::There(range) => Cell::There(range.clone()),
            Field::Unquoted(range) => Cell::Unquoted(&self.unquoted[range.clone()]),
        })
    }

    /// Iterates over the fields of the record, which was read from `text`.
    pub fn words<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(|at| self.word(at, text))
    }

    /// Returns the field `at` of the record, which was read from `text`.
    pub(crate) fn word<'a>(&'a self, at: usize, text: &'a str) -> &'a str {
        match &self.fields[at] {
            Field::There(range) => &text[range.clone()],
            Field::Unquoted(range) => &self.unquoted[range.clone()],
        }
    }

    /// Returns whether the record, which was read from `text`, is a line of white space.
    pub fn is_blank(&self, text: &str) -> bool {
        self.len() == 1 && self.words(text).all(|word| word.trim_ascii().is_empty())
    }

    /// Reads the record of `text` at `from` or after blank lines there; `None` when there is none.
    ///
    /// What ends with the text may go on in what follows it.
    pub fn read(&mut self, text: &str, from: usize) -> Option<Extent> {
        let bytes = text.as_bytes();
        self.fields.clear();
        self.unquoted.clear();
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
            self.fields.push(Field::There(field..start + at));
            field = start + at + 1;
        }
        self.fields.push(Field::There(field..start + line.len()));
        let end = feed.map_or(bytes.len(), |feed| feed + 1);
        Some(Extent { start, end, is_plain: feed.is_some() })
    }

    /// Reads a record with quotes or lone carriage returns; returns where the next one begins.
    fn read_quoted(&mut self, text: &str, start: usize) -> usize {
        let bytes = text.as_bytes();
        let mut at = start;
        loop {
            let (field, end) = match bytes.get(at) {
                Some(b'"') => self.unquote(text, at + 1),
                _ => {
                    let end = self.end_of_field(bytes, at);
                    (Field::There(at..end), end)
                }
            };
            self.fields.push(field);
            match bytes.get(end) {
                Some(b'\n') => return end + 1,
                Some(b'\r') => return end + 1 + usize::from(bytes.get(end + 1) == Some(&b'\n')),
                Some(_) => at = end + 1,
                None => return end,
            }
        }
    }

    /// Reads the field whose opening quote stands before `from`; returns where it ends.
    fn unquote(&mut self, text: &str, from: usize) -> (Field, usize) {
        let bytes = text.as_bytes();
        let begin = self.unquoted.len();
        let mut piece = from;
        let (closed, end) = loop {
            let Some(quote) = memchr(b'"', &bytes[piece..]).map(|at| piece + at) else {
                break (bytes.len(), bytes.len());
            };
            if bytes.get(quote + 1) != Some(&b'"') {
                break (quote, self.end_of_field(bytes, quote + 1));
            }
            self.unquoted.push_str(&text[piece..=quote]);
            piece = quote + 2;
        };
        let tail = (closed + 1).min(end);
        if piece == from && tail == end {
            return (Field::There(from..closed), end);
        }
        self.unquoted.push_str(&text[piece..closed]);
        self.unquoted.push_str(&text[tail..end]);
        (Field::Unquoted(begin..self.unquoted.len()), end)
    }

    /// Returns where what stands at `from`, outside of quotes, ends.
    fn end_of_field(&self, bytes: &[u8], from: usize) -> usize {
        memchr3(self.delimiter, b'\r', b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The records of `text`, each with where it starts, as they are read here.
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

    /// The same by the `csv` crate.
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
        fn any_text_is_taken_apart_as_the_csv_crate_does(
            text in "([ab;\"\r\n,\t é]|\"\"|\r\n|,\"){0,40}",
            delimiter in prop::sample::select(vec![b',', b';', b'\t']),
        ) {
            prop_assert_eq!(ours(&text, delimiter), theirs(&text, delimiter));
        }
    }
}
