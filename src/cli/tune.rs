//! `botops tune`.

mod screen;
mod text;

use super::{Outcome, run::screen as pipeline};
use crate::cli::{
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::{
        context::Context, interruption::interrupted, outputs, provenance, services::with_services,
    },
    terminal::tables,
};
use botops_evaluation::{Rung, SearchReport};
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_report as report;
use botops_text::shell_line;
use botops_tuning::{self as tuning, Shard, TunePlan, TuneServices, TuneTrial};
use screen::Screen;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The variable in which Kubernetes gives each pod of an indexed job its number, from 0.
const INDEX: &str = "JOB_COMPLETION_INDEX";

/// Search for better settings of a train stage, by cross-validation
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pipeline with a block `tune:`, which defines the search
    pipeline: PathBuf,
    /// Write the configuration of the winner to this file
    #[arg(long, short, value_name = "FILE", default_value = "winner.yaml")]
    out: OutPath,
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<OutPath>,
    #[command(flatten)]
    force: ForceArg,
    /// Start with part I of N of the trials, counted from 0; other processes with the same store run the other parts
    #[arg(long, value_name = "I/N", conflicts_with = "shards")]
    shard: Option<String>,
    /// Number of parts; JOB_COMPLETION_INDEX is the part of this process
    #[arg(long, value_name = "N")]
    shards: Option<u32>,
    /// Time to wait for the result of another part before running its trial here
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    lease: Duration,
    /// Show at most N trials
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,
    /// List the trials, but run none
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    report: &'a SearchReport,
    out: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    run: &'a str,
}

#[derive(Serialize)]
struct Planned<'a> {
    stage: &'a str,
    rungs: &'a [Rung],
    fits: u64,
    trials: &'a [TuneTrial],
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let outputs = [Some(&*args.out), args.html.as_deref()];
    outputs::distinct_outputs(&outputs, &[Some(&args.pipeline)])?;
    let settings = Output::new(&args.out, OutputKind::Settings, args.force.force);
    settings.check()?;
    let page =
        args.html.as_deref().map(|path| Output::new(path, OutputKind::Page, args.force.force));
    page.map_or(Ok(()), |page| page.check())?;
    let plan = TunePlan::read(
        &args.pipeline,
        context.workspace_of(&args.pipeline)?.model.value.as_deref(),
    )?;
    let shard = shard(args)?;
    if args.dry_run {
        let planned = Planned {
            stage: &plan.stage,
            rungs: &plan.rungs,
            fits: plan.fits(),
            trials: &plan.trials,
        };
        return Ok(Outcome::done(&planned, text::plan(&plan, shard, args.show)));
    }
    let before = pipeline::Screen::new(context.printer);
    let (data, mut findings) = with_services(context, &before, |services| {
        context.wait(async {
            tokio::select! {
                data = tuning::train_side(&plan, services) => data,
                fault = interrupted() => Err(fault),
            }
        })?
    })?;
    before.clear();
    let screen = Screen::new(context.printer, plan.spec.metric);
    let experiments = context.experiments()?;
    let equipment = context.equipment(&plan.trials[0].spec)?;
    let services = TuneServices {
        equipment: Arc::new(equipment),
        experiments: &experiments,
        clock: &provenance::now,
        code: provenance::code_state(&context.workspace()?.root),
        environment: provenance::environment(),
        listener: &screen,
        shard,
        lease: args.lease,
        poll: Duration::from_secs(1),
        workers: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let found = context.wait(async {
        tokio::select! {
            found = tuning::search(&plan, &data, &services) => found,
            fault = interrupted() => Err(fault),
        }
    });
    screen.clear();
    let tuning::SearchResult { report, winner, run } = found??;
    settings.write(winner.as_bytes())?;
    if let Some(page) = page {
        page.write(report::search_html(&report).as_bytes())?;
    }
    let (out, html) = (args.out.shown(), args.html.as_ref().map(OutPath::shown));
    let mut text = text::report(&report, args.show);
    text.push_str(&format!("\nwrote {out}\n"));
    text.push_str(&tables::findings(&services.equipment.findings(), 3));
    findings.extend(services.equipment.findings());
    if let Some(html) = &html {
        text.push_str(&format!("wrote {html}\n"));
    }
    text.push_str(&format!("run {run}\n"));
    let answer = Answer { report: &report, out: out.clone(), html, run: &run };
    let outcome = Outcome::done(&answer, text).findings(findings);
    let file = relative(&data.path).display().to_string();
    Ok(outcome.next(shell_line(["botops", "train", &file, "--config", &out])))
}

/// Returns `path` relative to the current folder, if it lies below it.
fn relative(path: &Path) -> &Path {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path)
}

/// Returns the part of the trials that this process runs first.
fn shard(args: &Args) -> Result<Shard> {
    let index = std::env::var(INDEX).ok().filter(|index| !index.is_empty());
    let no_shard = |message: String| Fault::usage("BOT-8045", message);
    let parse = |index: &str, count: &str| -> Result<Shard> {
        let numbers = index.trim().parse().ok().zip(count.trim().parse().ok());
        let Some((index, count)) = numbers else {
            return Err(no_shard(format!("`{index}/{count}` is not a shard"))
                .hint("write two numbers: `--shard 0/4` is the first of four"));
        };
        if count == 0 {
            return Err(no_shard(format!("there is no shard {index} of 0"))
                .hint("write two numbers: `--shard 0/4` is the first of four"));
        }
        if index >= count {
            let last = count - 1;
            return Err(no_shard(format!("there is no shard {index} of {count}"))
                .hint(format!("shards are counted from 0: the last one is `{last}/{count}`")));
        }
        Ok(Shard { index, count })
    };
    match (&args.shard, args.shards, index) {
        (Some(shard), ..) => match shard.split_once('/') {
            Some((index, count)) => parse(index, count),
            None => Err(no_shard(format!("`{shard}` is not a shard"))
                .hint("write two numbers: `--shard 0/4` is the first of four")),
        },
        (None, Some(count), Some(index)) => parse(&index, &count.to_string()),
        (None, Some(count), None) => Err(no_shard(format!(
            "the number of this shard of {count} is unknown: `{INDEX}` is not set"
        ))
        .hint(format!("outside Kubernetes, write `--shard 0/{count}`"))),
        (None, None, Some(index)) => Err(no_shard(format!(
            "`{INDEX}` says that this is shard {index}, but the number of shards is unknown"
        ))
        .hint(
            "add `--shards` with the completions of the job; `--shard 0/1` runs all trials here",
        )),
        (None, None, None) => Ok(Shard::ALL),
    }
}
