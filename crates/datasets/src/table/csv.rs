//! CSV and TSV as rows of all columns.

use super::{
    batch::{Batch, BatchBuilder},
    shape::Shape,
};
use crate::{
    formats::csv::{Cell, Fields, Reader, RowSink},
    read_options::ReadOptions,
};
use botops_findings::{Place, Result};

/// Builds a batch of the rows that a reader passes to it.
struct Rows<'a, 't> {
    shape: &'a mut Option<Shape>,
    options: &'a ReadOptions,
    batch: Option<BatchBuilder<'t>>,
}

impl<'t> RowSink<'t> for Rows<'_, 't> {
    fn header(&mut self, names: Vec<String>, delimiter: u8, place: &Place) -> Result<()> {
        let mut shape = Shape::of(names, self.options, place)?;
        shape.delimiter = Some(delimiter);
        *self.shape = Some(shape);
        Ok(())
    }

    fn record(&mut self, fields: &Fields, text: &'t str, number: u64, line: u64) {
        let rows = self.batch.get_or_insert_with(|| BatchBuilder::over(text, fields.len(), number));
        for cell in fields.cells() {
            match cell {
                Cell::InText(range) => rows.cell_at(range),
                Cell::Unquoted(cell) => rows.cell(cell),
            }
        }
        rows.end_row(line);
    }
}

/// Reads the whole records at the beginning of `bytes`, as [`Reader::read`] does.
///
/// Returns their rows, and how many bytes they have, or the fault that follows the rows.
pub(super) fn read(
    reader: &mut Reader,
    bytes: &[u8],
    last: bool,
    shape: &mut Option<Shape>,
    options: &ReadOptions,
) -> (Option<Batch>, Result<usize>) {
    let mut rows = Rows { shape, options, batch: None };
    let consumed = reader.read(bytes, last, &mut rows);
    (rows.batch.map(BatchBuilder::finish), consumed)
}
