//! `--report KIND=FILE`: a report for code review, a test page or a summary.

use super::{
    out_path::{OutPath, Writes},
    output_args::ForceArg,
};
use crate::cli::Format;
use botops_files::{Output, OutputKind};
use botops_findings::Result;
use botops_spec::nearest;
use std::str::FromStr;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportKind {
    Sarif,
    Junit,
    Github,
    Markdown,
    Html,
}

/// A report to write, given as `KIND=FILE`.
#[derive(Debug, Clone)]
pub(crate) struct ReportArg {
    pub(crate) kind: ReportKind,
    pub(crate) path: OutPath,
}

const NAMES: [(&str, ReportKind); 5] = [
    ("sarif", ReportKind::Sarif),
    ("junit", ReportKind::Junit),
    ("github", ReportKind::Github),
    ("markdown", ReportKind::Markdown),
    ("html", ReportKind::Html),
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
    pub(crate) fn html(path: &OutPath) -> Self {
        Self { kind: ReportKind::Html, path: path.clone() }
    }

    /// Returns whether the report is a page.
    pub(crate) fn is_page(&self) -> bool {
        self.kind == ReportKind::Html
    }

    /// Returns the file to write.
    pub(crate) fn output(&self, force: ForceArg) -> Output<'_> {
        let kind = match self.kind {
            ReportKind::Sarif => OutputKind::Sarif,
            ReportKind::Junit => OutputKind::Junit,
            ReportKind::Github => OutputKind::Annotations,
            ReportKind::Markdown => OutputKind::Markdown,
            ReportKind::Html => OutputKind::Page,
        };
        Output::new(&self.path, kind, force.force)
    }
}

impl ReportKind {
    /// Returns the kind of a `--format`; `None` for the formats of every verb.
    pub(crate) fn of(format: Format) -> Option<Self> {
        match format {
            Format::Table | Format::Json => None,
            Format::Markdown => Some(Self::Markdown),
            Format::Sarif => Some(Self::Sarif),
            Format::Junit => Some(Self::Junit),
            Format::Github => Some(Self::Github),
        }
    }

    /// Returns whether the report names lines of files in the repository.
    pub(crate) fn names_lines(self) -> bool {
        matches!(self, Self::Sarif | Self::Github)
    }
}
