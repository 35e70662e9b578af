//! A validation as JUnit XML: one test case per check, for the test page of a CI system.

use super::{validation::title, wording::counted};
use botops_findings::{Finding, Severity, shared_help};
use botops_validation::{Check, Validation};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::{BTreeMap, btree_map::Entry};

/// Returns the result of every check of the file `name` as JUnit XML.
///
/// A check with errors is a failure with its kept findings. A check with warnings passes, with the findings in the
/// output of its test case.
///
/// If the errors reject no more records than `max_rejected_share` allows, their checks pass in the same way, so that the
/// test page and the exit code agree.
#[must_use]
pub fn validation_junit(validation: &Validation, name: &str) -> String {
    let mut report = Report::new("botops validate");
    report.add_test_suite(suite(validation, name));
    written(&report)
}

/// Returns a report as XML.
pub(super) fn written(report: &Report) -> String {
    report.to_string().expect("a report is written to memory")
}

/// Returns the test suite of a validation of the file `name`.
pub(super) fn suite(validation: &Validation, name: &str) -> TestSuite {
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
    let mut suite = TestSuite::new(printable(name));
    for ((code, rule), check) in &checks {
        let kept = findings.get(&(*code, *rule)).map_or(&[][..], Vec::as_slice);
        let rule = rule.map(|rule| format!(" ({rule})")).unwrap_or_default();
        let name = printable(&format!("{code} {}{rule}", title(code)));
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_classname(suite.name.clone());
        if check.findings > 0 {
            let message = counted(check.findings, "finding", "findings");
            let text = printable(&text(kept));
            if check.severity == Severity::Error && !validation.passes() {
                case.status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                case.status.set_type(*code).set_message(message).set_description(text);
            } else {
                case.set_system_out(format!("{message}\n{text}"));
            }
        }
        suite.add_test_case(case);
    }
    suite
}

/// Returns the findings of a check, one a line. Help is written once if all share it, else after each finding.
fn text(findings: &[&Finding]) -> String {
    let help = shared_help(findings);
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(line(finding));
        if help.is_none() && !finding.help.is_empty() {
            lines.push(format!("    help: {}", finding.help));
        }
    }
    lines.extend(help.map(|help| format!("help: {help}")));
    lines.join("\n")
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

/// Returns `text` with characters that XML 1.0 does not allow as `\u{..}`; the library would leave them out.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out += &format!("\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}
