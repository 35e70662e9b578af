//! Application: a reviewed patch is applied as a whole, or not at all.

use crate::{
    complaints::Complaints,
    document::{Document, Edits},
    fix::{Fix, FixAction},
    redacted_cell::SOME_MARKS,
    repaired::{Repaired, check_format},
};
use botops_datasets::{ReadOptions, column_roles::Roles};
use botops_findings::{Place, Result};
use botops_spec::nearest;
use botops_text::{
    display, fold, for_people, from_people, from_spreadsheet, shell_line, utterance,
    with_line_feeds,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

/// The account of the records, and of the lines of a patch.
///
/// - `records_in == records_out + removed.len()`
/// - `lines == applied + not_applied`
#[derive(Debug, Clone, Serialize)]
pub struct Application {
    /// The data file.
    pub file: String,
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Lines in the patch.
    pub lines: u64,
    /// Lines that were applied.
    pub applied: u64,
    /// Lines that were not to be applied.
    pub not_applied: u64,
    /// Cells with a new value, in the records written.
    pub cells_changed: u64,
    /// Records with such a cell.
    pub records_changed: u64,
    /// The removed records.
    pub removed: Vec<RemovedRecord>,
    /// The file to write.
    #[serde(skip)]
    pub repaired: Repaired,
}

/// A record that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedRecord {
    /// The record, from 1, in the data file.
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The beginning of its text, without personal data.
    pub text: String,
    /// The codes on its line in the patch.
    pub codes: String,
}

/// Applies the fixes of `patch` that are to be applied to the file at `path`; the result is for `out`.
///
/// - every line that is to be applied is checked first: the record has not changed, and its value is `before`
/// - the marks in `after` become the personal data of the cell again; with `BOT-2216` among the codes, they stay marks
/// - a repeat is removed only if a record with its text remains
/// - all other bytes are written as they are
///
/// # Errors
/// `BOT-2222` (exit 5) when lines do not match the data, `BOT-2221`, `BOT-2223`, `BOT-2225` and `BOT-2227` (exit 3) when
/// lines cannot be used; every such line is a finding. `BOT-1003` for another format; those of reading the data.
///
/// # Panics
/// If a record is neither written nor removed: a bug.
pub fn apply(
    path: &Path,
    read: &ReadOptions,
    patch: &[(Place, Fix)],
    out: &Path,
) -> Result<Application> {
    let document = Document::read(path, read)?;
    check_format(&document.name, document.format, out)?;
    let Accepted { edits, codes, applied } = accepted(&document, patch)?;
    let repaired = Repaired {
        bytes: document.render(&edits)?,
        format: document.format,
        read: document.options().clone(),
    };
    let removed: Vec<RemovedRecord> =
        edits.removed.iter().map(|&at| removed(&document, at, codes[&at])).collect();
    let changed: Vec<usize> = edits
        .cells
        .iter()
        .filter(|((at, column), cell)| {
            !edits.removed.contains(at) && document.row(*at).cell(*column) != cell.as_str()
        })
        .map(|((at, _), _)| *at)
        .collect();
    let records_in = document.len() as u64;
    let application = Application {
        file: document.name.clone(),
        records_in,
        records_out: Document::count(&repaired)?,
        lines: patch.len() as u64,
        applied,
        not_applied: patch.len() as u64 - applied,
        cells_changed: changed.len() as u64,
        records_changed: changed.into_iter().collect::<BTreeSet<usize>>().len() as u64,
        removed,
        repaired,
    };
    assert_eq!(
        application.records_in,
        application.records_out + application.removed.len() as u64,
        "every record is written or removed"
    );
    Ok(application)
}

/// The lines of a patch that are to be applied.
struct Accepted<'a> {
    edits: Edits,
    /// The codes of each removal, by record, from 0.
    codes: BTreeMap<usize, &'a str>,
    /// The number of lines.
    applied: u64,
}

/// Checks the lines of `patch` that are to be applied, and returns them as edits.
///
/// # Errors
/// As [`apply`]: the problems of all lines.
fn accepted<'a>(document: &Document, patch: &'a [(Place, Fix)]) -> Result<Accepted<'a>> {
    let mut edits = Edits::default();
    let mut complaints = Complaints::default();
    // The line of each changed cell and of each removed record.
    let mut places: BTreeMap<(usize, Option<usize>), &Place> = BTreeMap::new();
    let mut codes: BTreeMap<usize, &str> = BTreeMap::new();
    let mut applied = 0;
    for (place, fix) in patch.iter().filter(|(_, fix)| fix.is_applied) {
        applied += 1;
        let Some((at, column)) = find(document, place, fix, &mut complaints) else { continue };
        let cell = (fix.action == FixAction::Change).then_some(column);
        if let Some(other) = places.insert((at, cell), place) {
            let line = other.line.unwrap_or_default();
            let (column, record) = (display(&fix.column, 40), fix.record);
            let message = match fix.action {
                FixAction::Change => {
                    format!("`{column}` of record {record} is also changed on line {line}")
                }
                FixAction::Remove => format!("record {record} is also removed on line {line}"),
            };
            let help = "write `no` in `apply` for all but one of them";
            complaints.malformed("BOT-2223", place, message, help);
            continue;
        }
        match fix.action {
            FixAction::Remove => {
                edits.removed.insert(at);
                codes.insert(at, &fix.codes);
            }
            FixAction::Change => {
                if let Some(value) = new_value(document, place, fix, (at, column), &mut complaints)
                {
                    edits.cells.insert((at, column), value);
                }
            }
        }
    }
    if let Some(roles) = &document.roles {
        let kept = KeptTexts::of(document, roles, &edits);
        for (&at, _) in codes.iter().filter(|(at, codes)| !kept.has_original(**at, codes)) {
            let message = format!(
                "record {} would be removed, but no record with its text would remain",
                at + 1
            );
            let help = "the record that it repeats is removed as well, or its fix is not applied: write `no` in `apply` for this removal";
            complaints.malformed("BOT-2227", places[&(at, None)], message, help);
        }
    }
    complaints.refuse("patch")?;
    Ok(Accepted { edits, codes, applied })
}

/// The texts and intents of the records that remain after `edits`.
struct KeptTexts<'a> {
    document: &'a Document,
    roles: &'a Roles,
    edits: &'a Edits,
    texts: HashSet<(String, String)>,
}

impl<'a> KeptTexts<'a> {
    /// Collects the records that are not removed.
    fn of(document: &'a Document, roles: &'a Roles, edits: &'a Edits) -> Self {
        let mut kept = Self { document, roles, edits, texts: HashSet::new() };
        for at in (0..document.len()).filter(|at| !edits.removed.contains(at)) {
            let (text, intent) = kept.labelled_text(at);
            let forms = [fold(text), text.to_owned()].map(|text| (text, intent.to_owned()));
            kept.texts.extend(forms);
        }
        kept
    }

    /// Returns the text and the intent of the record at `at`.
    fn labelled_text(&self, at: usize) -> (&str, &str) {
        let cell = |column| self.document.cell(self.edits, at, column);
        (cell(self.roles.text), self.roles.intent.map_or("", cell).trim())
    }

    /// Returns whether a record remains that the record at `at`, removed for `codes`, repeats; true for other codes.
    fn has_original(&self, at: usize, codes: &str) -> bool {
        let (text, intent) = self.labelled_text(at);
        let is_kept = |text: String| self.texts.contains(&(text, intent.to_owned()));
        codes.split_whitespace().all(|code| match code {
            "BOT-2120" => is_kept(text.to_owned()),
            "BOT-2121" => is_kept(fold(text)),
            _ => true,
        })
    }
}

fn removed(document: &Document, at: usize, codes: &str) -> RemovedRecord {
    let row = document.row(at);
    let column = document.roles.as_ref().map_or(0, |roles| roles.text);
    RemovedRecord {
        record: at as u64 + 1,
        line: row.line(),
        text: utterance(row.cell(column), 80),
        codes: display(codes, 40),
    }
}

/// Returns the record, from 0, and the column of `fix`, if they have not changed since the patch was made.
fn find(
    document: &Document,
    place: &Place,
    fix: &Fix,
    complaints: &mut Complaints,
) -> Option<(usize, usize)> {
    let patch = Path::new(place.file.as_deref().unwrap_or("repairs.csv"));
    let patch = patch.with_extension("new.csv").display().to_string();
    let again = format!(
        "write a new patch for the present data: `{}`, with the same flags, such as `--expectations`",
        shell_line(["botops", "data", "repair", &document.name, "--patch", &patch])
    );
    let mut stale = |message: String, help: &str| {
        complaints.stale("BOT-2222", place, message, help);
        None
    };
    let record = fix.record;
    let at = usize::try_from(record).ok().and_then(|record| record.checked_sub(1));
    let Some(at) = at.filter(|at| *at < document.len()) else {
        return stale(
            format!(
                "there is no record {record}: `{}` has {}",
                display(&document.name, 120),
                document.len()
            ),
            "check that the patch is for this file",
        );
    };
    let Some(column) = document.column(&fix.column) else {
        let shown = display(&fix.column, 40);
        let help = match nearest(&fix.column, document.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{}`?", display(near, 40)),
            None => "check that the patch is for this file".to_owned(),
        };
        return stale(format!("there is no column `{shown}`"), &help);
    };
    let row = document.row(at);
    if !fix.fingerprint.is_empty() && fix.fingerprint != document.fingerprint(at) {
        return stale(
            format!("record {record} (line {}) has changed since the patch was made", row.line()),
            &again,
        );
    }
    let present = for_people(row.cell(column));
    if with_line_feeds(&fix.before) != with_line_feeds(&present) {
        let (column, before) = (display(&fix.column, 40), utterance(&fix.before, 60));
        let message = format!(
            "`{column}` of record {record} (line {}) is `{}`, but `{before}` in the patch",
            row.line(),
            display(&present, 60)
        );
        return stale(message, &again);
    }
    Some((at, column))
}

/// Returns the new value of the cell that `fix` changes.
fn new_value(
    document: &Document,
    place: &Place,
    fix: &Fix,
    (at, column): (usize, usize),
    complaints: &mut Complaints,
) -> Option<String> {
    let original = document.row(at).cell(column);
    let replaces_personal_data = fix.codes.split_whitespace().any(|code| code == "BOT-2216");
    let value = match replaces_personal_data {
        true => Some(from_spreadsheet(&fix.after).into_owned()),
        false => from_people(&fix.after, original),
    };
    let Some(value) = value else {
        let (problem, help) = SOME_MARKS;
        complaints.malformed("BOT-2225", place, format!("`after` {problem}"), help);
        return None;
    };
    match document.as_read(at, column, &value) {
        Ok(value) => Some(value),
        Err((message, help)) => {
            complaints.malformed("BOT-2221", place, message, help);
            None
        }
    }
}
