//! A patch as a file: one line a fix, to be looked through in a spreadsheet, an editor or a pull request.

use super::{Complaints, Fix, FixAction, spans};
use botops_datasets::{
    Format, Presence, ReadOptions, bytes,
    formats::csv,
    table::{Origin, Table},
};
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use botops_text::{display, from_spreadsheet};
use std::path::{Path, PathBuf};

const HEADER: [&str; 11] = [
    "file",
    "record",
    "line",
    "action",
    "column",
    "codes",
    "apply",
    "before",
    "after",
    "why",
    "fingerprint",
];
/// Those that a patch cannot do without.
const NEEDED: [&str; 6] = ["record", "action", "column", "apply", "before", "after"];

/// Returns `fixes` as CSV, one line each.
///
/// `before` and `after` are fit to be read by people already; the rest is made so here.
#[must_use]
pub fn patch_csv(fixes: &[Fix]) -> Vec<u8> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory takes it");
    for fix in fixes {
        let safe = |text: &str| botops_text::for_people(text);
        let cells = [
            safe(&fix.file),
            fix.record.to_string(),
            fix.line.to_string(),
            fix.action.name().to_owned(),
            safe(&fix.column),
            fix.codes.clone(),
            if fix.is_applied { "yes" } else { "no" }.to_owned(),
            fix.before.clone(),
            fix.after.clone(),
            // Words of ours, which show what others wrote: as is.
            display(&fix.why, usize::MAX),
            fix.fingerprint.clone(),
        ];
        writer.write_record(cells).expect("memory takes it");
    }
    writer.into_inner().expect("memory takes it")
}

/// Reads the patch at `path`: its fixes, each with its place in it.
///
/// Commas, semicolons or tabs, with or without a byte-order mark, in any order of the columns: as spreadsheets save it. An
/// empty `apply` is a no.
///
/// # Errors
/// `BOT-2221` (exit 3) for missing columns, and for lines that cannot be understood, all of them; those of reading a table.
pub fn read_patch(path: &Path) -> Result<Vec<(Place, Fix)>> {
    let mut lines = Lines::open(path)?;
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|name| lines.column(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        return Err(Fault::data("BOT-2221", format!("the patch has no column {}", missing.join(", ")))
            .file(path)
            .hint("give a file that `botops data repair DATA --patch FILE` wrote, and leave its first line as it is"));
    }
    let mut fixes = Vec::new();
    let mut complaints = Complaints::default();
    let rows = lines.rows()?;
    for (place, cells) in rows {
        let cell = |name: &str| lines.column(name).map_or("", |column| cells[column].as_str());
        if let Some(fix) = fix(cell, &place, &mut complaints) {
            fixes.push((place, fix));
        }
    }
    complaints.refuse("patch")?;
    Ok(fixes)
}

fn fix<'a>(
    cell: impl Fn(&str) -> &'a str,
    place: &Place,
    complaints: &mut Complaints,
) -> Option<Fix> {
    let mut wrong = |name: &str, wanted: &str, help: &str| {
        let there = display(cell(name), 40);
        let message = format!("`{name}` is `{there}`, and {wanted} is wanted");
        complaints.malformed("BOT-2221", place, message, help);
    };
    let record = cell("record").trim().parse().ok().filter(|record| *record > 0);
    if record.is_none() {
        wrong(
            "record",
            "the number of a record, from 1,",
            "leave the numbers as they were written",
        );
    }
    let word = cell("action").trim().to_lowercase();
    let action = match word.as_str() {
        "change" => Some(FixAction::Change),
        "remove" => Some(FixAction::Remove),
        _ => {
            let near = nearest(&word, ["change", "remove"]);
            let help = near
                .map_or("write one of them".to_owned(), |near| format!("did you mean `{near}`?"));
            wrong("action", "`change` or `remove`", &help);
            None
        }
    };
    let is_applied = match cell("apply").trim().to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" => Some(true),
        "no" | "n" | "false" | "0" | "" => Some(false),
        _ => {
            wrong("apply", "`yes` or `no`", "write one of them");
            None
        }
    };
    Some(Fix {
        file: from_spreadsheet(cell("file")).into_owned(),
        record: record?,
        line: cell("line").trim().parse().unwrap_or_default(),
        action: action?,
        column: from_spreadsheet(cell("column")).into_owned(),
        codes: cell("codes").trim().to_owned(),
        is_applied: is_applied?,
        before: cell("before").to_owned(),
        after: cell("after").to_owned(),
        why: cell("why").to_owned(),
        fingerprint: cell("fingerprint").trim().to_owned(),
    })
}

/// The lines of a file that a person edited: as a spreadsheet saves it, with or without a mark at its beginning, separated
/// by commas, semicolons or tabs. It may hold a header alone.
pub(crate) struct Lines {
    path: PathBuf,
    pub(crate) names: Vec<String>,
    table: Option<Table>,
}

/// A line, and where it stands.
pub(crate) type Line = (Place, Vec<String>);

impl Lines {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// Those of reading a table; a header without a line is none.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let options = ReadOptions {
            text: Presence::Optional,
            intent: Presence::Optional,
            ..ReadOptions::default()
        };
        let (names, table) = match Table::open(&Origin::of(path)?, &options) {
            Ok(table) => (table.shape().names.clone(), Some(table)),
            Err(fault) if fault.code() == "BOT-2102" => {
                let header = header(&bytes(path)?);
                if header.is_empty() {
                    return Err(fault);
                }
                (header, None)
            }
            Err(fault) => return Err(fault),
        };
        Ok(Self { path: path.to_owned(), names, table })
    }

    /// Returns the column called `name`.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|there| there == name)
    }

    /// Reads the lines in which there is something: a spreadsheet leaves empty ones behind those that were deleted.
    ///
    /// # Errors
    /// Those of reading a table.
    pub(crate) fn rows(&mut self) -> Result<Vec<Line>> {
        let mut rows = Vec::new();
        let Some(mut table) = self.table.take() else { return Ok(rows) };
        while let Some(batch) = table.next()? {
            for row in batch.rows() {
                let cells: Vec<String> =
                    (0..self.names.len()).map(|column| row.cell(column).to_owned()).collect();
                let place = Place {
                    file: Some(self.path.display().to_string()),
                    record: Some(row.record()),
                    line: Some(row.line()),
                    ..Place::default()
                };
                if cells.iter().any(|cell| !cell.trim().is_empty()) {
                    rows.push((place, cells));
                }
            }
        }
        Ok(rows)
    }
}

/// Returns the names in the first line of a table that has no other.
fn header(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    let delimiter = spans::delimiter(text, Format::Csv);
    let mut fields = csv::Fields::new(delimiter);
    if fields.read(text, 0).is_none() {
        return Vec::new();
    }
    fields.words(text).map(|name| name.trim().to_owned()).collect()
}
