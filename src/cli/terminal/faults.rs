//! Faults, findings and places as text, and a fault as a finding.

use botops_findings::{Fault, Finding, Place, Severity};
use botops_text::{display, without_credentials};
use std::error::Error as _;

/// The most findings of a fault that are listed.
const MOST_FINDINGS: usize = 20;

/// The decoration of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// No escape sequences.
    Plain,
    /// Colors and bold print, for a stream that removes them where they are not supported.
    Colored,
}

/// Returns a fault as text: the message with its code, the place, the findings, the hints.
///
/// `verbosity` above 0 adds the errors underneath.
pub(crate) fn fault(fault: &Fault, style: Style, verbosity: u8) -> String {
    let (red, bold, reset) = match style {
        Style::Plain => ("", "", ""),
        Style::Colored => ("\x1b[1;31m", "\x1b[1m", "\x1b[0m"),
    };
    let message = one_line(fault.message());
    let mut text = format!("{red}error{reset}{bold}[{}]{reset}: {message}\n", fault.code());
    if let Some(place) = place(fault.place()) {
        text.push_str(&format!("  --> {place}\n"));
    }
    for finding in fault.findings().iter().take(MOST_FINDINGS) {
        text.push_str(&self::finding(finding));
    }
    for hint in fault.hints() {
        text.push_str(&format!("{bold}hint{reset}: {}\n", without_credentials(hint)));
    }
    let mut source = fault.source().filter(|_| verbosity > 0);
    while let Some(error) = source {
        text.push_str(&format!("  caused by: {}\n", without_credentials(&error.to_string())));
        source = error.source();
    }
    text
}

/// Returns `text` on one line and without the passwords of URLs in it.
///
/// A file name or an argument may hold a line break, and a library may repeat the URL that it was given.
fn one_line(text: &str) -> String {
    let text = without_credentials(text);
    match text.contains(char::is_control) {
        true => display(&text, usize::MAX),
        false => text.into_owned(),
    }
}

/// Returns a fault as a finding; its hints, joined, are the help.
pub(crate) fn as_finding(fault: &Fault, severity: Severity) -> Finding {
    Finding {
        code: fault.code().to_owned(),
        severity,
        place: fault.place().clone(),
        message: without_credentials(fault.message()).into_owned(),
        help: without_credentials(&fault.hints().join("; ")).into_owned(),
    }
}

/// Returns a fault as findings: itself, then those that led to it.
pub(crate) fn as_findings(fault: &Fault) -> Vec<Finding> {
    let mut findings = vec![as_finding(fault, Severity::Error)];
    findings.extend(fault.findings().iter().cloned());
    findings
}

/// Returns the known parts of a place, such as `train.csv, record 41 (line 43)`; `None` if no part is known.
pub(crate) fn place(place: &Place) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(file) = &place.file {
        let mut part = one_line(file);
        if let (Some(line), None) = (place.line, place.record) {
            part.push_str(&format!(":{line}"));
            if let Some(column) = place.column {
                part.push_str(&format!(":{column}"));
            }
        }
        parts.push(part);
    }
    match (place.record, place.line) {
        (Some(record), Some(line)) => parts.push(format!("record {record} (line {line})")),
        (Some(record), None) => parts.push(format!("record {record}")),
        _ => {}
    }
    if let Some(key) = &place.key {
        parts.push(format!("key `{key}`"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Returns a place as the beginning of a line, such as `train.csv, record 41 (line 43): `; empty if no part is known.
pub(crate) fn place_prefix(place: &Place) -> String {
    self::place(place).map_or(String::new(), |place| format!("{place}: "))
}

/// Returns the name of a severity.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// Returns one finding as a line.
fn finding(finding: &Finding) -> String {
    let severity = severity(finding.severity);
    let place = place_prefix(&finding.place);
    format!("  {severity}[{}] {place}{}\n", finding.code, one_line(&finding.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_message_place_findings_and_hints_in_this_order() {
        let place = Place { record: Some(41), line: Some(43), ..Place::default() };
        let finding = Finding::new("BOT-2105", Severity::Error, "3 fields, not 2", "").at(place);
        let fault = Fault::data("BOT-2105", "1 record has another number of fields")
            .file("train.csv")
            .with_findings(vec![finding])
            .hint("quote the field");
        assert_eq!(
            super::fault(&fault, Style::Plain, 0),
            "error[BOT-2105]: 1 record has another number of fields\n  --> train.csv\n  \
             error[BOT-2105] record 41 (line 43): 3 fields, not 2\nhint: quote the field\n"
        );
        assert_eq!(as_findings(&fault).len(), 2);
    }

    #[test]
    fn passwords_of_urls_and_line_breaks_of_names_are_not_shown() {
        let error = std::io::Error::other("GET http://ada:sesame@host/x failed");
        let fault = Fault::usage("BOT-1003", "no `http://ada:sesame@host` or `a\n::error::b`")
            .file("c\n::error::d")
            .hint("try https://ada:sesame@host")
            .caused_by(error);
        let shown = super::fault(&fault, Style::Plain, 2);
        let json = format!("{:?}", as_finding(&fault, Severity::Error));
        assert!(!shown.contains("sesame") && !json.contains("sesame"), "{shown}{json}");
        assert_eq!(
            shown,
            "error[BOT-1003]: no `http://[redacted]@host` or `a\\u{a}::error::b`\n  \
             --> c\\u{a}::error::d\nhint: try https://[redacted]@host\n  \
             caused by: GET http://[redacted]@host/x failed\n"
        );
    }

    #[test]
    fn a_line_without_a_record_follows_the_file() {
        let place = Place {
            file: Some("botops.yaml".to_owned()),
            line: Some(3),
            column: Some(5),
            key: Some("model".to_owned()),
            ..Place::default()
        };
        assert_eq!(super::place(&place).unwrap(), "botops.yaml:3:5, key `model`");
        assert_eq!(super::place(&Place::default()), None);
    }
}
