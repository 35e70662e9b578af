//! The page of a validation.

use super::{
    data,
    html::{escape, message, quoted},
    page::{Card, Page, Tone, badge, cards, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted},
};
use crate::search_script::browser;
use botops_findings::{Finding, Place, Severity, catalogue, shared_help};
use botops_validation::Validation;
use std::collections::{BTreeMap, BTreeSet};

/// The most findings of one code in a table. The JSON contains the rest.
const MOST_ROWS: usize = 100;

/// The number of findings of one code that are shown before the user shows all.
const ROWS_SHOWN: usize = 10;

/// Returns the page of the validation of the data set `name`.
#[must_use]
pub fn validation_html(validation: &Validation, name: &str) -> String {
    let numbers = [
        ("records read", validation.records_in, "in the file"),
        ("accepted", validation.records_accepted, "can be used for training"),
        ("quarantined", validation.records_rejected, "not for training, each with its reasons"),
        ("errors", validation.errors, "findings that reject a record or fail the data"),
        ("warnings", validation.warnings, "findings that do not reject a record"),
    ];
    let cards_html = cards(&numbers.map(|(name, value, meaning)| Card {
        name: name.to_owned(),
        value: count(value),
        range: String::new(),
        meaning: meaning.to_owned(),
    }));
    let (tone, word, sentence) = summary(validation);
    let mut page = Page::new("validation", &format!("Validation of {name}"))
        .lead(&verdict(tone, word, &sentence))
        .lead(&cards_html)
        .section("findings", "Findings", findings(validation));
    if let Some(profiles) = &validation.profiles {
        page = data::fill(page, &data::Sides::of_validation(profiles));
    }
    page.footer(&format!(
        "<p>Records and lines are counted from 1; they differ if a field contains a line break. \
         <code>botops explain CODE</code> describes each code.</p>{}",
        if validation.profiles.is_some() { data::FOOTER } else { "" }
    ))
    .render()
}

/// Returns the verdict: its color, a heading and a sentence.
pub(super) fn summary(validation: &Validation) -> (Tone, &'static str, String) {
    let accepted = format!(
        "{} of {} can be used for training",
        count(validation.records_accepted),
        counted(validation.records_in, "record", "records")
    );
    let warnings = counted(validation.warnings, "warning", "warnings");
    if validation.errors > 0 && validation.passes() {
        let errors = counted(validation.errors, "error", "errors");
        let share = validation.share_text().unwrap_or_default();
        let sentence = format!("{errors} and {warnings}; {accepted} ({share}).");
        (Tone::Warning, "Passed with rejected records.", sentence)
    } else if validation.errors > 0 {
        let errors = counted(validation.errors, "error", "errors");
        let sentence = format!("{errors} and {warnings}; {accepted}.");
        (Tone::Bad, "Errors found.", sentence)
    } else if validation.warnings > 0 {
        (Tone::Warning, "Passed with warnings.", format!("{warnings}; {accepted}."))
    } else {
        (Tone::Good, "Passed.", format!("{accepted}."))
    }
}

/// The findings of one code: the highest severity, the count, and the kept findings.
pub(super) struct Group<'a> {
    pub(super) code: &'a str,
    pub(super) severity: Severity,
    pub(super) count: u64,
    pub(super) kept: Vec<&'a Finding>,
}

/// Returns the findings by code: errors first, then by count.
pub(super) fn by_code(validation: &Validation) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    fn group<'g, 'a>(
        groups: &'g mut BTreeMap<&'a str, Group<'a>>,
        code: &'a str,
    ) -> &'g mut Group<'a> {
        let new = || Group { code, severity: Severity::Info, count: 0, kept: Vec::new() };
        groups.entry(code).or_insert_with(new)
    }
    for finding in &validation.findings {
        let group = group(&mut groups, &finding.code);
        group.severity = group.severity.max(finding.severity);
        group.kept.push(finding);
    }
    for check in validation.checks.iter().filter(|check| check.findings > 0) {
        group(&mut groups, &check.code).count += check.findings;
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    for group in &mut groups {
        // Results of older versions have no counts.
        group.count = group.count.max(group.kept.len() as u64);
    }
    groups.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then(b.count.cmp(&a.count)).then(a.code.cmp(b.code))
    });
    groups
}

/// Writes a record and its line; empty for a finding on the whole file.
fn place(place: &Place) -> String {
    let line = place.line.map_or_else(String::new, |line| {
        format!(" <span class=\"quiet\">(line {})</span>", count(line))
    });
    place.record.map_or_else(String::new, |record| format!("{}{line}", count(record)))
}

/// Returns the title of a code; empty if the code is unknown.
pub(super) fn title(code: &str) -> &'static str {
    catalogue::find(code).map_or("", |entry| entry.title)
}

fn findings(validation: &Validation) -> String {
    if validation.findings.is_empty() {
        return "<p>There are no findings.</p>".to_owned();
    }
    let mut out = String::new();
    let files: BTreeSet<_> = validation.findings.iter().map(|found| &found.place.file).collect();
    // A single file is already named in the title.
    let has_files = files.len() > 1;
    let groups = by_code(validation);
    for (at, Group { code, severity, count: n, kept }) in groups.into_iter().enumerate() {
        let (tone, word) = match severity {
            Severity::Error => (Tone::Bad, "error"),
            Severity::Warning => (Tone::Warning, "warning"),
            Severity::Info => (Tone::Neutral, "info"),
        };
        // Help is shown once if all findings share it, else next to each finding.
        let help = shared_help(&kept);
        let rows = kept.iter().take(MOST_ROWS).map(|finding| {
            let mut text = message(&finding.message, 400);
            if help.is_none() && !finding.help.is_empty() {
                text += &format!(" <span class=\"quiet\">({})</span>", message(&finding.help, 400));
            }
            let mut row = vec![place(&finding.place), text];
            if has_files {
                let file = finding.place.file.as_deref();
                row.push(file.map_or_else(String::new, |file| quoted(file, 120)));
            }
            row
        });
        let mut columns = vec![("record", Column::Number), ("finding", Column::Text)];
        if has_files {
            columns.push(("file", Column::Plain));
        }
        let more = match n.checked_sub(kept.len().min(MOST_ROWS) as u64) {
            Some(more) if more > 0 => {
                format!(
                    "<p class=\"quiet\">{} more; <code>--samples</code> sets how many are kept.</p>",
                    count(more)
                )
            }
            _ => String::new(),
        };
        let open = if at == 0 { " open" } else { "" };
        out += &format!(
            "<details{open}><summary>{} <code>{}</code> {}: {}</summary>{}{}\
             {more}</details>",
            badge(tone, word),
            escape(code),
            escape(title(code)),
            counted(n, "finding", "findings"),
            help.map_or_else(String::new, |help| {
                format!("<p class=\"quiet\">{}</p>", message(help, 400))
            }),
            table(code, Narrow::Stack, &columns, rows),
        );
    }
    browser("found", "Search the findings", &[], Some(ROWS_SHOWN), &out)
}
