//! `botops monitor`.

mod champion;
mod repeated;
pub(crate) mod settings;
mod text;

use super::{Exit, Outcome};
use crate::cli::{
    arguments::{model_arg, output_args::PageArgs},
    session::{context::Context, provenance},
};
use botops_findings::{Fault, Finding, Result};
use botops_monitoring::{
    Evaluated, MonitorLog, MonitorSpec, MonitorState, Monitored, Webhooks, Window,
    decide_in_series, end_schedule, evaluate, later_hours,
};
use botops_registry::{CHAMPION, Reference, Registry, parse_time};
use botops_report as report;
use champion::champion;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use settings::Flags;
use std::time::Duration;
use text::{Answer, Judged};

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
    /// Judge every so often, such as 1h, until a signal; the servers of the environment may do it instead
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with_all = ["until", "windows", "html", "dry_run"])]
    every: Option<Duration>,
    /// End the schedule with this name: a missing run of it is no longer reported
    #[arg(long, value_name = "NAME", conflicts_with_all = ["window", "reference_window", "until", "min_rows", "min_accuracy", "model", "every", "html", "dry_run"])]
    end_schedule: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

#[derive(Serialize)]
struct Ended<'a> {
    schedule: &'a str,
    heartbeats: usize,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(name) = &args.end_schedule {
        return end(name, context);
    }
    let workspace = context.workspace()?;
    let flags = Flags {
        window: args.window,
        reference_window: args.reference_window,
        min_rows: args.min_rows.map(|n| n as usize),
        min_accuracy: args.min_accuracy,
    };
    let name = match &args.model {
        Some(name) => name.clone(),
        None => model_arg::workspace_model(context)?,
    };
    let reference: Reference = format!("{name}@{CHAMPION}").parse()?;
    if args.every.is_some() {
        let settings = settings::watched(workspace, args.every, flags)?;
        let settings = settings.expect("the time between evaluations is given");
        return repeated::run(context, (&context.registry()?, &reference), &settings);
    }
    // The whole block, as a server checks it.
    settings::watched(workspace, None, flags)?;
    let (spec, webhooks) = (settings::spec(workspace, flags)?, settings::webhooks(workspace)?);
    let now = provenance::now()?;
    let windows = windows(args, &spec, now)?;
    args.page.check(&[])?;
    let registry = context.registry()?;
    let monitored = context.wait(async {
        let version = registry.resolve(&reference).await?;
        champion(&registry, &version, None).await
    })??;
    let once = Once { monitored, registry, spec, webhooks, now, dry_run: args.page.dry_run };
    let mut findings = Vec::new();
    let (judged, log) = context.wait(once.judge(&windows, &mut findings))??;
    let page = report::monitoring_html(&log.weeks(&name));
    let html = args.page.write(|| page.unwrap_or_default())?;
    let state = judged.last().map_or(MonitorState::Insufficient, |judged| judged.report.state);
    let next = judged.last().map(|judged| judged.report.actions.clone()).unwrap_or_default();
    let answer = Answer { windows: judged, html, dry_run: args.page.dry_run };
    let outcome = Outcome::done(&answer, text::answer(&answer, &findings))
        .findings(findings)
        .exit(exit(state));
    Ok(next.into_iter().fold(outcome, Outcome::next))
}

/// Ends a schedule.
fn end(name: &str, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    let (store, environment) = (registry.store(), registry.environment_name());
    let heartbeats = context.wait(end_schedule(store, environment, name))??;
    if heartbeats == 0 {
        let shown = botops_text::display(name, 60);
        let message = format!("`{environment}` has no schedule `{shown}`");
        return Err(Fault::usage("BOT-6256", message)
            .hint("`botops doctor` lists the schedules with their last runs"));
    }
    let text = format!("the schedule {name} of {environment} has ended\n");
    Ok(Outcome::done(&Ended { schedule: name, heartbeats }, text))
}

/// Returns the exit code of the newest window.
fn exit(state: MonitorState) -> Exit {
    match state {
        MonitorState::Healthy => Exit::Done,
        MonitorState::Drift | MonitorState::InaccurateModel => Exit::Gate,
        MonitorState::Insufficient => Exit::Insufficient,
    }
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

/// An evaluation of some windows, each once.
struct Once {
    registry: Registry,
    monitored: Monitored,
    spec: MonitorSpec,
    webhooks: Webhooks,
    now: DateTime<Utc>,
    dry_run: bool,
}

impl Once {
    /// Judges the windows, records them, and tells the receivers. Returns the log, too.
    async fn judge(
        &self,
        windows: &[Window],
        findings: &mut Vec<Finding>,
    ) -> Result<(Vec<Judged>, MonitorLog)> {
        let (store, environment) = (self.registry.store(), self.registry.environment_name());
        let mut log = MonitorLog::read(store, environment).await?;
        let mut judged = Vec::new();
        for window in windows {
            let done = evaluate(store, &self.monitored, *window, &self.spec, self.now).await?;
            let Evaluated { mut report, new_words, texts, findings: found } = done;
            decide_in_series(store, &mut report, !self.dry_run).await?;
            let recorded = match self.dry_run {
                true => None,
                false => Some(log.record(&report).await?),
            };
            // The finding of a problem of the whole log comes once.
            for finding in found {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
            judged.push(Judged {
                report,
                new_words,
                texts,
                later_hours: None,
                entry: recorded.as_ref().map(|it| it.number),
                recorded: recorded.is_some_and(|it| it.is_new),
            });
        }
        if let Some(last) = judged.last_mut() {
            let window = last.report.window;
            last.later_hours = Some(later_hours(store, environment, window, self.now).await?);
        }
        if !self.dry_run {
            let clock = || Utc::now().timestamp();
            findings.extend(self.webhooks.deliver(store, environment, &log, clock).await?);
        }
        Ok((judged, log))
    }
}
