//! The summary of a run on the page of a GitHub Actions job.

use crate::cli::{session::outputs::plain, terminal::tables};
use botops_findings::{Fault, Result};
use botops_pipelines::RunSummary;
use botops_report::{JobStage, JobSummary, job_markdown};
use std::{
    env,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

/// Appends the summary, and each Markdown file that a stage wrote below `root`, to `$GITHUB_STEP_SUMMARY` if it is set.
///
/// # Errors
/// `BOT-1002` (exit 1) when the file cannot be written.
pub(super) fn append(summary: &RunSummary, root: &Path) -> Result<()> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = PathBuf::from(path);
    let text = summary_text(summary, root);
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let message = format!("`{}` cannot be written: {}", path.display(), plain(&error));
            Fault::internal("BOT-1002", message).file(&path)
        })
}

/// Returns the summary, and each Markdown file that a stage wrote below `root`.
pub(super) fn summary_text(summary: &RunSummary, root: &Path) -> String {
    let mut text = job_markdown(&job(summary));
    for file in summary.stages.iter().flat_map(|stage| &stage.wrote) {
        if file.ends_with(".md") {
            // A later stage may have removed the file; the table has its result.
            text.push_str(&fs::read_to_string(root.join(file)).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

/// Returns the stages of a run for its summary.
pub(super) fn job_stages(summary: &RunSummary) -> Vec<JobStage<'_>> {
    let stages = summary.stages.iter().map(|stage| JobStage {
        name: &stage.stage,
        verdict: stage.outcome.name(),
        took: match stage.seconds > 0.0 {
            true => tables::seconds(stage.seconds),
            false => "-".to_owned(),
        },
        summary: &stage.summary,
    });
    stages.collect()
}

fn job(summary: &RunSummary) -> JobSummary<'_> {
    JobSummary {
        pipeline: &summary.pipeline,
        stages: job_stages(summary),
        metrics: &summary.metrics,
        run: summary.run.as_deref(),
        fault: summary.fault.as_ref().map(|fault| (fault.code(), fault.message())),
    }
}
