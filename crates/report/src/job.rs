//! The summary of a pipeline run, as Markdown for the page of a CI job.

use super::markdown::{plain, table};
use botops_evaluation::Metric;
use botops_text::interval;
use std::{borrow::Cow, collections::BTreeMap};

/// The most bytes of a summary. GitHub shows 1 MiB for each step, and nothing of a longer one; the rest is for other
/// commands of the step.
pub const MOST_SUMMARY_BYTES: usize = 960 << 10;

/// The most characters of a cell.
const MOST_CHARS: usize = 500;

/// A finished run of a pipeline.
#[derive(Debug, Clone)]
pub struct JobSummary<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The stages in order.
    pub stages: Vec<JobStage<'a>>,
    /// The metrics of the run, by name.
    pub metrics: &'a BTreeMap<String, Metric>,
    /// The id of the run, if it was recorded.
    pub run: Option<&'a str>,
    /// The code and the message of the fault that ended the run.
    pub fault: Option<(&'a str, &'a str)>,
}

/// A stage of a run.
#[derive(Debug, Clone)]
pub struct JobStage<'a> {
    /// The name of the stage.
    pub name: &'a str,
    /// The verdict in one word.
    pub verdict: &'a str,
    /// The time that the stage took, such as `1.5s`; `-` if it did not run.
    pub took: String,
    /// The result in one sentence.
    pub summary: &'a str,
}

/// Returns the summary of a run: the stages, the metrics, the id and the fault.
#[must_use]
pub fn job_markdown(job: &JobSummary<'_>) -> String {
    let cell = |text: &str| plain(text, MOST_CHARS);
    let stages = job.stages.iter().map(|stage| {
        vec![cell(stage.name), stage.verdict.to_owned(), stage.took.clone(), cell(stage.summary)]
    });
    let mut out = format!(
        "## botops: {}\n\n{}",
        job.pipeline,
        table(&["stage", "verdict", "time", "summary"], &[], stages)
    );
    if !job.metrics.is_empty() {
        let rows = job.metrics.iter().map(|(name, metric)| {
            let value = format!("{:.3}", metric.value);
            vec![name.clone(), value, interval(metric.ci95, 3), metric.n.to_string()]
        });
        out += "\n";
        out += &table(&["metric", "value", "95 % interval", "n"], &[], rows);
    }
    if let Some(run) = job.run {
        out += &format!("\nrun `{run}`\n");
    }
    if let Some((code, message)) = job.fault {
        out += &format!("\n**{code}**: {}\n", cell(message));
    }
    out += "\n";
    out
}

/// Returns `markdown`, cut at the end of a line to `most` bytes, with a sentence that says so. If not even that fits, the
/// result is empty.
#[must_use]
pub fn bounded_markdown(markdown: &str, most: usize) -> Cow<'_, str> {
    const CUT: &str = "\n\n**The summary is cut here**: it is longer than GitHub shows.\n\n";
    if markdown.len() <= most {
        return Cow::Borrowed(markdown);
    }
    let Some(room) = most.checked_sub(CUT.len()) else { return Cow::Borrowed("") };
    let end = (0..=room).rev().find(|end| markdown.is_char_boundary(*end)).unwrap_or(0);
    let kept = &markdown[..end];
    let kept = &kept[..kept.rfind('\n').unwrap_or(0)];
    Cow::Owned(format!("{kept}{CUT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_cut_at_a_line_and_says_so() {
        let rows = "| é | 1 |\n".repeat(1_000);
        assert_eq!(bounded_markdown(&rows, rows.len()), rows);
        for most in [100, 101, 102, 5_000] {
            let cut = bounded_markdown(&rows, most);
            assert!(cut.len() <= most, "{} of {most}", cut.len());
            assert!(cut.starts_with("| é | 1 |\n") || most < 120, "{cut}");
            assert!(cut.contains("is cut here"), "{cut}");
            let kept = cut.split("\n\n").next().unwrap();
            assert!(kept.is_empty() || kept.ends_with("| é | 1 |"), "{kept}");
        }
        assert_eq!(bounded_markdown(&rows, 10), "");
    }

    #[test]
    fn a_job_lists_stages_metrics_and_the_fault() {
        let metric = Metric { value: 0.5, ci95: [0.25, 0.75], n: 8 };
        let job = JobSummary {
            pipeline: "weekly",
            stages: vec![JobStage {
                name: "gate",
                verdict: "failed",
                took: "1.5s".to_owned(),
                summary: "1 of 2 rules | failed",
            }],
            metrics: &BTreeMap::from([("accuracy".to_owned(), metric)]),
            run: Some("20261120-3f9c"),
            fault: Some(("BOT-3020", "a gate failed")),
        };
        assert_eq!(
            job_markdown(&job),
            "## botops: weekly\n\n\
             | stage | verdict | time | summary |\n| --- | --- | --- | --- |\n\
             | gate | failed | 1.5s | 1 of 2 rules &#124; failed |\n\n\
             | metric | value | 95 % interval | n |\n| --- | --- | --- | --- |\n\
             | accuracy | 0.500 | [0.250, 0.750] | 8 |\n\n\
             run `20261120-3f9c`\n\n**BOT-3020**: a gate failed\n\n"
        );
    }
}
