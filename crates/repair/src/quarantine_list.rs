//! The quarantines that are merged back: which records they list, and which of their cells were edited.

use crate::{
    complaints::Complaints,
    document::Document,
    edited_table::{EditedTable, Line},
    redacted_cell::SOME_MARKS,
};
use botops_findings::{Fault, Place, Result};
use botops_text::{display, from_people, from_spreadsheet};
use botops_validation::quarantine::{LEADING, OF_DATA};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The help for a quarantine that does not match the data.
const VALIDATED_DATA: &str = "name the data that were validated, unchanged; or validate again, and correct the new quarantine";
/// The help for a quarantine without fingerprints.
const WRITE_AGAIN: &str =
    "write it again with `botops validate DATA --quarantine FILE`, and correct that file";

/// The listed records and their edited cells.
#[derive(Default)]
pub(crate) struct QuarantineList {
    /// The edited cells by column, for each record, from 0.
    pub(crate) records: BTreeMap<usize, BTreeMap<usize, String>>,
    /// The number of listed records of other files.
    pub(crate) of_other_files: u64,
    pub(crate) complaints: Complaints,
}

/// A column of a quarantine that is a column of the data.
struct SharedColumn {
    in_quarantine: usize,
    in_data: usize,
}

impl QuarantineList {
    /// Adds the quarantine at `path`, for the data in `document`. A record that was listed before gets the cells of this
    /// quarantine.
    ///
    /// # Errors
    /// `BOT-2221` and `BOT-2228` (exit 3) for missing columns, `BOT-2224` (exit 5) for other data; those of reading a
    /// table. Problems of single lines are added to the complaints.
    pub(crate) fn add(&mut self, path: &Path, document: &Document) -> Result<()> {
        let mut table = EditedTable::open(path)?;
        let lines = table.lines()?;
        let Some(record) = table.column("record") else {
            return Err(Fault::data("BOT-2221", "the quarantine has no column `record`")
                .file(path)
                .hint("use a file that `botops validate DATA --quarantine FILE` wrote, and do not change its first line"));
        };
        let fingerprint = fingerprint_column(&table, &lines, path)?;
        let shared = shared_columns(&table.names, document, path)?;
        let lines_of_data = self.of_document(table.column("file"), lines, document, path)?;
        let mut line_of_record: BTreeMap<usize, u64> = BTreeMap::new();
        for (place, cells) in lines_of_data {
            let number = cells[record].trim();
            let Some(at) = number.parse().ok().and_then(|number: usize| number.checked_sub(1))
            else {
                let value = display(number, 40);
                let message =
                    format!("`record` is `{value}`: expected the number of a record, from 1");
                let help = "do not change the numbers";
                self.complaints.malformed("BOT-2221", &place, message, help);
                continue;
            };
            if at >= document.len() {
                let message = format!(
                    "there is no record {number}: `{}` has {}",
                    display(&document.name, 120),
                    document.len()
                );
                self.complaints.stale("BOT-2224", &place, message, VALIDATED_DATA);
                continue;
            }
            if let Some(other) = line_of_record.insert(at, place.line.unwrap_or_default()) {
                let message = format!("record {number} is also listed on line {other}");
                self.complaints.malformed("BOT-2223", &place, message, "keep one of the lines");
                continue;
            }
            match cells[fingerprint].trim() {
                "" => {
                    let message = format!("the line of record {number} has no fingerprint");
                    self.complaints.malformed("BOT-2228", &place, message, WRITE_AGAIN);
                    continue;
                }
                fingerprint if fingerprint != document.fingerprint(at) => {
                    let message = format!("record {number} has changed since it was quarantined");
                    self.complaints.stale("BOT-2224", &place, message, VALIDATED_DATA);
                    continue;
                }
                _ => {}
            }
            let edited = self.edited_cells(&shared, document, (at, &cells), &place);
            self.records.insert(at, edited);
        }
        Ok(())
    }

    /// Returns the lines about records of `document`, and counts the others; `file` is the column of their files.
    fn of_document(
        &mut self,
        file: Option<usize>,
        lines: Vec<Line>,
        document: &Document,
        path: &Path,
    ) -> Result<Vec<Line>> {
        let file_of =
            |cells: &[String]| file.map(|file| from_spreadsheet(&cells[file]).into_owned());
        let files: BTreeSet<Option<String>> =
            lines.iter().map(|(_, cells)| file_of(cells)).collect();
        // A single file may have another name here, from another folder; the fingerprints identify its records.
        let is_ours = |file: &Option<String>| {
            files.len() < 2 || file.as_ref().is_none_or(|file| is_same(file, &document.name))
        };
        if !files.is_empty() && !files.iter().any(is_ours) {
            let shown = |file: &String| format!("`{}`", display(file, 120));
            let named: Vec<String> = files.iter().flatten().take(5).map(shown).collect();
            let name = display(&document.name, 120);
            let message = format!("no record of the quarantine is of `{name}`");
            return Err(Fault::conflict("BOT-2224", message)
                .file(path)
                .hint(format!("its records are of {}: name one of them", named.join(", "))));
        }
        let (ours, others): (Vec<_>, Vec<_>) =
            lines.into_iter().partition(|(_, cells)| is_ours(&file_of(cells)));
        self.of_other_files += others.len() as u64;
        Ok(ours)
    }

    /// Returns the `cells` of a line that differ from the record at `at`, by column of the data.
    fn edited_cells(
        &mut self,
        shared: &[SharedColumn],
        document: &Document,
        (at, cells): (usize, &[String]),
        place: &Place,
    ) -> BTreeMap<usize, String> {
        let mut edited = BTreeMap::new();
        for &SharedColumn { in_quarantine, in_data } in shared {
            let original = document.row(at).cell(in_data);
            let Some(value) = from_people(&cells[in_quarantine], original) else {
                let (problem, help) = SOME_MARKS;
                let name = display(&document.names[in_data], 40);
                let message = format!("`{name}` {problem}");
                self.complaints.malformed("BOT-2225", place, message, help);
                continue;
            };
            match document.as_read(at, in_data, &value) {
                Ok(value) if value != original => drop(edited.insert(in_data, value)),
                Ok(_) => {}
                Err((message, help)) => self.complaints.malformed("BOT-2221", place, message, help),
            }
        }
        edited
    }
}

/// Returns the column of the fingerprints.
///
/// # Errors
/// `BOT-2228` (exit 3) when there is none, or no line has a fingerprint.
fn fingerprint_column(table: &EditedTable, lines: &[Line], path: &Path) -> Result<usize> {
    let has_fingerprint = |column: usize| {
        lines.is_empty() || lines.iter().any(|(_, cells)| !cells[column].trim().is_empty())
    };
    table.column("fingerprint").filter(|column| has_fingerprint(*column)).ok_or_else(|| {
        let message = "the quarantine has no fingerprints, so a record that moved or changed cannot be recognized";
        Fault::data("BOT-2228", message).file(path).hint(WRITE_AGAIN)
    })
}

/// Returns the columns of a quarantine, with these `names`, that are columns of the data.
///
/// # Errors
/// `BOT-2224` (exit 5) when the data lack one of them.
fn shared_columns(names: &[String], document: &Document, path: &Path) -> Result<Vec<SharedColumn>> {
    let mut shared = Vec::new();
    for (in_quarantine, name) in names.iter().enumerate() {
        if LEADING.contains(&name.as_str()) {
            continue;
        }
        let name = from_spreadsheet(name);
        let of_data = name.strip_prefix(OF_DATA).filter(|bare| LEADING.contains(bare));
        let Some(in_data) = document.column(of_data.unwrap_or(&name)) else {
            let name = display(&name, 40);
            let message = format!("the quarantine has a column `{name}`, which the data lack");
            return Err(Fault::conflict("BOT-2224", message).file(path).hint(VALIDATED_DATA));
        };
        shared.push(SharedColumn { in_quarantine, in_data });
    }
    Ok(shared)
}

/// Returns whether two names are of the same file.
fn is_same(file: &str, other: &str) -> bool {
    let real = |name: &str| Path::new(name).canonicalize().ok();
    file == other || real(file).is_some_and(|file| Some(file) == real(other))
}
