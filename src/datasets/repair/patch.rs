//! A patch as a file: one line a fix, to be looked through in a spreadsheet, an editor or a pull request.

use super::{Complaints, Fix, FixAction};
use crate::{
    datasets::{
        Presence, ReadOptions,
        table::{Origin, Table},
    },
    findings::{Fault, Place, Result},
    spec::nearest,
    text::{display, from_spreadsheet},
};
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
        let safe = |text: &str| crate::text::for_people(text);
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
            safe(&fix.why),
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
    let options = ReadOptions {
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let mut table = Table::open(&Origin::of(path)?, &options)?;
    let shape = table.shape().clone();
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|name| shape.column(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        return Err(Fault::data("BOT-2221", format!("the patch has no column {}", missing.join(", ")))
            .file(path)
            .hint("give a file that `botops data repair DATA --patch FILE` wrote, and leave its first line as it is"));
    }
    let mut fixes = Vec::new();
    let mut complaints = Complaints::default();
    while let Some(batch) = table.next()? {
        for row in batch.rows() {
            let place = Place {
                file: Some(path.display().to_string()),
                record: Some(row.record()),
                line: Some(row.line()),
                ..Place::default()
            };
            let cell = |name: &str| shape.column(name).map_or("", |column| row.cell(column));
            // A spreadsheet leaves lines without anything behind those that were deleted.
            if (0..shape.names.len()).all(|column| row.cell(column).trim().is_empty()) {
                continue;
            }
            if let Some(fix) = fix(cell, &place, &mut complaints) {
                fixes.push((place, fix));
            }
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
        why: from_spreadsheet(cell("why")).into_owned(),
        fingerprint: cell("fingerprint").trim().to_owned(),
    })
}
