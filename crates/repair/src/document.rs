//! A table as it is written: cells are replaced and records removed, and all other bytes stay the same.

use crate::{repaired::Repaired, spans};
use botops_datasets::{
    Encoding, Format, ReadOptions,
    column_roles::Roles,
    formats::csv::SheetForm,
    opening::{self, Identity, STDIN, expand, unread},
    table::{Batch, Origin, Row, Table},
};
use botops_findings::{Fault, Result};
use botops_text::shell_line;
use botops_validation::quarantine::fingerprint;
use bytes::Bytes;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    ops::Range,
    path::Path,
};

/// The byte-order mark.
const MARK: &str = "\u{feff}";

/// A text file that is a table, in memory.
///
/// - `spans` are the records in `text`, in their order, without the bytes between them
/// - `batches` hold one row per span
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) name: String,
    pub(crate) format: Format,
    /// The unpacked file, with its byte-order mark.
    text: String,
    delimiter: u8,
    pub(crate) names: Vec<String>,
    /// `None`: there is no text column, and the rules are about other columns.
    pub(crate) roles: Option<Roles>,
    batches: Vec<Batch>,
    /// The position of the first record of each batch, from 0.
    firsts: Vec<usize>,
    spans: Vec<Range<usize>>,
    options: ReadOptions,
}

/// Edits of a document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edits {
    /// The new cells, by record, from 0, and column.
    pub(crate) cells: BTreeMap<(usize, usize), String>,
    /// The removed records, from 0.
    pub(crate) removed: BTreeSet<usize>,
}

impl Document {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// `BOT-2220` (exit 2) for standard input, several files, Parquet and Rasa training data, none of which is one text
    /// file with a table; those of reading a table.
    pub(crate) fn read(path: &Path, options: &ReadOptions) -> Result<Self> {
        let refused = |message: String, hint: &str| {
            Err(Fault::usage("BOT-2220", message).file(path).hint(hint))
        };
        if path == Path::new(STDIN) {
            let hint = "save it to a file, and name that file: records are found by their numbers";
            return refused("standard input cannot be repaired".to_owned(), hint);
        }
        let files = expand(path)?;
        let [file] = files.as_slice() else {
            let message = format!(
                "`{}` matches {} files, but only one file can be repaired at a time",
                path.display(),
                files.len()
            );
            return refused(message, "name one of them");
        };
        let name = file.display().to_string();
        let ReadOptions { format, encoding, limits, .. } = options;
        let mut opened = opening::open(file, *format, *encoding, limits, Identity::Unknown)?;
        if let Format::Parquet | Format::Rasa = opened.format {
            let kind = match opened.format {
                Format::Parquet => "a Parquet file",
                _ => "Rasa training data",
            };
            let import = shell_line(["botops", "data", "import", &name, "--out", "data.jsonl"]);
            let hint = format!("convert it to JSONL first: `{import}`");
            return refused(format!("{kind} cannot be repaired in place"), &hint);
        }
        let format = opened.format;
        let mut bytes = if opened.mark > 0 { MARK.as_bytes().to_vec() } else { Vec::new() };
        opened.reader.read_to_end(&mut bytes).map_err(|error| unread(error, &name))?;
        Self::of(bytes.into(), &name, format, options)
    }

    /// Returns the number of records in a rendered document.
    ///
    /// # Errors
    /// Those of reading it.
    pub(crate) fn count(repaired: &Repaired) -> Result<u64> {
        let Repaired { bytes, format, read } = repaired;
        let again = Self::of(bytes.clone(), "", *format, read)?;
        Ok(again.len() as u64)
    }

    /// Reads unpacked `bytes`.
    fn of(bytes: Bytes, name: &str, format: Format, options: &ReadOptions) -> Result<Self> {
        // The bytes were decoded when they were read.
        let encoding = Encoding::Utf8;
        let options = ReadOptions { format: Some(format), encoding, ..options.clone() };
        let mut table = Table::open(&Origin::held(bytes.clone(), name), &options)?;
        let (mut batches, mut firsts, mut n) = (Vec::new(), Vec::new(), 0);
        while let Some(batch) = table.next()? {
            firsts.push(n);
            n += batch.rows().count();
            batches.push(batch);
        }
        let text = String::from_utf8(bytes.to_vec())
            .map_err(|error| bug(name, "is not UTF-8").caused_by(error))?;
        let start = if text.starts_with(MARK) { MARK.len() } else { 0 };
        let dialect = spans::dialect(&text[start..], format, options.delimiter);
        let mut spans = spans::records(&text[start..], format, dialect);
        for span in &mut spans {
            *span = span.start + start..span.end + start;
        }
        if spans.len() != n {
            return Err(bug(name, "was split into records in two different ways"));
        }
        let shape = table.shape();
        Ok(Self {
            name: name.to_owned(),
            format,
            delimiter: dialect.delimiter,
            names: shape.names.clone(),
            roles: shape.roles.clone(),
            text,
            batches,
            firsts,
            spans,
            options,
        })
    }

    /// Returns the number of records.
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

    /// Returns the fingerprint of the record at `at`, from 0.
    pub(crate) fn fingerprint(&self, at: usize) -> String {
        let row = self.row(at);
        fingerprint(
            self.names.iter().enumerate().map(|(column, name)| (name.as_str(), row.cell(column))),
        )
    }

    /// Returns the column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    /// Returns the cell of `column` after `edits`.
    pub(crate) fn cell<'a>(&'a self, edits: &'a Edits, at: usize, column: usize) -> &'a str {
        edits.cells.get(&(at, column)).map_or_else(|| self.row(at).cell(column), String::as_str)
    }

    /// Returns the form of a table that people edit together with this document.
    pub(crate) fn sheet_form(&self) -> SheetForm {
        let is_table = matches!(self.format, Format::Csv | Format::Tsv);
        SheetForm::of_data(is_table.then_some(self.delimiter))
    }

    /// Returns the options with which the rendered document is read.
    pub(crate) fn options(&self) -> &ReadOptions {
        &self.options
    }

    /// Returns the bytes as they were read, unpacked.
    pub(crate) fn bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.text.as_bytes())
    }

    /// Returns the unpacked file after `edits`. The result was read again, and has the edited cells and no others.
    ///
    /// # Errors
    /// `BOT-2221` (exit 3) when no record is left; `BOT-9001` (exit 1), a bug, when the result reads differently.
    pub(crate) fn render(&self, edits: &Edits) -> Result<Bytes> {
        if edits.removed.len() >= self.len() {
            return Err(Fault::data("BOT-2221", "no record would remain")
                .file(&self.name)
                .hint("a data file must have at least one record: check the removals"));
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
            // The bytes between two records belong to the later one.
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

    /// Returns the bytes of the record at `at` after `edits`.
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

    /// Reads the rendered `bytes` again, and checks that every cell is as `edits` say.
    fn check(&self, edits: &Edits, bytes: &Bytes) -> Result<()> {
        let again = Self::of(bytes.clone(), &self.name, self.format, &self.options)?;
        let is_table = matches!(self.format, Format::Csv | Format::Tsv);
        let kept = (0..self.len()).filter(|at| !edits.removed.contains(at));
        let is_same = again.len() == self.len() - edits.removed.len()
            && again.rows().zip(kept).all(|(row, at)| {
                self.names.iter().enumerate().all(|(column, name)| {
                    // A key that only removed objects had is not a column any more.
                    let column_again = if is_table { Some(column) } else { again.column(name) };
                    let cell = column_again.map_or("", |column| row.cell(column));
                    cell == self.cell(edits, at, column)
                })
            });
        if is_same {
            Ok(())
        } else {
            Err(bug(&self.name, "would read differently after the repair"))
        }
    }

    /// Returns `value` as it is read back after it is written to the cell of `column` of the record at `at`.
    ///
    /// # Errors
    /// A message and a hint, when the cell cannot have this value.
    pub(crate) fn as_read(
        &self,
        at: usize,
        column: usize,
        value: &str,
    ) -> std::result::Result<String, (String, &'static str)> {
        if value.contains('\0') {
            let message = format!(
                "`{}` would contain a NUL character, which a text must not",
                self.names[column]
            );
            return Err((message, "remove it: it is shown as `\\u{0}`"));
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

fn bug(name: &str, problem: &str) -> Fault {
    Fault::internal("BOT-9001", format!("`{name}` {problem}: nothing was written")).file(name)
}
