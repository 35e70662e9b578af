//! The page of a validation.

use super::{
    charts::bounded_bar,
    page::{Card, Page, Tone, badge, cards, escape, message, quoted, verdict},
    table::{Column, Narrow, table},
    wording::{count, counted},
};
use crate::{
    datasets::Validation,
    findings::{Finding, Severity, catalogue},
};
use std::collections::BTreeMap;

/// Findings of one code listed; the rest is in the JSON.
const MOST_ROWS: usize = 100;

/// Returns the page of what was found in the data set `name`.
#[must_use]
pub fn validation_html(validation: &Validation, name: &str) -> String {
    let numbers = [
        ("records read", validation.records_in, "in the file"),
        ("accepted", validation.records_accepted, "may be trained on"),
        ("set aside", validation.records_rejected, "in the quarantine file, with reasons"),
        ("errors", validation.errors, "findings that reject a record or fail the data"),
        ("warnings", validation.warnings, "findings worth a look"),
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
        .section("findings", "Findings", findings(&validation.findings))
        .section(
            "intents",
            "Examples by intent",
            shares("Examples by intent", "intent", &validation.intents),
        );
    if !validation.languages.is_empty() {
        page = page.section(
            "languages",
            "Examples by language",
            shares("Examples by language", "language", &validation.languages),
        );
    }
    page.footer(
        "<p>Records and lines are counted from 1; they differ where a field holds a line break. \
         <code>botops explain CODE</code> says more about each code.</p>",
    )
    .render()
}

/// Returns the verdict in one word and one sentence.
pub(super) fn summary(validation: &Validation) -> (Tone, &'static str, String) {
    let accepted = format!(
        "{} of {} may be trained on",
        count(validation.records_accepted),
        counted(validation.records_in, "record", "records")
    );
    let warnings = counted(validation.warnings, "warning", "warnings");
    if validation.errors > 0 {
        let errors = counted(validation.errors, "error", "errors");
        let sentence = format!("{errors} and {warnings}; {accepted}.");
        (Tone::Bad, "Errors found.", sentence)
    } else if validation.warnings > 0 {
        (Tone::Warning, "Passed with warnings.", format!("{warnings}; {accepted}."))
    } else {
        (Tone::Good, "Passed.", format!("{accepted}."))
    }
}

/// Returns findings by code: errors first, then by how many there are.
pub(super) fn by_code(findings: &[Finding]) -> Vec<(&str, Severity, Vec<&Finding>)> {
    let mut groups: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups.entry(finding.code.as_str()).or_default().push(finding);
    }
    let mut groups: Vec<(&str, Severity, Vec<&Finding>)> = groups
        .into_iter()
        .map(|(code, findings)| {
            let severity = findings.iter().map(|finding| finding.severity).max();
            (code, severity.unwrap_or(Severity::Info), findings)
        })
        .collect();
    groups.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.len().cmp(&a.2.len())).then(a.0.cmp(b.0)));
    groups
}

/// Returns the title of a code, or nothing.
pub(super) fn title(code: &str) -> &'static str {
    catalogue::find(code).map_or("", |entry| entry.title)
}

fn findings(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "<p>Nothing was found.</p>".to_owned();
    }
    let mut out = String::new();
    for (at, (code, severity, group)) in by_code(findings).into_iter().enumerate() {
        let (tone, word) = match severity {
            Severity::Error => (Tone::Bad, "error"),
            Severity::Warning => (Tone::Warning, "warning"),
            Severity::Info => (Tone::Neutral, "info"),
        };
        let rows = group.iter().take(MOST_ROWS).map(|finding| {
            let number = |n: Option<u64>| n.map_or_else(String::new, count);
            vec![
                message(&finding.message, 400),
                number(finding.place.record),
                number(finding.place.line),
                finding.place.file.as_deref().map_or_else(String::new, |file| quoted(file, 120)),
            ]
        });
        let columns = [
            ("found", Column::Text),
            ("record", Column::Number),
            ("line", Column::Number),
            ("file", Column::Plain),
        ];
        let more = match group.len().checked_sub(MOST_ROWS) {
            Some(more) if more > 0 => {
                format!(
                    "<p class=\"quiet\">{} more are in the JSON report.</p>",
                    count(more as u64)
                )
            }
            _ => String::new(),
        };
        let open = if at == 0 { " open" } else { "" };
        out += &format!(
            "<details{open}><summary>{} <code>{}</code> {}: {}</summary><p class=\"quiet\">{}</p>{}\
             {more}</details>",
            badge(tone, word),
            escape(code),
            escape(title(code)),
            counted(group.len() as u64, "finding", "findings"),
            group.first().map_or_else(String::new, |finding| message(&finding.help, 400)),
            table(code, Narrow::Stack, &columns, rows),
        );
    }
    out
}

fn shares(label: &str, what: &str, counts: &BTreeMap<String, u64>) -> String {
    let most = counts.values().copied().max().unwrap_or(0) as f64;
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let rows = counts.into_iter().map(|(name, &n)| {
        vec![quoted(name, 80), count(n), bounded_bar(n as f64, most, &[], "bar")]
    });
    table(
        label,
        Narrow::Scroll,
        &[(what, Column::Name), ("records", Column::Number), ("", Column::Chart)],
        rows,
    )
}
