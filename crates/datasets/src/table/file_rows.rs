//! The rows of one file, whatever its format.

use super::{
    batch::{Batch, BatchBuilder},
    csv,
    json::Rows,
    plan::ReadPlan,
    shape::Shape,
};
use crate::{
    column_roles::Roles,
    formats::{
        csv::{Reader as CsvReader, Separator},
        encoding::{self, LONGEST},
        json::Reader as JsonReader,
        parquet::{Reader as ParquetReader, Skipped},
        rasa::{self, NonRecords},
    },
    notices,
    opening::{self, Format, Opened, Progress},
    read_options::ReadOptions,
    record::{Record, entities_cell},
};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::io::{self, Read};

/// Returns the finding of a column of `file` that is not read.
fn unread(column: &Skipped, file: &str) -> Finding {
    let name = botops_text::display(&column.name, 40);
    let message = format!("the column `{name}` is not read: {} has no text form", column.what);
    let help = "write it as a column of strings, such as JSON, if it is needed";
    Finding::new("BOT-2232", Severity::Info, message, help)
        .at(Place { file: Some(file.to_owned()), ..Place::default() })
}

/// Returns the columns of the Parquet file `name`, after those whose cells have no text form were skipped.
///
/// # Errors
/// `BOT-2101` when a required column is missing: it says whether it was skipped; `BOT-2108` for a column with a role that
/// holds lists.
fn settled(
    reader: &mut ParquetReader,
    options: &ReadOptions,
    plan: ReadPlan,
    name: &str,
) -> Result<Shape> {
    let place = Place { file: Some(name.to_owned()), ..Place::default() };
    let shape = Shape::of(reader.names().to_vec(), options, &place)
        .map_err(|fault| with_skipped(fault, reader.skipped()))?;
    let texts: Vec<usize> = (0..shape.names.len()).filter(|&at| shape.is_plain(at)).collect();
    let n_columns = shape.names.len();
    reader.settle(&texts, !plan.roles_only)?;
    if reader.names().len() == n_columns {
        return Ok(shape);
    }
    Shape::of(reader.names().to_vec(), options, &place)
}

/// Adds to `fault`, about a missing column, that the columns `skipped` are there.
fn with_skipped(fault: Fault, skipped: &[Skipped]) -> Fault {
    if skipped.is_empty() {
        return fault;
    }
    let columns: Vec<String> = skipped
        .iter()
        .map(|column| format!("`{}` ({})", botops_text::display(&column.name, 40), column.what))
        .collect();
    let message =
        format!("{}; not read, for want of a text form: {}", fault.message(), columns.join(", "));
    let better = Fault::usage("BOT-2101", message)
        .at(fault.place().clone())
        .hint("if one of those holds it, write it as a column of strings");
    fault.hints().iter().cloned().fold(better, Fault::hint)
}

/// The bytes of CSV read at a time: few enough that a batch is still in the caches when it is checked.
const CSV_STEP: usize = 1 << 18;

/// Reads the rows of one file.
pub(super) struct FileRows {
    /// The name of the file.
    pub(super) name: String,
    /// How much of the file was read.
    pub(super) progress: Progress,
    /// The parts of the file that are not records.
    pub(super) non_records: NonRecords,
    options: ReadOptions,
    plan: ReadPlan,
    /// The unpacked text; empty for a format that is not read as text.
    source: Box<dyn Read + Send>,
    parts: Parts,
    shape: Option<Shape>,
    /// The bytes that were read and not consumed.
    rest: Vec<u8>,
    ended: bool,
    /// The first batch, which was read with the names of the columns.
    first: Option<Batch>,
    /// The fault that follows the last batch.
    fault: Option<Fault>,
    step: usize,
}

/// The reader of a format.
enum Parts {
    Csv(CsvReader),
    Json(Rows),
    Parquet(ParquetReader),
    /// The records of Rasa training data; `None` once they were returned.
    Rasa(Option<Vec<Record>>),
}

impl FileRows {
    /// Begins the file that was opened, and reads its columns and its first rows.
    ///
    /// # Errors
    /// `BOT-2102` for a file without rows, unless it holds terms of Rasa; the faults of the beginning of the file.
    pub(super) fn begin(mut opened: Opened, options: &ReadOptions, plan: ReadPlan) -> Result<Self> {
        let (name, progress, mark) = (opened.name.clone(), opened.progress(), opened.mark);
        let mut source: Box<dyn Read + Send> = Box::new(io::empty());
        let mut text = |parts| {
            source = std::mem::replace(&mut opened.reader, Box::new(io::empty()));
            parts
        };
        let csv = |format| {
            let separator = Separator::of(format, options.delimiter);
            Parts::Csv(CsvReader::new(&name, separator, mark, plan.ragged()))
        };
        let json = |reader| Parts::Json(Rows::new(&name, reader, plan.is_whole));
        let (mut shape, mut non_records) = (None, NonRecords::default());
        let parts = match opened.format {
            format @ (Format::Csv | Format::Tsv) => text(csv(format)),
            Format::Jsonl => text(json(JsonReader::lines(&name, mark))),
            Format::Json => text(json(JsonReader::list(&name, mark))),
            Format::Parquet => {
                let mut reader = ParquetReader::new(opened, &options.limits)?;
                shape = Some(settled(&mut reader, options, plan, &name)?);
                let skipped = reader.skipped().iter();
                non_records.findings = skipped.map(|column| unread(column, &name)).collect();
                Parts::Parquet(reader)
            }
            Format::Rasa => {
                let training = rasa::read(opened)?;
                let names = ["text", "intent", "entities"].map(str::to_owned).to_vec();
                let roles = Roles { text: 0, intent: Some(1), lang: None, entities: Some(2) };
                shape = Some(Shape::with_roles(names, roles));
                non_records = training.non_records;
                Parts::Rasa(Some(training.records))
            }
        };
        notices::keep(&non_records.findings);
        let step = if matches!(parts, Parts::Csv(_)) { plan.step.min(CSV_STEP) } else { plan.step };
        let mut rows = Self {
            name,
            progress,
            non_records,
            options: options.clone(),
            plan,
            source,
            parts,
            shape,
            rest: Vec::new(),
            ended: false,
            first: None,
            fault: None,
            step,
        };
        rows.first = rows.part()?;
        if rows.shape.is_none() {
            return Err(encoding::empty(&rows.name));
        }
        if rows.first.is_none() && rows.non_records.terms.is_empty() {
            return Err(encoding::no_record(&rows.name));
        }
        Ok(rows)
    }

    /// Returns the columns.
    ///
    /// # Panics
    /// Never: beginning a file reads its columns.
    pub(super) fn shape(&self) -> &Shape {
        self.shape.as_ref().expect("a file begins with its columns")
    }

    /// Returns whether the file has no rows. Only before the first batch was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Reads the next rows; `None` at the end.
    ///
    /// # Errors
    /// See [`crate::read()`]. The rows before a fault are returned first.
    pub(super) fn next(&mut self) -> Result<Option<Batch>> {
        match self.first.take() {
            Some(batch) => Ok(Some(batch)),
            None => self.part(),
        }
    }

    /// Reads until there is a row; `None` at the end.
    fn part(&mut self) -> Result<Option<Batch>> {
        match &mut self.parts {
            Parts::Csv(_) | Parts::Json(_) => self.text(),
            Parts::Parquet(reader) => {
                let roles = self.shape.as_ref().and_then(|shape| shape.roles.as_ref());
                let plain: Vec<usize> = roles.into_iter().flat_map(Roles::columns).collect();
                let columns = self.plan.roles_only.then_some(plain.as_slice());
                let first = reader.n_read() + 1;
                let Some(rows) = reader.read(self.plan.slice, columns)? else {
                    return Ok(None);
                };
                let n_columns = reader.names().len();
                let mut batch = BatchBuilder::new(n_columns, first);
                for (row, number) in (0..rows.height).zip(first..) {
                    for column in 0..n_columns {
                        batch.cell(rows.cell(row, column));
                    }
                    batch.end_row(number);
                }
                Ok(Some(batch.finish()))
            }
            Parts::Rasa(records) => {
                let records = records.take().unwrap_or_default();
                let mut batch = BatchBuilder::new(3, 1);
                for record in &records {
                    batch.cell(&record.text);
                    batch.cell(record.intent.as_deref().unwrap_or_default());
                    batch.cell(&entities_cell(record));
                    batch.end_row(record.line);
                }
                Ok(Some(batch.finish()).filter(|_| !records.is_empty()))
            }
        }
    }

    /// Reads text until there is a row; `None` at the end.
    fn text(&mut self) -> Result<Option<Batch>> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let mut wanted = self.step;
        loop {
            self.fill(wanted)?;
            let (rest, last) = (self.rest.as_slice(), self.ended);
            let (shape, options) = (&mut self.shape, &self.options);
            let (batch, consumed) = match &mut self.parts {
                Parts::Csv(reader) => csv::read(reader, rest, last, shape, options),
                Parts::Json(rows) => rows.read(rest, last, shape, options),
                Parts::Parquet(_) | Parts::Rasa(_) => (None, Ok(0)),
            };
            let batch = batch.filter(|batch| batch.len() > 0);
            let consumed = match (consumed, &batch) {
                (Ok(consumed), _) => consumed,
                (Err(fault), None) => return Err(fault),
                (Err(fault), Some(_)) => {
                    self.fault = Some(fault);
                    return Ok(batch);
                }
            };
            if consumed == 0 && self.rest.len() > LONGEST {
                return Err(self.too_long());
            }
            self.rest.drain(..consumed);
            if batch.is_some() {
                return Ok(batch);
            }
            if self.ended && self.rest.is_empty() {
                self.finish()?;
                return Ok(None);
            }
            // A long record is not searched again and again: twice as much is read each time.
            wanted = if consumed == 0 { self.rest.len().max(self.step) * 2 } else { self.step };
        }
    }

    /// Reads until `wanted` bytes are there, or the file ends.
    fn fill(&mut self, wanted: usize) -> Result<()> {
        let missing = wanted.saturating_sub(self.rest.len());
        if self.ended || missing == 0 {
            return Ok(());
        }
        let before = self.rest.len();
        let read = self.source.by_ref().take(missing as u64).read_to_end(&mut self.rest);
        read.map_err(|error| opening::unread(error, &self.name))?;
        self.ended = self.rest.len() - before < missing;
        Ok(())
    }

    /// Ends the text.
    fn finish(&mut self) -> Result<()> {
        match &mut self.parts {
            Parts::Csv(reader) => reader.finish(),
            Parts::Json(rows) => rows.finish(),
            Parts::Parquet(_) | Parts::Rasa(_) => Ok(()),
        }
    }

    /// The fault of a record of more than 64 MiB.
    fn too_long(&self) -> Fault {
        match &self.parts {
            Parts::Csv(reader) => reader.too_long(&self.rest),
            Parts::Json(rows) => rows.too_long(),
            Parts::Parquet(_) | Parts::Rasa(_) => encoding::no_record(&self.name),
        }
    }
}
