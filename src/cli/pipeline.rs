//! `botops pipeline`.

use super::{Outcome, run};
use crate::cli::session::context::Context;
use botops_findings::Result;
use botops_pipelines::Plan;
use botops_text::shell_line;
use clap::Subcommand;
use std::path::PathBuf;

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
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let Verb::Status { pipeline } = &args.verb;
    let plan = Plan::read(pipeline, context.workspace_of(pipeline)?.model.value.as_deref())?;
    let stages = run::status(&plan, context)?;
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
