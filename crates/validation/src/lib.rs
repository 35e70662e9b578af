//! Validation: the records of a data set checked against its expectations.
//!
//! In: a file, bytes or records in memory, and [`Expectations`](botops_expectations::Expectations). Out: a
//! [`Validation`] with the findings, the counts and, on request, the accepted records, the profiles, a [`Baseline`] and a
//! quarantine.
//!
//! A file is read once, batch by batch: checks of single records are made at once, checks that compare records (repeated
//! values, counts) at the end. Findings and rejected records that only the end shows need a second reading. All findings
//! are counted; of each kind, a few are kept as samples.

mod baseline;
mod blank_rows;
mod class_counts;
pub mod damage;
mod damage_checks;
mod disposition;
mod engine;
mod external_sort;
mod file_checks;
mod file_names;
mod html_text;
#[cfg(test)]
mod inferred_tests;
mod near_leaks;
pub mod quarantine;
mod record_key;
mod record_position;
mod record_set;
mod repeats;
mod rules;
mod tally;
#[cfg(test)]
mod tests;
mod utterance;
mod utterance_checks;
mod validation;
mod words;

pub use baseline::Baseline;
pub use engine::{validate, validate_bytes, validate_file, validate_origin};
pub use file_checks::intent_spelling;
pub use quarantine::write_rejected;
pub use validation::{Check, Keep, Mark, ValidateOptions, Validation};
