//! A patch that was looked through is applied: whole, or not at all.

use super::{
    Complaints, Document, Fix, FixAction, Repaired, UNTOLD, check_format, document::Edits,
};
use botops_datasets::{ReadOptions, column_roles::Roles};
use botops_findings::{Place, Result};
use botops_spec::nearest;
use botops_text::{
    display, fold, for_people, from_people, from_spreadsheet, utterance, with_line_feeds,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

/// What became of the records and of the lines of a patch.
///
/// - `records_in == records_out + removed.len()`
/// - `lines == applied + not_applied`
#[derive(Debug, Clone, Serialize)]
pub struct Application {
    /// The data file.
    pub file: String,
    /// Records read.
    pub records_in: u64,
    /// Records that come out.
    pub records_out: u64,
    /// Lines of the patch.
    pub lines: u64,
    /// Those that were applied.
    pub applied: u64,
    /// Those that were not to be.
    pub not_applied: u64,
    /// Cells that have another value than before, in records that come out.
    pub cells_changed: u64,
    /// Records with such a cell.
    pub records_changed: u64,
    /// The records left out.
    pub removed: Vec<RemovedRecord>,
    /// What is written.
    #[serde(skip)]
    pub repaired: Repaired,
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedRecord {
    /// The record, from 1, in the file that was read.
    pub record: u64,
    /// Its line there.
    pub line: u64,
    /// The beginning of its text, without personal data.
    pub text: String,
    /// The codes that its line in the patch names.
    pub codes: String,
}

/// Applies the fixes of `patch` that are to be applied to the file at `path`, which is written to `out`.
///
/// - every line that is to be applied is checked first: the record is what it was, and `before` stands there
/// - a cell of which `before` was redacted gets back what the marks in `after` stand for; with `BOT-2216` among the codes,
///   `after` is what it says
/// - what repeats another record is left out only where one stays that says the same
/// - what is not changed is written byte for byte
///
/// # Errors
/// `BOT-2222` (exit 5) when lines do not fit the data, `BOT-2221`, `BOT-2223`, `BOT-2225` and `BOT-2227` (exit 3) when
/// lines cannot be used; every such line is a finding. `BOT-1003` for another format; those of reading the data.
///
/// # Panics
/// When a record were not accounted for: a bug.
pub fn apply(
    path: &Path,
    read: &ReadOptions,
    patch: &[(Place, Fix)],
    out: &Path,
) -> Result<Application> {
    let document = Document::read(path, read)?;
    check_format(&document, out)?;
    let mut edits = Edits::default();
    let mut complaints = Complaints::default();
    let mut taken: BTreeMap<(usize, Option<usize>), &Place> = BTreeMap::new();
    let mut codes: BTreeMap<usize, &str> = BTreeMap::new();
    let mut applied = 0;
    for (place, fix) in patch.iter().filter(|(_, fix)| fix.is_applied) {
        applied += 1;
        let Some((at, column)) = fits(&document, place, fix, &mut complaints) else { continue };
        let cell = (fix.action == FixAction::Change).then_some(column);
        if let Some(other) = taken.insert((at, cell), place) {
            let line = other.line.unwrap_or_default();
            let message = match fix.action {
                FixAction::Change => format!(
                    "`{}` of record {} is changed on line {line} as well",
                    display(&fix.column, 40),
                    fix.record
                ),
                FixAction::Remove => {
                    format!("record {} is removed on line {line} as well", fix.record)
                }
            };
            complaints.malformed(
                "BOT-2223",
                place,
                message,
                "write `no` under `apply` of all but one of them",
            );
            continue;
        }
        match fix.action {
            FixAction::Remove => {
                edits.removed.insert(at);
                codes.insert(at, &fix.codes);
            }
            FixAction::Change => {
                if let Some(value) = meant(&document, place, fix, (at, column), &mut complaints) {
                    edits.cells.insert((at, column), value);
                }
            }
        }
    }
    if let Some(roles) = &document.roles {
        let kept = Kept::of(&document, roles, &edits);
        for (&at, _) in codes.iter().filter(|(at, codes)| !kept.has_what_it_repeats(**at, codes)) {
            let message = format!(
                "record {} would be removed, and none would be left that says the same",
                at + 1
            );
            let help = "it repeats a record of which another line is not to be applied, or is removed as well: write `no` under its `apply`";
            complaints.malformed("BOT-2227", taken[&(at, None)], message, help);
        }
    }
    complaints.refuse("patch")?;
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
        "every record comes out or is named as removed"
    );
    Ok(application)
}

/// What records are compared by that repeat one another, as `edits` leave them.
struct Kept<'a> {
    document: &'a Document,
    roles: &'a Roles,
    edits: &'a Edits,
    texts: HashSet<(String, String)>,
}

impl<'a> Kept<'a> {
    /// Takes the records that are not left out.
    fn of(document: &'a Document, roles: &'a Roles, edits: &'a Edits) -> Self {
        let mut kept = Self { document, roles, edits, texts: HashSet::new() };
        for at in (0..document.len()).filter(|at| !edits.removed.contains(at)) {
            let (text, intent) = kept.said(at);
            let said = [fold(text), text.to_owned()].map(|text| (text, intent.to_owned()));
            kept.texts.extend(said);
        }
        kept
    }

    fn said(&self, at: usize) -> (&str, &str) {
        let cell = |column| self.document.cell(self.edits, at, column);
        (cell(self.roles.text), self.roles.intent.map_or("", cell).trim())
    }

    /// Whether something stays that the record at `at`, left out for `codes`, repeats; of another reason, nothing is said.
    fn has_what_it_repeats(&self, at: usize, codes: &str) -> bool {
        let (text, intent) = self.said(at);
        let is_there = |text: String| self.texts.contains(&(text, intent.to_owned()));
        codes.split_whitespace().all(|code| match code {
            "BOT-2120" => is_there(text.to_owned()),
            "BOT-2121" => is_there(fold(text)),
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

/// Returns the record, from 0, and the column that `fix` is about, if they are what it says they are.
fn fits(
    document: &Document,
    place: &Place,
    fix: &Fix,
    complaints: &mut Complaints,
) -> Option<(usize, usize)> {
    let patch = Path::new(place.file.as_deref().unwrap_or("repairs.csv"));
    let again = format!(
        "propose again, for the data as they are now, into another file: `botops data repair {} --patch {}`, and \
         flags such as `--expectations` as before",
        document.name,
        patch.with_extension("new.csv").display()
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
            "look whether it is the patch of these data",
        );
    };
    let Some(column) = document.column(&fix.column) else {
        let shown = display(&fix.column, 40);
        let help = match nearest(&fix.column, document.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{}`?", display(near, 40)),
            None => "look whether it is the patch of these data".to_owned(),
        };
        return stale(format!("there is no column `{shown}`"), &help);
    };
    let row = document.row(at);
    if !fix.fingerprint.is_empty() && fix.fingerprint != document.fingerprint(at) {
        return stale(
            format!(
                "record {record} (line {}) is not what it was when the patch was made",
                row.line()
            ),
            &again,
        );
    }
    let there = for_people(row.cell(column));
    if with_line_feeds(&fix.before) != with_line_feeds(&there) {
        let (column, before) = (display(&fix.column, 40), utterance(&fix.before, 60));
        let message = format!(
            "`{column}` of record {record} (line {}) is `{}`, and the patch says `{before}`",
            row.line(),
            display(&there, 60)
        );
        return stale(message, &again);
    }
    Some((at, column))
}

/// Returns the value that `fix` means.
fn meant(
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
        let (what, help) = UNTOLD;
        complaints.malformed("BOT-2225", place, format!("`after` {what}"), help);
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
