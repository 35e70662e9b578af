//! Records that were set aside come back once they are as expected.

use super::{
    Complaints, Document, Repaired, UNTOLD, check_format, document::Edits, patch::Lines,
    shown_beside,
};
use botops_datasets::{ReadOptions, Rejected};
use botops_expectations::Expectations;
use botops_findings::{Fault, Finding, Place, Result};
use botops_text::{display, for_people, from_people, from_spreadsheet};
use botops_validation::{
    Keep, ValidateOptions, Validation,
    quarantine::{LEADING, OF_DATA, Quarantine, QuarantinePlace},
    validate_bytes,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// What became of records that were set aside.
///
/// - `records_in == records_out + quarantined`
/// - `listed == merged + listed_still + of_other_files`
#[derive(Debug, Clone, Serialize)]
pub struct Readmission {
    /// The data file.
    pub file: String,
    /// Its records.
    pub records_in: u64,
    /// Records that come out: those that are as expected, in the order of the file.
    pub records_out: u64,
    /// Records that are not, and are set aside (again).
    pub quarantined: u64,
    /// Records that the quarantine lists.
    pub listed: u64,
    /// Those of them with a cell that was edited.
    pub edited: u64,
    /// Those of them that come out.
    pub merged: u64,
    /// Those of them that are set aside again.
    pub listed_still: u64,
    /// Those of them that are of another file.
    pub of_other_files: u64,
    /// The cells that were edited, in the order of the file.
    pub changes: Vec<EditedCell>,
    /// What rejects the records that are set aside.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// What is written.
    #[serde(skip)]
    pub repaired: Repaired,
    #[serde(skip)]
    left: Vec<Left>,
    #[serde(skip)]
    names: Vec<String>,
}

/// A cell that was edited by hand, as a quarantine shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditedCell {
    /// The record, from 1.
    pub record: u64,
    /// Its line.
    pub line: u64,
    /// The column.
    pub column: String,
    /// What stands in the data, without personal data.
    pub before: String,
    /// What was written instead.
    pub after: String,
}

/// A record that is set aside again.
#[derive(Debug, Clone)]
struct Left {
    record: u64,
    line: u64,
    fingerprint: String,
    reasons: Vec<Finding>,
    cells: Vec<String>,
}

/// Merges the records of the files `quarantined`, corrected by hand, back into the file at `path`, which is written to
/// `out`.
///
/// - a record replaces the one of its number, if that is still what it was when it was set aside
/// - a cell that was not edited keeps what stands there, also what the quarantine does not show of it
/// - of a record that several files list, the last one counts
/// - what `expectations` reject then, listed or not, is set aside
///
/// # Errors
/// `BOT-2224` (exit 5) when a record is not what it was, or not there; `BOT-2228` (exit 3) without fingerprints;
/// `BOT-2221`, `BOT-2223`, `BOT-2225` (exit 3) for lines that cannot be used; every such line is a finding. `BOT-1003` for another format; those of reading and of
/// [`validate_bytes`].
///
/// # Panics
/// When a record were not accounted for: a bug.
pub fn readmit(
    path: &Path,
    read: &ReadOptions,
    quarantined: &[PathBuf],
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    out: &Path,
) -> Result<Readmission> {
    let document = Document::read(path, read)?;
    check_format(&document, out)?;
    let mut listing = Listing::default();
    for quarantine in quarantined {
        listing.read(quarantine, &document)?;
    }
    let Listing { records, of_other_files, complaints, .. } = listing;
    complaints.refuse("quarantine")?;
    let mut edits = Edits::default();
    for (&at, cells) in &records {
        edits.cells.extend(cells.iter().map(|(&column, value)| ((at, column), value.clone())));
    }
    let changes = edits.cells.iter().map(|(&(at, column), value)| {
        let row = document.row(at);
        EditedCell {
            record: at as u64 + 1,
            line: row.line(),
            column: document.names[column].clone(),
            before: for_people(row.cell(column)),
            after: shown_beside(value, row.cell(column)).unwrap_or_else(|| for_people(value)),
        }
    });
    let changes = changes.collect();
    let edited = records.values().filter(|cells| !cells.is_empty()).count() as u64;
    let validation = validate_bytes(
        document.render(&edits)?,
        &document.name,
        document.options(),
        expectations,
        options,
        Keep::Rejected,
    )?;
    let Validation { rejected, .. } = validation;
    let left: Vec<Left> = rejected
        .into_iter()
        .map(|Rejected { record, reasons }| left(&document, &edits, record.record, reasons))
        .collect();
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
    };
    assert_eq!(
        readmission.records_in,
        readmission.records_out + readmission.quarantined,
        "every record comes out or is set aside"
    );
    Ok(readmission)
}

/// Writes the records that are set aside again to `path`, as a quarantine of the same data.
///
/// # Errors
/// `BOT-1002`.
pub fn write_left(path: &Path, readmission: &Readmission) -> Result<()> {
    let mut quarantine = Quarantine::create(path, &readmission.names)?;
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

fn left(document: &Document, edits: &Edits, record: u64, mut reasons: Vec<Finding>) -> Left {
    let at = usize::try_from(record - 1).expect("the records are held in memory");
    let row = document.row(at);
    let shown = |column: usize| {
        let (value, original) = (document.cell(edits, at, column), row.cell(column));
        shown_beside(value, original).unwrap_or_else(|| for_people(value))
    };
    for reason in &mut reasons {
        // Where it stands in the data, whatever was edited before it.
        reason.place.line = Some(row.line());
    }
    Left {
        record,
        line: row.line(),
        fingerprint: document.fingerprint(at),
        reasons,
        cells: (0..document.names.len()).map(shown).collect(),
    }
}

/// The records of quarantines, by their number from 0: their cells that were edited.
#[derive(Default)]
struct Listing {
    records: BTreeMap<usize, BTreeMap<usize, String>>,
    of_other_files: u64,
    complaints: Complaints,
}

/// A column of a quarantine that is one of the data.
struct Shared {
    /// In the quarantine.
    listed: usize,
    /// In the data.
    column: usize,
}

impl Listing {
    fn read(&mut self, path: &Path, document: &Document) -> Result<()> {
        let mut lines = Lines::open(path)?;
        let position = |name: &str| lines.column(name);
        let Some(record) = position("record") else {
            return Err(Fault::data("BOT-2221", "the quarantine has no column `record`")
                .file(path)
                .hint("give a file that `botops validate DATA --quarantine FILE` wrote, and leave its first line as it is"));
        };
        let (file, fingerprint) = (position("file"), position("fingerprint"));
        let names = lines.names.clone();
        let rows = lines.rows()?;
        let fingerprint_of = |cells: &[String]| {
            fingerprint.map(|column| cells[column].trim().to_owned()).filter(|it| !it.is_empty())
        };
        if fingerprint.is_none()
            || !rows.is_empty() && rows.iter().all(|(_, cells)| fingerprint_of(cells).is_none())
        {
            let message = "the quarantine has no fingerprints, so a record that moved or changed cannot be recognized";
            return Err(Fault::data("BOT-2228", message).file(path).hint(WRITE_AGAIN));
        }
        let shared = shared(&names, document, path)?;
        let file_of =
            |cells: &[String]| file.map(|file| from_spreadsheet(&cells[file]).into_owned());
        let files: BTreeSet<Option<String>> =
            rows.iter().map(|(_, cells)| file_of(cells)).collect();
        // Of one file, it may be called in another way from another folder: what stands there tells.
        let is_ours = |file: &Option<String>| {
            files.len() < 2 || file.as_ref().is_none_or(|file| is_same(file, &document.name))
        };
        if !files.is_empty() && !files.iter().any(is_ours) {
            let shown = |file: &String| format!("`{}`", display(file, 120));
            let named: Vec<String> = files.iter().flatten().take(5).map(shown).collect();
            return Err(Fault::conflict(
                "BOT-2224",
                format!("no record of the quarantine is of `{}`", display(&document.name, 120)),
            )
            .file(path)
            .hint(format!("its records are of {}: name one of them", named.join(", "))));
        }
        let mut taken: BTreeMap<usize, u64> = BTreeMap::new();
        for (place, cells) in rows {
            if !is_ours(&file_of(&cells)) {
                self.of_other_files += 1;
                continue;
            }
            let number = cells[record].trim();
            let Some(at) = number.parse().ok().and_then(|number: usize| number.checked_sub(1))
            else {
                let message = format!(
                    "`record` is `{}`, and the number of a record, from 1, is wanted",
                    display(number, 40)
                );
                self.complaints.malformed(
                    "BOT-2221",
                    &place,
                    message,
                    "leave the numbers as they were written",
                );
                continue;
            };
            if at >= document.len() {
                let message = format!(
                    "there is no record {number}: `{}` has {}",
                    display(&document.name, 120),
                    document.len()
                );
                self.complaints.stale("BOT-2224", &place, message, ORIGIN);
                continue;
            }
            if let Some(other) = taken.insert(at, place.line.unwrap_or_default()) {
                let message = format!("record {number} is listed on line {other} as well");
                self.complaints.malformed("BOT-2223", &place, message, "keep one of the lines");
                continue;
            }
            let Some(known) = fingerprint_of(&cells) else {
                let message = format!("the line of record {number} has no fingerprint");
                self.complaints.malformed("BOT-2228", &place, message, WRITE_AGAIN);
                continue;
            };
            if known != document.fingerprint(at) {
                let message = format!("record {number} is not what it was when it was set aside");
                self.complaints.stale("BOT-2224", &place, message, ORIGIN);
                continue;
            }
            let edited = self.edited(&shared, document, (at, &cells), &place);
            self.records.insert(at, edited);
        }
        Ok(())
    }

    /// Returns the cells of a line that say something else than the record at `at`.
    fn edited(
        &mut self,
        shared: &[Shared],
        document: &Document,
        (at, cells): (usize, &[String]),
        place: &Place,
    ) -> BTreeMap<usize, String> {
        let mut edited = BTreeMap::new();
        for Shared { listed, column } in shared {
            let (cell, original) = (&cells[*listed], document.row(at).cell(*column));
            let Some(value) = from_people(cell, original) else {
                let (what, help) = UNTOLD;
                let name = display(&document.names[*column], 40);
                self.complaints.malformed("BOT-2225", place, format!("`{name}` {what}"), help);
                continue;
            };
            match document.as_read(at, *column, &value) {
                Ok(value) if value != original => drop(edited.insert(*column, value)),
                Ok(_) => {}
                Err((message, help)) => self.complaints.malformed("BOT-2221", place, message, help),
            }
        }
        edited
    }
}

const ORIGIN: &str = "name the data that were validated, as they were then; or validate again, and correct what is set aside now";

const WRITE_AGAIN: &str =
    "write it again with `botops validate DATA --quarantine FILE`, and correct that file";

/// Returns which columns of a quarantine are which of the data.
///
/// # Errors
/// `BOT-2224` (exit 5) when the data do not have one of them.
fn shared(names: &[String], document: &Document, path: &Path) -> Result<Vec<Shared>> {
    let mut shared = Vec::new();
    for (listed, name) in names.iter().enumerate() {
        if LEADING.contains(&name.as_str()) {
            continue;
        }
        let name = from_spreadsheet(name);
        let of_data = name.strip_prefix(OF_DATA).filter(|bare| LEADING.contains(bare));
        let Some(column) = document.column(of_data.unwrap_or(&name)) else {
            return Err(Fault::conflict(
                "BOT-2224",
                format!(
                    "the quarantine has a column `{}`, and the data have not",
                    display(&name, 40)
                ),
            )
            .file(path)
            .hint(ORIGIN));
        };
        shared.push(Shared { listed, column });
    }
    Ok(shared)
}

/// Whether two names are of one file.
fn is_same(file: &str, other: &str) -> bool {
    let real = |name: &str| Path::new(name).canonicalize().ok();
    file == other || real(file).is_some_and(|file| Some(file) == real(other))
}
