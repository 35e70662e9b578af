//! `botops pipeline`: look at a pipeline.

use super::{Outcome, run::with_services};
use crate::cli::{session::context::Context, terminal::tables};
use botops_findings::Result;
use botops_pipelines::{self as pipelines, Ignore, Plan};
use clap::Subcommand;
use std::path::PathBuf;

/// Look at a pipeline.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say which stages would run, and why
    Status {
        /// The pipeline
        #[arg(default_value = "pipelines/weekly.yaml")]
        pipeline: PathBuf,
    },
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let Verb::Status { pipeline } = &args.verb;
    let plan = Plan::read(pipeline, context.workspace()?.model.value.as_deref())?;
    let lines = with_services(context, &Ignore, |services| {
        context.wait(pipelines::status(&plan, services))?
    })?;
    let stale = lines.iter().filter(|line| line.state == "stale").count();
    let rows =
        lines.iter().map(|line| vec![line.stage.clone(), line.state.clone(), line.reason.clone()]);
    let mut text = tables::table(&["stage", "state", "why"], rows, &[]);
    text.push_str(&match stale {
        0 => "nothing to do\n".to_owned(),
        n => format!("{n} of {} stages would run\n", lines.len()),
    });
    let outcome = Outcome::done(&lines, text);
    Ok(if stale > 0 { outcome.next(format!("botops run {}", pipeline.display())) } else { outcome })
}
