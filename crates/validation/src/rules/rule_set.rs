//! The tests of one record, in the order of the rules.

use super::{bound_condition::BoundCondition, cell_check::CellCheck, whole_columns::WholeColumns};
use crate::{
    record_position::{FindingSink, RecordPosition},
    words::{excerpt, is_blank},
};
use botops_datasets::table::Row;
use botops_findings::Result;

/// The rules with their columns.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(super) tests: Vec<Test>,
    /// The conditions under which tests apply.
    pub(super) conditions: Vec<BoundCondition>,
}

/// A test of one column, or of a record.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) column: usize,
    pub(super) name: String,
    /// The index of the condition under which the test applies.
    pub(super) when: Option<usize>,
    pub(super) kind: TestKind,
}

#[derive(Debug)]
pub(super) enum TestKind {
    /// The cell must have a value.
    Required(usize),
    /// The condition, written as `text`, must hold.
    Compare { slot: usize, condition: BoundCondition, text: String },
    /// A cell with a value must pass the test.
    Cell(CellCheck),
}

impl Rules {
    /// Checks `row`.
    pub(crate) fn check(&self, row: Row<'_>, at: RecordPosition, sink: &mut impl FindingSink) {
        for Test { column, name, when, kind } in &self.tests {
            if !self.applies(*when, row) {
                continue;
            }
            let cell = row.cell(*column);
            match kind {
                TestKind::Required(slot) => {
                    if is_blank(cell) {
                        sink.add(*slot, at, &[name], || {
                            let help = "fill it in, or remove the record";
                            (format!("`{}` is empty", excerpt(name)), help.to_owned())
                        });
                    }
                }
                TestKind::Compare { slot, condition, text } => {
                    if let Some(reason) = condition.failure(row) {
                        sink.add(*slot, at, &condition.cells(row), || {
                            (
                                format!("`{}` does not hold: {reason}", excerpt(text)),
                                "correct one of the two, or remove the record".to_owned(),
                            )
                        });
                    }
                }
                TestKind::Cell(test) => {
                    if !is_blank(cell) {
                        test.check(name, cell, row, at, sink);
                    }
                }
            }
        }
    }

    /// Returns the conditions of the tests for damage in `column`; `None` is a test of every record.
    pub(crate) fn damage_tests(&self, column: usize) -> Vec<Option<usize>> {
        let is_damage = |test: &&Test| {
            test.column == column && matches!(test.kind, TestKind::Cell(CellCheck::Damage(_)))
        };
        self.tests.iter().filter(is_damage).map(|test| test.when).collect()
    }

    /// Returns whether the condition `when` holds in `row`.
    pub(crate) fn applies(&self, when: Option<usize>, row: Row<'_>) -> bool {
        when.is_none_or(|when| self.conditions[when].holds(row) == Some(true))
    }

    /// Adds `row` to the values that are compared and counted over all records.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be written.
    pub(crate) fn gather(
        &self,
        row: Row<'_>,
        at: RecordPosition,
        columns: &mut WholeColumns,
    ) -> Result<()> {
        for counts in &mut columns.counts {
            if self.applies(counts.when, row) {
                counts.add(row.cell(counts.column).trim());
            }
        }
        for newest in &mut columns.newest {
            if self.applies(newest.when, row) {
                newest.add(row.cell(newest.column));
            }
        }
        for unique in &mut columns.unique {
            if self.applies(unique.when, row)
                && let Some(key) = unique.key(row)
            {
                unique.keys.add(key, at)?;
            }
        }
        Ok(())
    }
}
