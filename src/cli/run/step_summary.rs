//! The summary of a run on the page of a GitHub Actions job.

use crate::cli::{session::outputs::plain, terminal::tables};
use botops_findings::{Fault, Result};
use botops_pipelines::RunSummary;
use botops_report::{JobStage, JobSummary, MOST_SUMMARY_BYTES, bounded_markdown, job_markdown};
use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Appends the summary, and each Markdown file that a stage wrote below `root`, to `$GITHUB_STEP_SUMMARY` if it is set.
///
/// GitHub shows nothing of a file of more than 1 MiB. With what other commands of the step wrote, the file stays below
/// that; returns a note if the summary was cut or left out.
///
/// # Errors
/// `BOT-1002` (exit 1) when the file cannot be written.
pub(super) fn append(summary: &RunSummary, root: &Path) -> Result<Option<String>> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let whole = summary_text(summary, root);
    let taken = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let room = (MOST_SUMMARY_BYTES as u64).saturating_sub(taken) as usize;
    let text = bounded_markdown(&whole, room);
    let note = (text.len() < whole.len()).then(|| {
        format!(
            "note: the summary of this step is cut to {} bytes: GitHub shows at most 1 MiB",
            text.len()
        )
    });
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            let message = format!("`{}` cannot be written: {}", path.display(), plain(&error));
            Fault::internal("BOT-1002", message).file(&path)
        })?;
    Ok(note)
}

/// Returns the summary, and each Markdown file that a stage wrote below `root`.
pub(super) fn summary_text(summary: &RunSummary, root: &Path) -> String {
    let mut text = job_markdown(&job(summary));
    for file in summary.stages.iter().flat_map(|stage| &stage.wrote) {
        if file.ends_with(".md") {
            // A later stage may have removed the file; the table has its result.
            text.push_str(&beginning(&root.join(file)).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

/// Returns as much of the Markdown file at `path` as a summary may have, and the beginning of the rest.
fn beginning(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_SUMMARY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
