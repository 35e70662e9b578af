//! The reports of a run: for code review, test pages, summaries.

use super::step_summary::{job_stages, summary_text};
use crate::cli::{
    arguments::report_arg::ReportKind, session::repository_paths::RepositoryPaths, terminal::faults,
};
use botops_findings::{Fault, Finding, Result};
use botops_pipelines::{Plan, RunSummary};
use botops_report::{self as report, RunReport};
use std::path::Path;

/// Renders the report of a run of `plan` in the workspace at `root`.
pub(super) fn render(
    kind: ReportKind,
    plan: &Plan,
    summary: &RunSummary,
    root: &Path,
) -> Result<String> {
    Ok(match kind {
        ReportKind::Sarif => report::run_sarif(&collected(plan, summary, root, true)?),
        ReportKind::Github => report::run_annotations(&collected(plan, summary, root, true)?),
        ReportKind::Junit => report::run_junit(&collected(plan, summary, root, false)?),
        ReportKind::Markdown => {
            report::bounded_markdown(&summary_text(summary, root), report::MOST_SUMMARY_BYTES)
                .into_owned()
        }
        ReportKind::Html => return Err(no_page()),
    })
}

/// Refuses a page: the stages write their own.
pub(super) fn no_page() -> Fault {
    Fault::usage("BOT-1003", "`run` writes no report page: its stages write one each")
        .hint("the page of the data is `validation.html` in the folder of the validate stage")
}

/// Collects the findings of the data and of the stages. With `from_repository`, files are named from the root of the
/// repository.
fn collected<'a>(
    plan: &'a Plan,
    summary: &'a RunSummary,
    root: &Path,
    from_repository: bool,
) -> Result<RunReport<'a>> {
    let mut data: Vec<_> = summary.validations(plan, root)?;
    let mut findings: Vec<Finding> = summary.fault.iter().flat_map(faults::as_findings).collect();
    findings.extend(summary.findings.iter().cloned());
    // A failed validate stage repeats the errors of its data.
    findings.retain(|finding| !data.iter().any(|data| data.validation.findings.contains(finding)));
    let mut file = plan.file.display().to_string();
    if from_repository {
        file = RepositoryPaths::from_current()?.of(&file);
        let paths = RepositoryPaths::from(root);
        for stage in &mut data {
            stage.data = paths.of(&stage.data);
            paths.rewrite(&mut stage.validation.findings);
        }
        paths.rewrite(&mut findings);
    }
    Ok(RunReport {
        pipeline: &summary.pipeline,
        file,
        stages: job_stages(summary),
        data: data.into_iter().map(|stage| (stage.data, stage.validation)).collect(),
        findings,
    })
}
