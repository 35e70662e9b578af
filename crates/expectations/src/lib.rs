//! Expectations: the written rules for a data set, and how severe each broken rule is.
//!
//! In: `expectations.yaml`. Out: checked [`Expectations`], which `validation` applies to the records.

pub mod condition;
mod expectations;
mod rule;
mod severity;
mod threshold;

pub use expectations::{Expectations, TextBounds};
pub use rule::{Reference, RowBounds, RuleMistake, RuleSpec};
pub use threshold::{Scalar, Threshold};
