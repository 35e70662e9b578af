//! `botops monitor`.

mod text;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::model_arg,
    session::{context::Context, provenance},
};
use botops_findings::{Fault, Finding, Result};
use botops_monitoring::{
    Evaluated, MonitorLog, MonitorReport, MonitorSpec, MonitorState, Monitored, MonitoredModel,
    Window, evaluate,
};
use botops_registry::{CHAMPION, Reference, parse_time};
use botops_store::Store;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use std::time::Duration;

/// Judge the traffic of the champion: accuracy, drift, volume
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Length of a window: whole hours or days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    window: Option<Duration>,
    /// Compare with the earlier window of this length, if the model has no reference profile
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    reference_window: Option<Duration>,
    /// Judge the last windows that were over at this time (UTC), or this long ago; default: now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Judge the last N windows, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=520))]
    windows: u32,
    /// Fewest records of a window, and fewest verdicts of an accuracy, that are judged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    min_rows: Option<u32>,
    /// Least accuracy of the champion, between 0 and 1
    #[arg(long, value_name = "SHARE")]
    min_accuracy: Option<f64>,
    /// Name of the model; default: `model` of botops.yaml
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Judge, but record nothing
    #[arg(long)]
    dry_run: bool,
}

/// A window that was judged, and the entry that says so.
#[derive(Serialize)]
struct Judged {
    #[serde(flatten)]
    report: MonitorReport,
    /// Words of the window that the reference lacks, with their counts. They are not stored.
    new_words: Vec<(String, u64)>,
    /// The number of the entry in the log; `None` in a dry run.
    entry: Option<u64>,
    /// Whether this call wrote the entry; if not, it says the same already.
    recorded: bool,
}

#[derive(Serialize)]
struct Answer {
    windows: Vec<Judged>,
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let spec = spec(args)?;
    let now = provenance::now()?;
    let windows = windows(args, &spec, now)?;
    let (store, monitored) = monitored(args, context)?;
    let mut findings = Vec::new();
    let judged = context.wait(judge(
        (&store, &monitored),
        (&windows, &spec),
        (now, args.dry_run),
        &mut findings,
    ))??;
    let state = judged.last().map_or(MonitorState::Insufficient, |judged| judged.report.state);
    let next: Vec<String> =
        judged.last().map(|judged| judged.report.actions.clone()).unwrap_or_default();
    let answer = Answer { windows: judged, dry_run: args.dry_run };
    let outcome =
        Outcome::done(&answer, text::answer(&answer)).findings(findings).exit(exit(state));
    Ok(next.into_iter().fold(outcome, Outcome::next))
}

/// Returns the exit code of the newest window.
fn exit(state: MonitorState) -> Exit {
    match state {
        MonitorState::Healthy => Exit::Done,
        MonitorState::Drift | MonitorState::InaccurateModel => Exit::Gate,
        MonitorState::Insufficient => Exit::Insufficient,
    }
}

/// Returns how windows are judged.
fn spec(args: &Args) -> Result<MonitorSpec> {
    let default = MonitorSpec::default();
    let spec = MonitorSpec {
        window: args.window.unwrap_or(default.window),
        reference_window: args.reference_window,
        min_rows: args.min_rows.map_or(default.min_rows, |n| n as usize),
        min_accuracy: args.min_accuracy,
        ..default
    };
    spec.check()?;
    Ok(spec)
}

/// Returns the windows to judge, the earliest first.
fn windows(args: &Args, spec: &MonitorSpec, now: DateTime<Utc>) -> Result<Vec<Window>> {
    let until = match &args.until {
        Some(text) => time_or_age(text, now)?,
        None => now,
    };
    if until > now {
        let message = format!("`--until` is {}, which is not over", until.to_rfc3339());
        return Err(Fault::usage("BOT-6250", message).hint("name a time of the past"));
    }
    let mut windows = vec![Window::last(spec.window, until)?];
    while windows.len() < args.windows as usize {
        windows.push(windows[windows.len() - 1].before(spec.window)?);
    }
    windows.reverse();
    Ok(windows)
}

fn time_or_age(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let age = humantime::parse_duration(text).ok().and_then(|age| TimeDelta::from_std(age).ok());
    match age.and_then(|age| now.checked_sub_signed(age)) {
        Some(time) => Ok(time),
        None => parse_time(text),
    }
}

/// Returns the store of the log, and the champion of the environment in force.
fn monitored(args: &Args, context: &Context) -> Result<(Store, Monitored)> {
    let name = match &args.model {
        Some(name) => name.clone(),
        None => model_arg::workspace_model(context)?,
    };
    let reference: Reference = format!("{name}@{CHAMPION}").parse()?;
    let registry = context.registry()?;
    let version = context.wait(registry.resolve(&reference))??;
    let digest = version.model_digest().ok_or_else(|| {
        Fault::data("BOT-5019", format!("`{}` has no model file", version.reference()))
    })?;
    let model = MonitoredModel { name, version: version.number, digest: digest.to_string() };
    let environment = registry.environment_name().to_owned();
    Ok((registry.store().clone(), Monitored { environment, model }))
}

async fn judge(
    (store, monitored): (&Store, &Monitored),
    (windows, spec): (&[Window], &MonitorSpec),
    (now, dry_run): (DateTime<Utc>, bool),
    findings: &mut Vec<Finding>,
) -> Result<Vec<Judged>> {
    let mut log = MonitorLog::read(store, &monitored.environment).await?;
    let mut judged = Vec::new();
    for window in windows {
        let evaluated = evaluate(store, monitored, *window, spec, now).await?;
        let Evaluated { report, new_words, findings: found } = evaluated;
        let recorded = match dry_run {
            true => None,
            false => Some(log.record(&report).await?),
        };
        // The findings of a problem of the whole log come once.
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        judged.push(Judged {
            report,
            new_words,
            entry: recorded.as_ref().map(|it| it.number),
            recorded: recorded.is_some_and(|it| it.is_new),
        });
    }
    Ok(judged)
}
