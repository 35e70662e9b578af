//! Rows in which every column is blank, as a spreadsheet leaves them: one finding each, and no other check.

use crate::{
    record_position::{FindingSink, RecordPosition},
    words::is_blank,
};
use botops_datasets::table::{Row, Shape};

/// The check for blank rows.
#[derive(Debug)]
pub(crate) struct BlankRows {
    /// The slot of the finding; `None`: it is silenced, or the table has one column, whose own checks report a blank cell.
    slot: Option<usize>,
    /// The columns, those that are rarely blank first.
    columns: Vec<usize>,
}

impl BlankRows {
    /// Prepares the check of a table with the columns `shape`; `slot` is that of its finding.
    pub(crate) fn new(shape: &Shape, slot: Option<usize>) -> Self {
        let text = shape.roles.as_ref().map_or(0, |roles| roles.text);
        let mut columns: Vec<usize> = (0..shape.names.len()).collect();
        columns.sort_by_key(|&column| (column != text, column));
        Self { slot: slot.filter(|_| columns.len() > 1), columns }
    }

    /// Reports `row` if it is blank; returns whether it was reported.
    pub(crate) fn report(
        &self,
        row: Row<'_>,
        at: RecordPosition,
        sink: &mut impl FindingSink,
    ) -> bool {
        let Some(slot) = self.slot else { return false };
        if !self.columns.iter().all(|&column| is_blank(row.cell(column))) {
            return false;
        }
        sink.add(slot, at, &[""], || {
            let help =
                "remove the row: a spreadsheet leaves blank rows in the place of deleted ones";
            ("the row is blank".to_owned(), help.to_owned())
        });
        true
    }
}
