//! Conditions of the rules with their columns found.

use crate::words::excerpt;
use botops_datasets::{ValueType, table::Row};
use botops_expectations::condition::Comparison;
use std::cmp::Ordering;

/// A comparison of a column with another column or with a value.
#[derive(Debug, Clone)]
pub(super) struct BoundCondition {
    pub(super) left: usize,
    pub(super) comparison: Comparison,
    pub(super) right: RightSide,
}

#[derive(Debug, Clone)]
pub(super) enum RightSide {
    Column(usize),
    Value(String),
}

impl BoundCondition {
    /// Returns the cell on the left, and the cell or value on the right.
    pub(super) fn cells<'a>(&'a self, row: Row<'a>) -> [&'a str; 2] {
        let right = match &self.right {
            RightSide::Column(column) => row.cell(*column),
            RightSide::Value(value) => value,
        };
        [row.cell(self.left), right]
    }

    /// Returns whether the condition holds; `None` when the two values have no order.
    pub(super) fn holds(&self, row: Row<'_>) -> Option<bool> {
        let [left, right] = self.cells(row);
        match order(left, right) {
            Some(order) => Some(self.comparison.holds(order)),
            None if self.comparison.orders() => None,
            None => Some(self.comparison.holds(left.cmp(right))),
        }
    }

    /// Returns the reason why the condition does not hold; `None` when it does, or a cell is empty.
    pub(super) fn failure(&self, row: Row<'_>) -> Option<String> {
        let [left, right] = self.cells(row);
        let is_column = matches!(self.right, RightSide::Column(_));
        if left.trim().is_empty() || is_column && right.trim().is_empty() {
            return None;
        }
        let values = || format!("`{}` and `{}`", excerpt(left), excerpt(right));
        match self.holds(row) {
            Some(true) => None,
            Some(false) => Some(values()),
            None => Some(format!("{} are neither two numbers nor two times", values())),
        }
    }
}

/// Compares two cells as numbers, or else as times.
fn order(left: &str, right: &str) -> Option<Ordering> {
    [ValueType::Number, ValueType::Datetime]
        .into_iter()
        .find_map(|kind| kind.read(left)?.partial_cmp(&kind.read(right)?))
}
