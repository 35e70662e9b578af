//! The reports of a validation: for code review, test pages, summaries.

use crate::cli::{
    arguments::{
        output_args::ForceArg,
        report_arg::{ReportArg, ReportKind},
    },
    session::repository_paths::RepositoryPaths,
    terminal::faults::as_finding,
};
use botops_findings::{Fault, Result, Severity};
use botops_report as report;
use botops_validation::{Check, Validation};
use std::borrow::Cow;

/// Writes the report `to` about the data `name`.
pub(super) fn write(
    to: &ReportArg,
    validation: &Validation,
    name: &str,
    force: ForceArg,
) -> Result<()> {
    to.output(force).write(render(to.kind, validation, name)?.as_bytes())
}

/// Renders the report about the data `name`. Annotations and SARIF name files from the root of the repository.
pub(super) fn render(kind: ReportKind, validation: &Validation, name: &str) -> Result<String> {
    let (mut validation, mut name) = (Cow::Borrowed(validation), Cow::Borrowed(name));
    if kind.names_lines() {
        let paths = RepositoryPaths::from_current()?;
        paths.rewrite(&mut validation.to_mut().findings);
        name = Cow::Owned(paths.of(&name));
    }
    Ok(match kind {
        ReportKind::Sarif => report::validation_sarif(&validation, &name),
        ReportKind::Junit => report::validation_junit(&validation, &name),
        ReportKind::Github => report::validation_annotations(&validation, &name),
        ReportKind::Markdown => report::validation_markdown(&validation, &name),
        ReportKind::Html => report::validation_html(&validation, &name),
    })
}

/// Returns a validation whose only findings are those of `fault`: the file is not data.
pub(super) fn of_fault(fault: &Fault) -> Validation {
    let mut findings = fault.findings().to_vec();
    if findings.is_empty() {
        findings.push(as_finding(fault, Severity::Error));
    }
    let n = findings.len() as u64;
    let check = Check {
        code: fault.code().to_owned(),
        rule: None,
        severity: Severity::Error,
        findings: n,
        known: 0,
    };
    Validation { findings, checks: vec![check], errors: n, ..Validation::default() }
}
