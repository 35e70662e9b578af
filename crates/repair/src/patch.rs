//! The patch file: one line per fix, to be reviewed in a spreadsheet, an editor or a pull request.

use crate::{
    complaints::Complaints,
    edited_table::EditedTable,
    fix::{Fix, FixAction},
};
use botops_datasets::formats::csv::SheetForm;
use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use botops_text::{display, from_spreadsheet};
use std::path::Path;

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
/// The columns that a patch must have.
const REQUIRED: [&str; 6] = ["record", "action", "column", "apply", "before", "after"];

/// Returns `fixes` as CSV of the given `form`, one line each.
///
/// `before` and `after` are safe to show already; the other cells are made safe here.
#[must_use]
pub fn patch_csv(fixes: &[Fix], form: SheetForm) -> Vec<u8> {
    let mut patch = [form.mark(), &form.line(HEADER)].concat();
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
            // Words of botops; the cells they quote are safe already.
            display(&fix.why, usize::MAX),
            fix.fingerprint.clone(),
        ];
        patch.extend(form.line(cells));
    }
    patch
}

/// Reads the patch at `path`: its fixes, each with its place in the patch.
///
/// A patch is read as spreadsheets save it: with commas, semicolons or tabs, with or without a byte-order mark, and with
/// its columns in any order. An empty `apply` means no.
///
/// # Errors
/// `BOT-2221` (exit 3) for missing columns, and for lines that cannot be parsed, all of them; those of reading a table.
pub fn read_patch(path: &Path) -> Result<Vec<(Place, Fix)>> {
    let mut table = EditedTable::open(path)?;
    let missing: Vec<String> = REQUIRED
        .iter()
        .filter(|name| table.column(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        return Err(Fault::data("BOT-2221", format!("the patch has no column {}", missing.join(", ")))
            .file(path)
            .hint("use a file that `botops data repair DATA --patch FILE` wrote, and do not change its first line"));
    }
    let mut fixes = Vec::new();
    let mut complaints = Complaints::default();
    for (place, cells) in table.lines()? {
        let cell = |name: &str| table.column(name).map_or("", |column| cells[column].as_str());
        if let Some(fix) = fix(cell, &place, &mut complaints) {
            fixes.push((place, fix));
        }
    }
    complaints.refuse("patch")?;
    Ok(fixes)
}

/// Parses one line; `None` if it has a mistake, which is added to `complaints`.
fn fix<'a>(
    cell: impl Fn(&str) -> &'a str,
    place: &Place,
    complaints: &mut Complaints,
) -> Option<Fix> {
    let mut wrong = |name: &str, expected: &str, help: &str| {
        let value = display(cell(name), 40);
        let message = format!("`{name}` is `{value}`: expected {expected}");
        complaints.malformed("BOT-2221", place, message, help);
    };
    let record = cell("record").trim().parse().ok().filter(|record| *record > 0);
    if record.is_none() {
        wrong("record", "the number of a record, from 1", "do not change the numbers");
    }
    let word = cell("action").trim().to_lowercase();
    let action = match word.as_str() {
        "change" => Some(FixAction::Change),
        "remove" => Some(FixAction::Remove),
        _ => {
            let near = nearest(&word, ["change", "remove"]);
            let help = near.map_or("write one of the two".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
            wrong("action", "`change` or `remove`", &help);
            None
        }
    };
    let is_applied = match cell("apply").trim().to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" => Some(true),
        "no" | "n" | "false" | "0" | "" => Some(false),
        _ => {
            wrong("apply", "`yes` or `no`", "write one of the two");
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
