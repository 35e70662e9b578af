//! Repairs: fixes are proposed, reviewed by a person, and only then applied.
//!
//! In: a text file that is a table ([`propose`]), a reviewed patch ([`apply`]), or a quarantine whose records were
//! corrected by hand ([`readmit`]). Out: a patch, or the bytes of a file in which only the repaired cells and the removed
//! records differ from the input, with an account of every record.

mod application;
mod complaints;
mod document;
mod edited_table;
mod entity_spans;
mod fix;
mod patch;
mod proposal;
mod quarantine_list;
mod readmission;
mod redacted_cell;
mod repaired;
mod spans;
mod suggested_intent;
#[cfg(test)]
mod tests;

pub use application::{Application, RemovedRecord, apply};
pub use fix::{Fix, FixAction};
pub use patch::{patch_csv, read_patch};
pub use proposal::{Proposal, propose};
pub use readmission::{EditedCell, Readmission, readmit, write_left};
pub use repaired::Repaired;
pub use suggested_intent::SuggestedIntent;
