//! `botops run`: the main job.

use super::{Exit, Outcome, Printer};
use crate::cli::{
    session::{
        context::{self, Context},
        promoter::Promotion,
    },
    terminal::{progress, tables},
};
use botops_findings::{Fault, Result};
use botops_pipelines::{
    self as pipelines, Event, Listener, Plan, RunSummary, Services, StageOutcome,
};
use indicatif::ProgressBar;
use std::{
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// Run a pipeline.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The pipeline
    pipeline: PathBuf,
    /// Say which stages would run, and why; run none
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let plan = Plan::read(&args.pipeline, context.workspace()?.model.value.as_deref())?;
    if args.dry_run {
        let lines = with_services(context, &pipelines::Ignore, |services| {
            context.wait(pipelines::status(&plan, services))?
        })?;
        let rows = lines
            .iter()
            .map(|line| vec![line.stage.clone(), line.state.clone(), line.reason.clone()]);
        return Ok(Outcome::done(&lines, tables::table(&["stage", "state", "why"], rows, &[])));
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
    append_step_summary(&summary, &context.workspace()?.root)?;
    Ok(outcome(args, summary))
}

/// Hands `act` everything a pipeline works with.
pub(crate) fn with_services<T>(
    context: &Context,
    listener: &dyn Listener,
    act: impl FnOnce(&Services<'_>) -> Result<T>,
) -> Result<T> {
    let workspace = context.workspace()?;
    let (registry, experiments) = (context.registry()?, context.experiments()?);
    let promoter = Promotion::of(context, None)?;
    let encoders = context.encoders()?;
    act(&Services {
        root: workspace.root.clone(),
        registry: &registry,
        experiments: &experiments,
        encoders: &encoders,
        promoter: &promoter,
        clock: &context::now,
        actor: workspace.actor.value.clone(),
        code: context::code_state(),
        environment: context::environment(),
        listener,
    })
}

/// Ends the process at the first SIGINT or SIGTERM: whatever was published stays, whatever was not is absent, so
/// there is nothing to wait for, and the next run goes on from there.
pub(super) async fn interrupted() -> Fault {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    let code = tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    };
    match code {
        Exit::Interrupted => Fault::new(
            botops_findings::FaultKind::Interrupted,
            "BOT-8011",
            "interrupted: what was done is kept",
        ),
        _ => Fault::new(
            botops_findings::FaultKind::Terminated,
            "BOT-8012",
            "terminated: what was done is kept",
        ),
    }
    .hint("run again to go on from there")
}

/// Shows a running pipeline: a bar a phase on a terminal, plain lines elsewhere.
pub(super) struct Screen {
    printer: Printer,
    bar: Mutex<ProgressBar>,
}

impl Screen {
    pub(super) fn new(printer: Printer) -> Self {
        Self { printer, bar: Mutex::new(ProgressBar::hidden()) }
    }

    pub(super) fn clear(&self) {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner).finish_and_clear();
    }

    fn say(&self, line: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        bar.suspend(|| self.printer.say(line));
    }
}

impl Listener for Screen {
    fn hear(&self, event: &Event) {
        match event {
            Event::Started { pipeline, stages } => {
                self.say(&format!("{pipeline}: {} stages", stages.len()))
            }
            Event::StageStarted { stage, reason } => self.say(&format!("{stage}: {reason}")),
            Event::Phase { stage, phase, total } => {
                let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
                bar.finish_and_clear();
                let label = if phase == "messages" { stage.clone() } else { phase.clone() };
                *bar = progress::bar(&self.printer, &label, *total);
            }
            Event::Advanced { steps, .. } => {
                self.bar.lock().unwrap_or_else(PoisonError::into_inner).inc(*steps);
            }
            Event::StageFinished { stage, outcome, summary, seconds } => {
                self.clear();
                let took = if *outcome == StageOutcome::Skipped {
                    String::new()
                } else {
                    format!(" in {}", tables::seconds(*seconds))
                };
                self.say(&format!("{stage}: {}{took}: {summary}", outcome.name()));
            }
            Event::Note { message } => self.say(&format!("note: {message}")),
        }
    }
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
    let mut findings = std::mem::take(&mut summary.findings);
    let exit = fault.as_ref().map_or(Exit::Done, Exit::from);
    if let Some(fault) = &fault {
        text.push_str(&format!("error[{}]: {}\n", fault.code(), fault.message()));
        if let Some(place) = super::place_line(fault.place()) {
            text.push_str(&format!("  --> {place}\n"));
        }
        for hint in fault.hints() {
            text.push_str(&format!("hint: {hint}\n"));
        }
        findings.insert(
            0,
            botops_findings::Finding {
                code: fault.code().to_owned(),
                severity: botops_findings::Severity::Error,
                place: fault.place().clone(),
                message: fault.message().to_owned(),
                help: fault.hints().join("; "),
            },
        );
        findings.extend(fault.findings().iter().cloned());
    }
    let outcome = Outcome::done(&summary, text).exit(exit).findings(findings);
    if exit == Exit::Done {
        outcome
            .next(format!("botops pipeline status {}", args.pipeline.display()))
            .next("botops runs list")
    } else {
        outcome.next(format!("botops run {}", args.pipeline.display()))
    }
}

/// Names what a stage wrote: the folder when it wrote several files.
fn wrote(stage: &pipelines::StageSummary) -> String {
    match stage.wrote.as_slice() {
        [] => "-".to_owned(),
        [one] => one.clone(),
        [first, ..] => match std::path::Path::new(first).parent() {
            Some(folder) => format!("{}/ ({} files)", folder.display(), stage.wrote.len()),
            None => first.clone(),
        },
    }
}

/// Appends the summary to `$GITHUB_STEP_SUMMARY`, when set, with what the stages wrote in Markdown below `root`.
fn append_step_summary(summary: &RunSummary, root: &std::path::Path) -> Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let path = PathBuf::from(path);
    let cell = |text: &str| botops_report::markdown::plain(text, 500);
    let mut text = format!(
        "## botops: {}\n\n| stage | verdict | time | summary |\n|---|---|---|---|\n",
        summary.pipeline
    );
    for stage in &summary.stages {
        let took =
            if stage.seconds > 0.0 { tables::seconds(stage.seconds) } else { "-".to_owned() };
        text.push_str(&format!(
            "| {} | {} | {took} | {} |\n",
            cell(&stage.stage),
            stage.outcome.name(),
            cell(&stage.summary)
        ));
    }
    if !summary.metrics.is_empty() {
        text.push_str("\n| metric | value | 95 % interval | n |\n|---|---|---|---|\n");
        for (name, metric) in &summary.metrics {
            text.push_str(&format!(
                "| {name} | {:.3} | [{:.3}, {:.3}] | {} |\n",
                metric.value, metric.ci95[0], metric.ci95[1], metric.n
            ));
        }
    }
    if let Some(run) = &summary.run {
        text.push_str(&format!("\nrun `{run}`\n"));
    }
    if let Some(fault) = &summary.fault {
        text.push_str(&format!("\n**{}**: {}\n", fault.code(), cell(fault.message())));
    }
    text.push('\n');
    for file in summary.stages.iter().flat_map(|stage| &stage.wrote) {
        if file.ends_with(".md") {
            // What was published a moment ago may be swept by now: the table above says what matters.
            text.push_str(&std::fs::read_to_string(root.join(file)).unwrap_or_default());
            text.push('\n');
        }
    }
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| {
            Fault::internal(
                "BOT-1002",
                format!("`{}` cannot be written: {}", path.display(), context::plain(&error)),
            )
            .file(&path)
        })
}
