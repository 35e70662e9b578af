//! Repairs: what could be corrected is proposed, looked through by a person, and only then applied.
//!
//! In: a file of text that is a table ([`propose`]), a patch that somebody reviewed ([`apply`]), or records that were set
//! aside and corrected by hand ([`readmit`]). Out: a patch, or the bytes of a file in which nothing but the repaired
//! cells and the removed records differs from what was read, with an account of every record.

pub(crate) mod entity_spans;

mod application;
mod document;
mod patch;
mod proposal;
mod readmission;
mod spans;
#[cfg(test)]
mod tests;

pub use application::{Application, RemovedRecord, apply};
pub use patch::{patch_csv, read_patch};
pub use proposal::{Proposal, SuggestedIntent, propose};
pub use readmission::{EditedCell, Readmission, readmit, write_left};

use botops_datasets::{Format, Packing, ReadOptions, writing::Packed};
use botops_expectations::Expectations;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_validation::{ValidateOptions, Validation};
use bytes::Bytes;
use document::Document;
use serde::Serialize;
use std::{
    io::{self, Write as _},
    path::Path,
};

/// What is done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixAction {
    /// A cell gets another value.
    Change,
    /// The record is left out.
    Remove,
}

impl FixAction {
    fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// One line of a patch. Values are fit to be read by people: see [`botops_text::for_people`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// What is done.
    pub action: FixAction,
    /// The column; of a record that is removed, the one that `before` is of.
    pub column: String,
    /// The codes of the findings that it cures, separated by spaces; none: somebody added it.
    pub codes: String,
    /// Whether it is to be applied.
    pub is_applied: bool,
    /// What stands there.
    pub before: String,
    /// What is to stand there.
    pub after: String,
    /// Why.
    pub why: String,
    /// What tells whether the record is still what it was; empty: `before` alone does.
    pub fingerprint: String,
}

/// What came of the file that is written.
#[derive(Debug, Clone)]
pub struct Repaired {
    /// The file, unpacked.
    pub bytes: Bytes,
    /// How its records are written.
    pub format: Format,
    /// How to read it again.
    pub read: ReadOptions,
}

impl Repaired {
    /// Writes it to `out`, packed as `packing` says.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, packing: Packing, out: &mut (dyn io::Write + Send)) -> io::Result<()> {
        let mut packed = Packed::new(packing, out)?;
        packed.write_all(&self.bytes)?;
        packed.finish()
    }

    /// Checks it against `expectations`; findings call it `name`.
    ///
    /// # Errors
    /// As [`botops_validation::validate_bytes`].
    pub fn validate(
        &self,
        name: &str,
        expectations: &Expectations,
        options: &ValidateOptions<'_>,
    ) -> Result<Validation> {
        let keep = botops_validation::Keep::Counts;
        botops_validation::validate_bytes(
            self.bytes.clone(),
            name,
            &self.read,
            expectations,
            options,
            keep,
        )
    }
}

/// What is wrong with a patch or a quarantine, gathered to the last line.
#[derive(Debug, Default)]
struct Complaints {
    /// It cannot be understood.
    malformed: Vec<Finding>,
    /// It is about other data.
    stale: Vec<Finding>,
}

impl Complaints {
    /// Adds what is not understood of the line at `place`.
    fn malformed(&mut self, code: &'static str, place: &Place, message: String, help: &str) {
        self.malformed.push(Finding::new(code, Severity::Error, message, help).at(place.clone()));
    }

    /// Adds what does not fit the data of the line at `place`.
    fn stale(&mut self, code: &'static str, place: &Place, message: String, help: &str) {
        self.stale.push(Finding::new(code, Severity::Error, message, help).at(place.clone()));
    }

    /// Refuses the whole, if there is a complaint; `what` is what is refused.
    fn refuse(self, what: &str) -> Result<()> {
        let Self { malformed, stale } = self;
        let (first, fault) = match (malformed.first(), stale.first()) {
            (Some(first), _) => {
                let said = said(what, "cannot be used", malformed.len(), &first.message);
                (first, Fault::data(code(&first.code), said))
            }
            (None, Some(first)) => {
                let said = said(what, "does not fit the data", stale.len(), &first.message);
                (first, Fault::conflict(code(&first.code), said))
            }
            (None, None) => return Ok(()),
        };
        let (place, help) = (first.place.clone(), first.help.clone());
        let findings = [malformed, stale].concat();
        Err(fault.at(place).hint(help).with_findings(findings))
    }
}

fn said(what: &str, verdict: &str, n: usize, first: &str) -> String {
    let more = if n > 1 { format!(" (and {} more)", n - 1) } else { String::new() };
    format!("the {what} {verdict}, and nothing is written: {first}{more}")
}

/// The code of a complaint, which is one of few.
fn code(code: &str) -> &'static str {
    ["BOT-2221", "BOT-2222", "BOT-2223", "BOT-2224", "BOT-2225", "BOT-2227", "BOT-2228"]
        .into_iter()
        .find(|known| *known == code)
        .unwrap_or("BOT-2221")
}

/// Returns `value`, which is to stand where `original` stands, as people read it, such that it can be told again from that;
/// `None` where it cannot.
fn shown_beside(value: &str, original: &str) -> Option<String> {
    use botops_text::{for_people, from_people, spreadsheet_safe};
    let is_told = |shown: &String| from_people(shown, original).as_deref() == Some(value);
    Some(for_people(value))
        .filter(is_told)
        .or_else(|| Some(spreadsheet_safe(value).into_owned()).filter(is_told))
}

/// Returns what is wrong with a mark that nobody can tell the meaning of.
const UNTOLD: (&str, &str) = (
    "keeps some marks such as `[email]` of the personal data there, and not all in their order",
    "keep the marks as they were, or write other words in the place of all of them",
);

/// Checks that data may be repaired to `out`, which says no other format than the data have.
///
/// # Errors
/// `BOT-1003` (exit 2).
fn check_format(document: &Document, out: &Path) -> Result<()> {
    let is_lines = |format| matches!(format, Format::Json | Format::Jsonl);
    match Format::of_name(&out.to_string_lossy()) {
        Some(format)
            if format != document.format
                && !(is_lines(format) && document.format == Format::Jsonl) =>
        {
            Err(Fault::usage(
                "BOT-1003",
                format!(
                    "`{}` is {}, and a repair keeps the format",
                    document.name,
                    document.format.name()
                ),
            )
            .file(out)
            .hint(format!(
                "end it in .{}; `botops data export` writes another format",
                document.format.name()
            )))
        }
        _ => Ok(()),
    }
}
