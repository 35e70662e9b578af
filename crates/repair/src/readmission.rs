//! Readmission: quarantined records, corrected by hand, are merged back if they meet the expectations.

use crate::{
    document::{Document, Edits},
    quarantine_list::QuarantineList,
    redacted_cell::redacted,
    repaired::{Repaired, check_format},
};
use botops_datasets::{ReadOptions, Rejected, formats::csv::SheetForm};
use botops_expectations::Expectations;
use botops_files::Output;
use botops_findings::{Finding, Result};
use botops_text::for_people;
use botops_validation::{
    Keep, ValidateOptions, Validation,
    quarantine::{Quarantine, QuarantinePlace},
    validate_bytes,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The account of a readmission.
///
/// - `records_in == records_out + quarantined`
/// - `listed == merged + listed_still + of_other_files`
#[derive(Debug, Clone, Serialize)]
pub struct Readmission {
    /// The data file.
    pub file: String,
    /// Records in the data file.
    pub records_in: u64,
    /// Records written: those that meet the expectations, in the order of the file.
    pub records_out: u64,
    /// Records that do not, and are quarantined (again).
    pub quarantined: u64,
    /// Records that the quarantines list.
    pub listed: u64,
    /// Listed records with an edited cell.
    pub edited: u64,
    /// Listed records that are written.
    pub merged: u64,
    /// Listed records that are quarantined again.
    pub listed_still: u64,
    /// Listed records of other files.
    pub of_other_files: u64,
    /// The edited cells, in the order of the file.
    pub changes: Vec<EditedCell>,
    /// The findings that reject the quarantined records.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// The file to write.
    #[serde(skip)]
    pub repaired: Repaired,
    #[serde(skip)]
    left: Vec<LeftRecord>,
    #[serde(skip)]
    names: Vec<String>,
    #[serde(skip)]
    form: SheetForm,
}

/// A cell that was edited by hand, as a quarantine shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditedCell {
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The column.
    pub column: String,
    /// The value in the data, without personal data.
    pub before: String,
    /// The new value, without personal data of the old one.
    pub after: String,
}

/// A record that is quarantined again.
#[derive(Debug, Clone)]
struct LeftRecord {
    record: u64,
    line: u64,
    fingerprint: String,
    reasons: Vec<Finding>,
    cells: Vec<String>,
}

/// Merges the records of the quarantines `quarantined`, corrected by hand, back into the file at `path`; the result is for
/// `out`.
///
/// - a listed record replaces the record of its number, if that has the same fingerprint
/// - a cell that was not edited keeps its value in the data, including parts that the quarantine does not show
/// - if several quarantines list a record, the last one counts
/// - records that `expectations` reject, listed or not, are quarantined
///
/// # Errors
/// `BOT-2224` (exit 5) when a record is missing or has changed; `BOT-2228` (exit 3) without fingerprints; `BOT-2221`,
/// `BOT-2223` and `BOT-2225` (exit 3) for lines that cannot be used; every such line is a finding. `BOT-1003` for another
/// format; those of reading and of [`validate_bytes`].
///
/// # Panics
/// If a record is neither written nor quarantined: a bug.
pub fn readmit(
    path: &Path,
    read: &ReadOptions,
    quarantined: &[PathBuf],
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    out: &Path,
) -> Result<Readmission> {
    let document = Document::read(path, read)?;
    check_format(&document.name, document.format, out)?;
    let mut list = QuarantineList::default();
    for quarantine in quarantined {
        list.add(quarantine, &document)?;
    }
    let QuarantineList { records, of_other_files, complaints } = list;
    complaints.refuse("quarantine")?;
    let mut edits = Edits::default();
    for (&at, cells) in &records {
        edits.cells.extend(cells.iter().map(|(&column, value)| ((at, column), value.clone())));
    }
    let changes = edited_cells(&document, &edits);
    let edited = records.values().filter(|cells| !cells.is_empty()).count() as u64;
    let Validation { rejected, .. } = validate_bytes(
        document.render(&edits)?,
        &document.name,
        document.options(),
        expectations,
        options,
        Keep::Rejected,
    )?;
    let left: Vec<LeftRecord> =
        rejected.into_iter().map(|rejected| left_record(&document, &edits, rejected)).collect();
    let findings = left.iter().flat_map(|left| left.reasons.iter().cloned()).collect();
    edits.removed = left.iter().filter_map(|left| usize::try_from(left.record - 1).ok()).collect();
    let repaired = Repaired {
        bytes: document.render(&edits)?,
        format: document.format,
        read: document.options().clone(),
    };
    let listed_still = records.keys().filter(|at| edits.removed.contains(at)).count() as u64;
    let readmission = Readmission {
        file: document.name.clone(),
        records_in: document.len() as u64,
        records_out: Document::count(&repaired)?,
        quarantined: left.len() as u64,
        listed: records.len() as u64 + of_other_files,
        edited,
        merged: records.len() as u64 - listed_still,
        listed_still,
        of_other_files,
        changes,
        findings,
        repaired,
        left,
        names: document.names.clone(),
        form: document.sheet_form(),
    };
    assert_eq!(
        readmission.records_in,
        readmission.records_out + readmission.quarantined,
        "every record is written or quarantined"
    );
    Ok(readmission)
}

/// Writes the records that are quarantined again to `output`, as a quarantine of the same data.
///
/// # Errors
/// `BOT-1002`; those of [`Output::create`].
pub fn write_left(output: &Output<'_>, readmission: &Readmission) -> Result<()> {
    let mut quarantine = Quarantine::create(output, &readmission.names, readmission.form)?;
    for left in &readmission.left {
        let place = QuarantinePlace {
            file: &readmission.file,
            record: left.record,
            line: left.line,
            fingerprint: left.fingerprint.clone(),
        };
        quarantine.write(&place, &left.reasons, left.cells.iter().cloned())?;
    }
    quarantine.publish()
}

fn edited_cells(document: &Document, edits: &Edits) -> Vec<EditedCell> {
    let cells = edits.cells.iter().map(|(&(at, column), value)| {
        let row = document.row(at);
        EditedCell {
            record: at as u64 + 1,
            line: row.line(),
            column: document.names[column].clone(),
            before: for_people(row.cell(column)),
            after: redacted(value, row.cell(column)).unwrap_or_else(|| for_people(value)),
        }
    });
    cells.collect()
}

/// Returns the `rejected` record as a line of a quarantine: its place and fingerprint in the data, and its edited cells.
fn left_record(document: &Document, edits: &Edits, rejected: Rejected) -> LeftRecord {
    let Rejected { record, mut reasons } = rejected;
    let at = usize::try_from(record.record - 1).expect("the records are held in memory");
    let row = document.row(at);
    let shown = |column: usize| {
        let value = document.cell(edits, at, column);
        redacted(value, row.cell(column)).unwrap_or_else(|| for_people(value))
    };
    for reason in &mut reasons {
        // The line in the data, which earlier edits may have moved.
        reason.place.line = Some(row.line());
    }
    LeftRecord {
        record: record.record,
        line: row.line(),
        fingerprint: document.fingerprint(at),
        reasons,
        cells: (0..document.names.len()).map(shown).collect(),
    }
}
