//! The terminal: the printer, faults and findings as text, tables, progress, exit codes.

pub(crate) mod ci_commands;
pub(crate) mod entities;
pub(crate) mod exit;
pub(crate) mod faults;
pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod tables;
