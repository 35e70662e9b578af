//! CSV and TSV as rows of all columns.

use super::{Batch, Shape, batch::Filling};
use crate::{
    ReadOptions,
    formats::csv::{Cell, Fields, Reader, Taking},
};
use botops_findings::{Place, Result};

/// Makes rows.
struct Rows<'a, 't> {
    shape: &'a mut Option<Shape>,
    options: &'a ReadOptions,
    made: Option<Filling<'t>>,
}

impl<'t> Taking<'t> for Rows<'_, 't> {
    fn header(&mut self, names: Vec<String>, place: &Place) -> Result<()> {
        *self.shape = Some(Shape::of(names, self.options, place)?);
        Ok(())
    }

    fn record(&mut self, fields: &Fields, text: &'t str, number: u64, line: u64) -> Result<()> {
        let rows = self.made.get_or_insert_with(|| Filling::over(text, fields.len(), number));
        for cell in fields.cells() {
            match cell {
                Cell::There(range) => rows.cell_at(range),
                Cell::Unquoted(cell) => rows.cell(cell),
            }
        }
        rows.end_row(line);
        Ok(())
    }
}

/// Reads the whole records at the beginning of `bytes`, as [`Reader::read`] does, and says how many bytes they are.
pub(super) fn read(
    reader: &mut Reader,
    bytes: &[u8],
    last: bool,
    shape: &mut Option<Shape>,
    options: &ReadOptions,
) -> Result<(usize, Option<Batch>)> {
    let mut rows = Rows { shape, options, made: None };
    let consumed = reader.read(bytes, last, &mut rows)?;
    Ok((consumed, rows.made.map(Filling::finish)))
}
