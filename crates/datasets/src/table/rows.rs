//! Sources of rows: files, or records in memory. Both can be read more than once.

use super::{
    Table,
    batch::{Batch, BatchBuilder, Row},
    origin::Origin,
    shape::Shape,
};
use crate::{
    column_roles::Roles,
    read_options::ReadOptions,
    record::{Dataset, entities_cell},
};
use botops_findings::{Finding, Result};
use std::{ops::ControlFlow, sync::mpsc, thread};

/// The number of batches that are read ahead.
const AHEAD: usize = 2;
/// The number of records of a data set in one batch.
const RECORDS: usize = 4_096;

/// Rows that can be read again from the first.
pub trait Source {
    /// Returns the file, as the user named it.
    fn name(&self) -> &str;

    /// Returns the columns.
    fn shape(&self) -> &Shape;

    /// Passes every row to `each`, in the order of the file, until it breaks.
    ///
    /// # Errors
    /// Those of reading, and those of `each`.
    fn each(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()>;

    /// Takes the findings about parts of the files that are no rows. They are complete once every row was passed.
    fn take_unread(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}

/// The rows of a file, or of several files that are read as one.
pub struct TableRows {
    origin: Origin,
    options: ReadOptions,
    /// The open table, before it was read.
    table: Option<Table>,
    name: String,
    shape: Shape,
    unread: Vec<Finding>,
}

impl TableRows {
    /// Opens `origin`. Findings call it `name`; default: the name of the origin.
    ///
    /// # Errors
    /// Those of [`Table::open`].
    pub fn open(origin: Origin, options: &ReadOptions, name: Option<&str>) -> Result<Self> {
        let table = Table::open(&origin, options)?;
        Ok(Self {
            options: options.clone(),
            name: name.unwrap_or_else(|| origin.name()).to_owned(),
            origin,
            shape: table.shape().clone(),
            table: Some(table),
            unread: Vec::new(),
        })
    }
}

impl Source for TableRows {
    fn name(&self) -> &str {
        &self.name
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn each(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        let mut table = match self.table.take() {
            Some(table) => table,
            None => Table::open(&self.origin, &self.options)?,
        };
        // One thread reads the file, the other checks the rows. The batches stay in order.
        thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(AHEAD);
            let reading = scope.spawn(move || {
                loop {
                    let read = table.next().transpose();
                    let is_end = !matches!(read, Some(Ok(_)));
                    // The receiver is gone: `each` broke or failed.
                    if read.is_some_and(|read| sender.send(read).is_err()) || is_end {
                        break;
                    }
                }
                table.take_non_records().findings
            });
            for batch in batches {
                if pass(&batch?, each)?.is_break() {
                    break;
                }
            }
            self.unread = reading.join().unwrap_or_default();
            Ok(())
        })
    }

    fn take_unread(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.unread)
    }
}

/// Passes every row of `batch` to `each` until it breaks.
fn pass(
    batch: &Batch,
    each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for row in batch.rows() {
        if each(row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Records in memory, as rows of the columns that have a role.
pub struct RecordRows<'a> {
    data: &'a Dataset,
    shape: Shape,
}

impl<'a> RecordRows<'a> {
    /// Makes rows of `data`.
    pub fn new(data: &'a Dataset) -> Self {
        let has = |role: &str, at| data.columns.contains_key(role).then_some(at);
        let roles = Roles {
            text: 0,
            intent: has("intent", 1),
            lang: Some(2),
            // A data set built in memory may have entities without naming their column.
            entities: Some(3),
        };
        let names = ["text", "intent", "lang", "entities"].map(str::to_owned).to_vec();
        Self { data, shape: Shape::with_roles(names, roles) }
    }
}

impl Source for RecordRows<'_> {
    fn name(&self) -> &str {
        &self.data.name
    }

    fn shape(&self) -> &Shape {
        &self.shape
    }

    fn each(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        let by_file = self.data.records.chunk_by(|a, b| a.file == b.file);
        for records in by_file.flat_map(|records| records.chunks(RECORDS)) {
            let mut rows = BatchBuilder::new(self.shape.names.len(), 0);
            for record in records {
                rows.cell(&record.text);
                rows.cell(record.intent.as_deref().unwrap_or_default());
                rows.cell(record.lang.as_deref().unwrap_or_default());
                rows.cell(&entities_cell(record));
                rows.end_row(record.line);
                rows.number(record.record);
            }
            let file = records.first().and_then(|record| record.file.clone());
            if pass(&rows.finish().of_file(file), each)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
