//! A table held as it was written: cells are replaced and records left out, and all else stays byte for byte.

use super::{Repaired, spans};
use botops_datasets::{
    Format, ReadOptions,
    column_roles::Roles,
    opening::{self, Identity, STDIN, expand, unread},
    table::{Batch, Origin, Row, Table},
};
use botops_findings::{Fault, Result};
use botops_validation::quarantine::fingerprint;
use bytes::Bytes;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    ops::Range,
    path::Path,
};

/// The mark with which some programs begin a text.
const MARK: &str = "\u{feff}";

/// A file of text that is a table, in memory.
///
/// - `spans` are those of the records in `text`, in their order, without what is between them
/// - `batches` hold as many rows
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// The unpacked file, with its byte-order mark.
    text: String,
    delimiter: u8,
    pub(crate) names: Vec<String>,
    /// `None`: there is no text, and the rules are about other columns.
    pub(crate) roles: Option<Roles>,
    batches: Vec<Batch>,
    /// The first record of each batch, from 0.
    firsts: Vec<usize>,
    spans: Vec<Range<usize>>,
    options: ReadOptions,
}

/// What is done to a document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edits {
    /// Cells by record, from 0, and column.
    pub(crate) cells: BTreeMap<(usize, usize), String>,
    /// Records that are left out, from 0.
    pub(crate) removed: BTreeSet<usize>,
}

impl Document {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `BOT-2220` (exit 2) for what is not one file of text: standard input, several files, Parquet, training data of
    /// Rasa. Those of reading a table.
    pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<Self> {
        let refused =
            |what: String, hint: &str| Err(Fault::usage("BOT-2220", what).file(path).hint(hint));
        if path == Path::new(STDIN) {
            let hint =
                "put it into a file, and name that: records are found again by their numbers";
            return refused("what comes through a pipe cannot be repaired".to_owned(), hint);
        }
        let files = expand(path)?;
        let [file] = files.as_slice() else {
            let what = format!(
                "`{}` names {} files, and one is repaired at a time",
                path.display(),
                files.len()
            );
            return refused(what, "name one of them");
        };
        let name = file.display().to_string();
        let mut opened = opening::open(file, options.format, &options.limits, Identity::Unknown)?;
        if let Format::Parquet | Format::Rasa = opened.format {
            let what = match opened.format {
                Format::Parquet => "a Parquet file",
                _ => "training data of Rasa",
            };
            let hint = format!(
                "make records in lines of it first: `botops data import {name} --out data.jsonl`"
            );
            return refused(format!("{what} is not repaired where it stands"), &hint);
        }
        let format = opened.format;
        let mut bytes = if opened.mark > 0 { MARK.as_bytes().to_vec() } else { Vec::new() };
        opened.reader.read_to_end(&mut bytes).map_err(|error| unread(error, &name))?;
        Self::of(bytes.into(), &name, format, options)
    }

    /// Returns how many records there are in what was rendered.
    ///
    /// # Errors
    /// Those of reading it.
    pub(crate) fn count(repaired: &Repaired) -> Result<u64> {
        let Repaired { bytes, format, read } = repaired;
        let again = Self::of(bytes.clone(), "", *format, read)?;
        Ok(again.len() as u64)
    }

    /// Takes `bytes`, which are unpacked.
    fn of(bytes: Bytes, name: &str, format: Format, options: &ReadOptions) -> Result<Self> {
        let options = ReadOptions { format: Some(format), ..options.clone() };
        let mut table = Table::open(&Origin::held(bytes.clone(), name), &options)?;
        let (mut batches, mut firsts, mut n) = (Vec::new(), Vec::new(), 0);
        while let Some(batch) = table.next()? {
            firsts.push(n);
            n += batch.rows().count();
            batches.push(batch);
        }
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|error| bug(name, "is no text").caused_by(error))?;
        let start = if text.starts_with(MARK) { MARK.len() } else { 0 };
        let delimiter = spans::delimiter(&text[start..], format);
        let mut spans = spans::records(&text[start..], format, delimiter);
        for span in &mut spans {
            *span = span.start + start..span.end + start;
        }
        if spans.len() != n {
            return Err(bug(name, "was taken apart in two ways"));
        }
        let shape = table.shape();
        Ok(Self {
            name: name.to_owned(),
            format,
            delimiter,
            names: shape.names.clone(),
            roles: shape.roles.clone(),
            text,
            batches,
            firsts,
            spans,
            options,
        })
    }

    /// Returns how many records there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the record at `at`, from 0.
    pub(crate) fn row(&self, at: usize) -> Row<'_> {
        let batch = self.firsts.partition_point(|first| *first <= at) - 1;
        self.batches[batch].row(at - self.firsts[batch])
    }

    /// Returns the records in their order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.batches.iter().flat_map(Batch::rows)
    }

    /// Returns what tells whether the record at `at`, from 0, is still what it was.
    pub(crate) fn fingerprint(&self, at: usize) -> String {
        let row = self.row(at);
        fingerprint(
            self.names.iter().enumerate().map(|(column, name)| (name.as_str(), row.cell(column))),
        )
    }

    /// Returns the column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|there| there == name)
    }

    /// Returns the cell of `column` as `edits` leave it.
    pub(crate) fn cell<'a>(&'a self, edits: &'a Edits, at: usize, column: usize) -> &'a str {
        edits.cells.get(&(at, column)).map_or_else(|| self.row(at).cell(column), String::as_str)
    }

    /// Returns how to read what is rendered of this document.
    pub(crate) fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// Returns the bytes as they were read, unpacked.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.text.as_bytes())
    }

    /// Returns the unpacked file with `edits` done to it, which was read again and is what it was meant to be.
    ///
    /// # Errors
    /// `BOT-2221` (exit 3) when no record is left; `BOT-9001` (exit 1) when it reads other than it was meant: a bug.
    pub(crate) fn render(&self, edits: &Edits) -> Result<Bytes> {
        if edits.removed.len() >= self.len() {
            return Err(Fault::data("BOT-2221", "no record would be left")
                .file(&self.name)
                .hint("a data file holds a record at least: look at what is removed"));
        }
        if edits.cells.is_empty() && edits.removed.is_empty() {
            return Ok(self.bytes());
        }
        let mut out = String::with_capacity(self.text.len() + self.text.len() / 16);
        let mut is_first = true;
        out.push_str(&self.text[..self.spans[0].start]);
        for (at, span) in self.spans.iter().enumerate() {
            if edits.removed.contains(&at) {
                continue;
            }
            // What is between two records goes with the later one.
            if !std::mem::take(&mut is_first) {
                out.push_str(&self.text[self.spans[at - 1].end..span.start]);
            }
            out.push_str(&self.record(at, edits));
        }
        out.push_str(&self.text[self.spans.last().map_or(0, |span| span.end)..]);
        let bytes = Bytes::from(out);
        self.check(edits, &bytes)?;
        Ok(bytes)
    }

    /// Returns the record at `at` as it is to be written.
    fn record(&self, at: usize, edits: &Edits) -> Cow<'_, str> {
        let raw = &self.text[self.spans[at].clone()];
        let changed: Vec<(usize, &str)> = edits
            .cells
            .range((at, 0)..(at + 1, 0))
            .filter(|((_, column), cell)| self.row(at).cell(*column) != cell.as_str())
            .map(|((_, column), cell)| (*column, cell.as_str()))
            .collect();
        if changed.is_empty() {
            return Cow::Borrowed(raw);
        }
        Cow::Owned(match self.format {
            Format::Csv | Format::Tsv => spans::with_fields(raw, self.delimiter, &changed),
            _ => {
                let named: Vec<(&str, &str)> = changed
                    .iter()
                    .map(|(column, cell)| (self.names[*column].as_str(), *cell))
                    .collect();
                spans::with_members(raw, &named)
            }
        })
    }

    /// Reads `bytes` again: nothing is written that does not say what it was meant to.
    fn check(&self, edits: &Edits, bytes: &Bytes) -> Result<()> {
        let again = Self::of(bytes.clone(), &self.name, self.format, &self.options)?;
        let is_table = matches!(self.format, Format::Csv | Format::Tsv);
        let kept = (0..self.len()).filter(|at| !edits.removed.contains(at));
        let is_same = again.len() == self.len() - edits.removed.len()
            && again.rows().zip(kept).all(|(row, at)| {
                self.names.iter().enumerate().all(|(column, name)| {
                    // A key that only removed objects had is gone with them.
                    let there = if is_table { Some(column) } else { again.column(name) };
                    let cell = there.map_or("", |column| row.cell(column));
                    cell == self.cell(edits, at, column)
                })
            });
        if is_same { Ok(()) } else { Err(bug(&self.name, "would not read as it was meant")) }
    }

    /// Returns `value` as the cell of `column` of the record at `at` would be read, if it were written there.
    ///
    /// # Errors
    /// What is wrong with it, and a hint, where the column holds no text.
    pub(crate) fn as_read(
        &self,
        at: usize,
        column: usize,
        value: &str,
    ) -> std::result::Result<String, (String, &'static str)> {
        if value.contains('\0') {
            let message =
                format!("`{}` would hold a NUL character, which no text does", self.names[column]);
            return Err((message, "take it out: `\\u{0}` stands for it"));
        }
        match self.format {
            Format::Csv | Format::Tsv => Ok(value.to_owned()),
            _ => spans::member_as_read(
                &self.text[self.spans[at].clone()],
                &self.names[column],
                value,
            ),
        }
    }
}

fn bug(name: &str, what: &str) -> Fault {
    Fault::internal("BOT-9001", format!("`{name}` {what}: nothing was written")).file(name)
}
