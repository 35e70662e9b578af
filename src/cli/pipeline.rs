//! `botops pipeline`.

mod diff;

use super::{Outcome, run};
use crate::cli::{session::context::Context, terminal::tables};
use botops_findings::Result;
use botops_pipelines::{self as pipelines, Plan, RunOptions};
use botops_text::shell_line;
use clap::Subcommand;
use std::path::{Path, PathBuf};

/// Inspect a pipeline
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the stages that would run, and why
    Status {
        /// The pipeline
        #[arg(default_value = "pipelines/weekly.yaml")]
        pipeline: PathBuf,
    },
    /// Show which stage needs which
    Graph {
        /// The pipeline
        #[arg(default_value = "pipelines/weekly.yaml")]
        pipeline: PathBuf,
        /// Print a Mermaid flowchart, for Markdown
        #[arg(long)]
        mermaid: bool,
    },
    /// Compare the data and the models of two states of a pipeline, such as before and after a change
    Diff(diff::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Status { pipeline } => status(pipeline, context),
        Verb::Graph { pipeline, mermaid } => graph(pipeline, *mermaid, context),
        Verb::Diff(args) => diff::run(args, context),
    }
}

impl Args {
    /// Returns whether the answer can be Markdown.
    pub(crate) fn writes_markdown(&self) -> bool {
        matches!(self.verb, Verb::Diff(_))
    }
}

fn read(pipeline: &Path, context: &Context) -> Result<Plan> {
    Plan::read(pipeline, context.workspace_of(pipeline)?.model.value.as_deref())
}

fn graph(pipeline: &Path, mermaid: bool, context: &Context) -> Result<Outcome> {
    let stages = pipelines::graph(&read(pipeline, context)?);
    if mermaid {
        let text = pipelines::mermaid(&stages);
        return Ok(Outcome::done(&stages, text));
    }
    let rows = stages.iter().map(|stage| {
        let needs = match stage.needs.as_slice() {
            [] => "-".to_owned(),
            needs => needs.join(", "),
        };
        vec![stage.turn.to_string(), stage.stage.clone(), stage.kind.clone(), needs]
    });
    let mut text = tables::table(&["turn", "stage", "kind", "needs"], rows, &[0]);
    text.push_str("stages of one turn run at once\n");
    let line = ["botops", "pipeline", "graph", &pipeline.display().to_string(), "--mermaid"];
    Ok(Outcome::done(&stages, text).next(shell_line(line)))
}

fn status(pipeline: &Path, context: &Context) -> Result<Outcome> {
    let stages = run::status(&read(pipeline, context)?, context, &RunOptions::default())?;
    let stale = stages.iter().filter(|stage| stage.state == "stale").count();
    let mut text = run::status_table(&stages);
    text.push_str(&match stale {
        0 => "nothing to do\n".to_owned(),
        n => format!("{n} of {} stages would run\n", stages.len()),
    });
    let outcome = Outcome::done(&stages, text);
    Ok(if stale > 0 {
        outcome.next(shell_line(["botops", "run", &pipeline.display().to_string()]))
    } else {
        outcome
    })
}
