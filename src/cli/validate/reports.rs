//! The reports of a validation: for code review, test pages, summaries.

use crate::cli::{
    Format,
    arguments::{
        out_path::{OutPath, Writes},
        output_args::ForceArg,
    },
    terminal::faults::as_finding,
};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result, Severity};
use botops_report as report;
use botops_spec::nearest;
use botops_validation::{Check, Validation};
use std::str::FromStr;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sarif,
    Junit,
    Github,
    Markdown,
    Html,
}

/// A report to write, given as `KIND=FILE`.
#[derive(Debug, Clone)]
pub(crate) struct ReportArg {
    kind: Kind,
    pub(super) path: OutPath,
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
            None => "unknown kind of report; the kinds are `sarif`, `junit`, `github`, `markdown` and `html`".to_owned(),
        })?;
        Ok(Self { kind, path: OutPath::new(path) })
    }
}

impl Writes for ReportArg {
    fn out(&self) -> &OutPath {
        &self.path
    }
}

impl ReportArg {
    /// Makes the argument for a report page at `path`.
    pub(super) fn html(path: &OutPath) -> Self {
        Self { kind: Kind::Html, path: path.clone() }
    }

    /// Returns whether the report is a page.
    pub(super) fn is_page(&self) -> bool {
        self.kind == Kind::Html
    }

    /// Returns the file to write.
    pub(super) fn output(&self, force: ForceArg) -> Output<'_> {
        let kind = match self.kind {
            Kind::Sarif => OutputKind::Sarif,
            Kind::Junit => OutputKind::Junit,
            Kind::Github => OutputKind::Annotations,
            Kind::Markdown => OutputKind::Markdown,
            Kind::Html => OutputKind::Page,
        };
        Output::new(&self.path, kind, force.force)
    }

    /// Writes the report about the data `name`.
    pub(super) fn write(&self, validation: &Validation, name: &str, force: ForceArg) -> Result<()> {
        self.output(force).write(self.kind.render(validation, name).as_bytes())
    }
}

impl Kind {
    /// Returns the kind of a `--format`; `None` for the formats of every verb.
    pub(super) fn of(format: Format) -> Option<Self> {
        match format {
            Format::Table | Format::Json => None,
            Format::Markdown => Some(Self::Markdown),
            Format::Sarif => Some(Self::Sarif),
            Format::Junit => Some(Self::Junit),
            Format::Github => Some(Self::Github),
        }
    }

    /// Renders the report about the data `name`.
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
