//! Findings and faults: one vocabulary for problems in the user's input and for failed commands.
//!
//! A [`Finding`] is one problem in the user's data, metrics or traffic, listed by a report. A [`Fault`] ends a command:
//! it carries a message, a place and hints, and its [`FaultKind`] decides the exit code. Both have a stable code, which
//! [`catalogue`] explains and `botops explain` prints.

pub mod catalogue;
mod fault;
mod fault_kind;
mod finding;

pub use fault::{Fault, Result};
pub use fault_kind::FaultKind;
pub use finding::{Finding, Place, Severity, shared_help};
