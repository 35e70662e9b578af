//! Output: printer, tables, progress, exit codes, shell words.

pub mod exit;
pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod tables;
