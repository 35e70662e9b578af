//! `botops run`: the main job.

pub(super) mod screen;

mod reports;
mod step_summary;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{
        output_args::ForceArg,
        report_arg::{ReportArg, ReportKind},
    },
    session::{
        context::{Context, current_folder},
        interruption::interrupted,
        outputs, provenance,
        services::with_services,
    },
    terminal::{
        ci_commands::defused,
        faults::{self, Style},
        tables,
    },
};
use botops_findings::{Result, Severity};
use botops_pipelines::{
    self as pipelines, Plan, RunOptions, RunSummary, StageOutcome, StageStatus,
};
use botops_text::shell_line;
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
    /// Write a report on the data and the stages: sarif, junit, github or markdown; repeatable
    #[arg(long, value_name = "KIND=FILE", value_delimiter = ',')]
    report: Vec<ReportArg>,
    /// End with this stage: run it and the stages that it needs
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
    /// Begin with this stage: run it and the stages that need it; those before must be up to date
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    /// With =STAGE, run this stage although it is up to date; alone, replace files that botops did not write
    #[arg(
        long,
        value_name = "STAGE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    force: Vec<String>,
    /// Run at most N stages at once; default: the number of processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
}

impl Args {
    /// Returns whether reports replace files that botops did not write.
    fn replacing(&self) -> ForceArg {
        ForceArg { force: self.force.iter().any(String::is_empty) }
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            until: self.until.clone(),
            from: self.from.clone(),
            forced: self.force.iter().filter(|stage| !stage.is_empty()).cloned().collect(),
            jobs: self.jobs.map_or(0, usize::from),
        }
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    check_reports(args)?;
    let plan =
        Plan::read(&args.pipeline, context.workspace_of(&args.pipeline)?.model.value.as_deref())?;
    let options = args.options();
    if args.dry_run {
        with_services(context, &pipelines::Ignore, |services| {
            context.wait(pipelines::preflight(&plan, services, &options))?
        })?;
        let stages = status(&plan, context, &options)?;
        return Ok(Outcome::done(&stages, defused(&status_table(&stages))));
    }
    let screen = Screen::new(context.printer);
    let summary = with_services(context, &screen, |services| {
        context.wait(async {
            tokio::select! {
                summary = pipelines::run(&plan, services, &options) => summary,
                fault = interrupted() => Err(fault),
            }
        })?
    })?;
    screen.clear();
    leave_heartbeat(&plan, &summary, context);
    let root = &context.workspace()?.root;
    if let Some(note) = step_summary::append(&summary, root)? {
        context.printer.say(&note);
    }
    let text = text(&summary);
    for report in &args.report {
        let rendered = reports::render(report.kind, &plan, &summary, root)?;
        report.output(args.replacing()).write(rendered.as_bytes())?;
    }
    let text = match ReportKind::of(context.printer.format()) {
        Some(ReportKind::Github) => {
            let annotations = reports::render(ReportKind::Github, &plan, &summary, root)?;
            format!("{annotations}{}", defused(&text))
        }
        Some(kind) => reports::render(kind, &plan, &summary, root)?,
        None => text,
    };
    let list = runs_list(root, &current_folder()?);
    Ok(outcome(args, summary, text, list))
}

/// Leaves the heartbeat of a pipeline with a schedule. One that cannot be stored is said, and does not fail the run.
fn leave_heartbeat(plan: &Plan, summary: &RunSummary, context: &Context) {
    let leave = || -> Result<()> {
        let Some(heartbeat) = plan.heartbeat(provenance::now()?)? else { return Ok(()) };
        let registry = context.registry()?;
        let outcome = if summary.fault.is_none() { "done" } else { "failed" };
        context.wait(heartbeat.leave(registry.store(), registry.environment_name(), outcome))?
    };
    if let Err(fault) = leave() {
        let (code, message) = (fault.code(), fault.message());
        context.printer.say(&format!("warning: {code}: the heartbeat is not stored: {message}"));
    }
}

/// Checks that the reports can be written, before any stage runs.
fn check_reports(args: &Args) -> Result<()> {
    let paths: Vec<_> = args.report.iter().map(|report| Some(&*report.path)).collect();
    outputs::distinct_outputs(&paths, &[Some(&args.pipeline)])?;
    for report in &args.report {
        if report.is_page() {
            return Err(reports::no_page());
        }
        report.output(args.replacing()).check()?;
    }
    Ok(())
}

/// Returns the state of each stage, without running any.
pub(super) fn status(
    plan: &Plan,
    context: &Context,
    options: &RunOptions,
) -> Result<Vec<StageStatus>> {
    with_services(context, &pipelines::Ignore, |services| {
        context.wait(pipelines::status(plan, services, options))?
    })
}

/// Renders the state of each stage.
pub(super) fn status_table(stages: &[StageStatus]) -> String {
    let rows = stages
        .iter()
        .map(|stage| vec![stage.stage.clone(), stage.state.clone(), stage.reason.clone()]);
    tables::table(&["stage", "state", "why"], rows, &[])
}

/// Renders the stages, the run and the fault that ended it.
fn text(summary: &RunSummary) -> String {
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
    if let Some(fault) = &summary.fault {
        text.push_str(&faults::fault(fault, Style::Plain, 0));
    }
    text
}

fn outcome(args: &Args, mut summary: RunSummary, text: String, list: String) -> Outcome {
    let fault = summary.fault.take();
    let exit = fault.as_ref().map_or(Exit::Done, Exit::from);
    let mut findings = std::mem::take(&mut summary.findings);
    if let Some(fault) = &fault {
        // The fault comes first, the findings that led to it last.
        let mut of_fault = faults::as_findings(fault).into_iter();
        findings.splice(0..0, of_fault.next());
        findings.extend(of_fault);
    }
    // The finding that made a stage fail says more than the fault of the stage.
    let cause = findings.iter().skip(1).find(|finding| finding.severity == Severity::Error);
    let cause = cause.or(findings.first()).map(|finding| finding.code.clone());
    let outcome = Outcome::done(&summary, text).exit(exit).findings(findings);
    let pipeline = args.pipeline.display().to_string();
    match exit {
        Exit::Done => {
            outcome.next(shell_line(["botops", "pipeline", "status", &pipeline])).next(list)
        }
        _ => {
            let explain = cause.map(|code| shell_line(["botops", "explain", &code]));
            let outcome = explain.into_iter().fold(outcome, Outcome::next);
            outcome.next(shell_line(["botops", "run", &pipeline]))
        }
    }
}

/// Returns the command that lists the runs of the workspace at `root`, from the current folder.
fn runs_list(root: &Path, current: &Path) -> String {
    match current.strip_prefix(root) {
        Ok(_) => "botops runs list".to_owned(),
        Err(_) => {
            let root = root.strip_prefix(current).unwrap_or(root).display().to_string();
            shell_line(["botops", "-C", &root, "runs", "list"])
        }
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
