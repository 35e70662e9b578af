//! `botops run`: the main job.

pub(super) mod screen;

mod step_summary;

use super::{Exit, Outcome};
use crate::cli::{
    session::{context::Context, interruption::interrupted, services::with_services},
    terminal::{
        faults::{self, Style},
        tables,
    },
};
use botops_findings::Result;
use botops_pipelines::{self as pipelines, Plan, RunSummary, StageOutcome, StageStatus};
use screen::Screen;
use std::path::{Path, PathBuf};

/// Run a pipeline
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The pipeline
    pipeline: PathBuf,
    /// List the stages that would run, and why; run none
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let plan = Plan::read(&args.pipeline, context.workspace()?.model.value.as_deref())?;
    if args.dry_run {
        with_services(context, &pipelines::Ignore, |services| {
            context.wait(pipelines::preflight(&plan, services))?
        })?;
        let stages = status(&plan, context)?;
        return Ok(Outcome::done(&stages, status_table(&stages)));
    }
    let screen = Screen::new(context.printer);
    let summary = with_services(context, &screen, |services| {
        context.wait(async {
            tokio::select! {
                summary = pipelines::run(&plan, services) => summary,
                fault = interrupted() => Err(fault),
            }
        })?
    })?;
    screen.clear();
    step_summary::append(&summary, &context.workspace()?.root)?;
    Ok(outcome(args, summary))
}

/// Returns the state of each stage, without running any.
pub(super) fn status(plan: &Plan, context: &Context) -> Result<Vec<StageStatus>> {
    with_services(context, &pipelines::Ignore, |services| {
        context.wait(pipelines::status(plan, services))?
    })
}

/// Renders the state of each stage.
pub(super) fn status_table(stages: &[StageStatus]) -> String {
    let rows = stages
        .iter()
        .map(|stage| vec![stage.stage.clone(), stage.state.clone(), stage.reason.clone()]);
    tables::table(&["stage", "state", "why"], rows, &[])
}

fn outcome(args: &Args, mut summary: RunSummary) -> Outcome {
    let rows = summary.stages.iter().map(|stage| {
        let took = match stage.outcome {
            StageOutcome::Skipped | StageOutcome::NotRun => "-".to_owned(),
            _ => tables::seconds(stage.seconds),
        };
        vec![
            stage.stage.clone(),
            stage.outcome.name().to_owned(),
            took,
            wrote(stage),
            botops_text::display(&stage.summary, 90),
        ]
    });
    let mut text = tables::table(&["stage", "verdict", "time", "wrote", "summary"], rows, &[2]);
    if let Some(run) = &summary.run {
        text.push_str(&format!("run {run}\n"));
    }
    let fault = summary.fault.take();
    let exit = fault.as_ref().map_or(Exit::Done, Exit::from);
    let mut findings = std::mem::take(&mut summary.findings);
    if let Some(fault) = &fault {
        text.push_str(&faults::fault(fault, Style::Plain, 0));
        // The fault comes first, the findings that led to it last.
        let mut of_fault = faults::as_findings(fault).into_iter();
        findings.splice(0..0, of_fault.next());
        findings.extend(of_fault);
    }
    let outcome = Outcome::done(&summary, text).exit(exit).findings(findings);
    let pipeline = args.pipeline.display();
    match exit {
        Exit::Done => {
            outcome.next(format!("botops pipeline status {pipeline}")).next("botops runs list")
        }
        _ => outcome.next(format!("botops run {pipeline}")),
    }
}

/// Returns the file that a stage wrote, or the folder if it wrote several.
fn wrote(stage: &pipelines::StageSummary) -> String {
    match stage.wrote.as_slice() {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, ..] => match Path::new(first).parent() {
            Some(folder) => format!("{}/ ({} files)", folder.display(), stage.wrote.len()),
            None => first.clone(),
        },
    }
}
