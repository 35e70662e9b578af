//! A validation as JUnit XML: one test case per check, for the test page of a CI system.

use super::{validation::title, wording::counted};
use botops_findings::{Finding, Severity, shared_help};
use botops_validation::{Check, Validation};
use std::collections::{BTreeMap, btree_map::Entry};

/// Returns the result of every check of the file `name` as JUnit XML.
///
/// A check with errors is a failure with its kept findings. A check with warnings passes, with the findings in the
/// output of its test case.
#[must_use]
pub fn validation_junit(validation: &Validation, name: &str) -> String {
    let mut findings: BTreeMap<(&str, Option<&str>), Vec<&Finding>> = BTreeMap::new();
    for (i, finding) in validation.findings.iter().enumerate() {
        let rule = validation.marks.get(i).and_then(|mark| mark.rule.as_deref());
        findings.entry((&finding.code, rule)).or_default().push(finding);
    }
    let mut checks: BTreeMap<(&str, Option<&str>), Check> = BTreeMap::new();
    for check in &validation.checks {
        match checks.entry((&check.code, check.rule.as_deref())) {
            Entry::Vacant(place) => {
                place.insert(check.clone());
            }
            Entry::Occupied(mut place) => {
                let merged = place.get_mut();
                // A check without findings does not change the severity.
                merged.severity = match (merged.findings, check.findings) {
                    (0, _) => check.severity,
                    (_, 0) => merged.severity,
                    _ => merged.severity.max(check.severity),
                };
                merged.findings += check.findings;
                merged.known += check.known;
            }
        }
    }
    let failures =
        checks.values().filter(|c| c.findings > 0 && c.severity == Severity::Error).count();
    let suite = xml(name);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"botops validate\" tests=\"{0}\" \
         failures=\"{failures}\" errors=\"0\">\n  <testsuite name=\"{suite}\" tests=\"{0}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n",
        checks.len()
    );
    for ((code, rule), check) in &checks {
        let kept = findings.get(&(*code, *rule)).map_or(&[][..], Vec::as_slice);
        let rule = rule.map(|rule| format!(" ({rule})")).unwrap_or_default();
        let case = xml(&format!("{code} {}{rule}", title(code)));
        out += &format!("    <testcase classname=\"{suite}\" name=\"{case}\"");
        if check.findings == 0 {
            out += "/>\n";
            continue;
        }
        // Help is written once if all findings share it, else after each finding.
        let help = shared_help(kept);
        let mut lines = Vec::new();
        for finding in kept {
            lines.push(line(finding));
            if help.is_none() && !finding.help.is_empty() {
                lines.push(format!("    help: {}", finding.help));
            }
        }
        lines.extend(help.map(|help| format!("help: {help}")));
        let text = xml(&lines.join("\n"));
        let message = xml(&counted(check.findings, "finding", "findings"));
        out += &if check.severity == Severity::Error {
            format!(
                ">\n      <failure type=\"{code}\" message=\"{message}\">{text}</failure>\n    </testcase>\n"
            )
        } else {
            format!(">\n      <system-out>{message}\n{text}</system-out>\n    </testcase>\n")
        };
    }
    out += "  </testsuite>\n</testsuites>\n";
    out
}

/// Returns a finding in one line, with its record and line.
fn line(finding: &Finding) -> String {
    let place = &finding.place;
    let at = match (place.record, place.line) {
        (Some(record), Some(line)) => format!("record {record} (line {line}): "),
        (None, Some(line)) => format!("line {line}: "),
        _ => String::new(),
    };
    format!("{at}{}", finding.message)
}

/// Escapes `text`, and writes characters that XML 1.0 does not allow as `\u{..}`.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out += &format!("\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
