//! What a validation is written as besides a table: for code review, test pages, summaries.

use crate::cli::{Format, session::context};
use botops_findings::{Fault, Finding, Result, Severity};
use botops_report as report;
use botops_spec::nearest;
use botops_validation::{Check, Validation};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sarif,
    Junit,
    Github,
    Markdown,
    Html,
}

/// A report to be written, as `KIND=FILE`.
#[derive(Debug, Clone)]
pub(super) struct ReportArg {
    kind: Kind,
    pub(super) path: PathBuf,
}

const NAMES: [(&str, Kind); 5] = [
    ("sarif", Kind::Sarif),
    ("junit", Kind::Junit),
    ("github", Kind::Github),
    ("markdown", Kind::Markdown),
    ("html", Kind::Html),
];

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or("write a kind and a file, such as `sarif=findings.sarif`")?;
        let kind = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| match nearest(name, NAMES.iter().map(|(name, _)| *name)) {
            Some(near) => format!("unknown kind of report; did you mean `{near}`?"),
            None => "unknown kind of report: `sarif`, `junit`, `github`, `markdown` and `html` are known".to_owned(),
        })?;
        Ok(Self { kind, path: path.into() })
    }
}

impl ReportArg {
    /// Makes the report page at `path`.
    pub(super) fn html(path: &Path) -> Self {
        Self { kind: Kind::Html, path: path.to_owned() }
    }

    /// Returns whether it is a page.
    pub(super) fn is_page(&self) -> bool {
        self.kind == Kind::Html
    }

    /// Writes the report on the file `name`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, validation: &Validation, name: &str) -> Result<()> {
        context::write_file(&self.path, self.kind.render(validation, name).as_bytes())
    }
}

impl Kind {
    /// Returns the kind that `--format` asks for; `None` for what every verb writes.
    pub(super) fn of(format: Format) -> Option<Self> {
        match format {
            Format::Table | Format::Json => None,
            Format::Markdown => Some(Self::Markdown),
            Format::Sarif => Some(Self::Sarif),
            Format::Junit => Some(Self::Junit),
            Format::Github => Some(Self::Github),
        }
    }

    /// Returns the report on the file `name`.
    pub(super) fn render(self, validation: &Validation, name: &str) -> String {
        match self {
            Self::Sarif => report::validation_sarif(validation, name),
            Self::Junit => report::validation_junit(validation, name),
            Self::Github => report::validation_annotations(validation, name),
            Self::Markdown => report::validation_markdown(validation, name),
            Self::Html => report::validation_html(validation, name),
        }
    }
}

/// Returns a validation that found nothing but why the file is no data.
pub(super) fn of_fault(fault: &Fault) -> Validation {
    let mut findings = fault.findings().to_vec();
    if findings.is_empty() {
        findings.push(Finding {
            code: fault.code().to_owned(),
            severity: Severity::Error,
            place: fault.place().clone(),
            message: fault.message().to_owned(),
            help: fault.hints().join("; "),
        });
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
