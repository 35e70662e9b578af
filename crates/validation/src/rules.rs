//! The rules of the expectations, bound to the columns of one file.

mod binding;
mod bound_condition;
mod cell_check;
mod rule_set;
mod violation;
mod whole_columns;

pub(crate) use rule_set::Rules;
pub(crate) use whole_columns::WholeColumns;
