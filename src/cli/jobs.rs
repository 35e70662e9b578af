//! `botops jobs`.

mod place;

use self::place::JobPlace;
use super::Outcome;
use crate::cli::{arguments::output_args::ReasonArg, session::context::Context, terminal::tables};
use botops_findings::{Fault, Result};
use botops_jobs::{Job, JobState};
use botops_text::display;
use chrono::Utc;
use clap::Subcommand;
use serde::Serialize;
use std::{fmt::Write as _, time::Duration};

/// The pause between two looks at a job.
const LOOK: Duration = Duration::from_secs(1);

/// List, follow and control background jobs, such as uploads of documents
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the jobs that are not over
    List(ListArgs),
    /// Show a job
    Show(ShowArgs),
    /// Ask that a job is not done
    Cancel(OrderArgs),
    /// Try a job again that failed or was cancelled
    Retry(OrderArgs),
    /// Wait until a job is over: exit code 3 if it failed, 4 if the time is over
    Wait(WaitArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// List jobs that are over, too
    #[arg(long)]
    all: bool,
    /// List at most N jobs, the newest first
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Job, as `botops jobs list` shows it
    id: String,
}

#[derive(Debug, clap::Args)]
struct OrderArgs {
    /// Job, as `botops jobs list` shows it
    id: String,
    #[command(flatten)]
    reason: ReasonArg,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct WaitArgs {
    /// Job, as `botops jobs list` shows it
    id: String,
    /// Longest time to wait, such as 10m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

#[derive(Serialize)]
struct List {
    jobs: Vec<Job>,
}

/// A command for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Cancel,
    Retry,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::List(args) => list(args, context),
        Verb::Show(args) => {
            let place = JobPlace::of(context)?;
            let job = context.wait(place.job(&args.id))??;
            Ok(Outcome::done(&job, text(&job)))
        }
        Verb::Cancel(args) => order(args, Order::Cancel, context),
        Verb::Retry(args) => order(args, Order::Retry, context),
        Verb::Wait(args) => wait(args, context),
    }
}

fn list(args: &ListArgs, context: &Context) -> Result<Outcome> {
    let place = JobPlace::of(context)?;
    let jobs = context.wait(place.jobs(args.all, usize::from(args.limit)))??;
    let mut text = String::new();
    for job in &jobs {
        text.push_str(&line(job));
    }
    if jobs.is_empty() {
        text.push_str("no jobs\n");
    }
    Ok(Outcome::done(&List { jobs }, text))
}

fn order(args: &OrderArgs, order: Order, context: &Context) -> Result<Outcome> {
    let act = context.act(args.reason.reason.trim())?;
    let by = (act.actor.as_str(), act.reason.as_str());
    let place = JobPlace::of(context)?;
    let job = context.wait(async {
        match order {
            Order::Cancel => place.cancel(&args.id, by, args.dry_run).await,
            Order::Retry => place.retry(&args.id, by, args.dry_run).await,
        }
    })??;
    let mut text = text(&job);
    if args.dry_run {
        text.push_str("nothing was written (dry run)\n");
    }
    Ok(Outcome::done(&job, text))
}

fn wait(args: &WaitArgs, context: &Context) -> Result<Outcome> {
    let place = JobPlace::of(context)?;
    let job = context.wait(async {
        let mut waited = Duration::ZERO;
        loop {
            let job = place.job(&args.id).await?;
            if job.state.is_over() || waited >= args.timeout {
                return Ok::<_, Fault>(job);
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    })??;
    let id = job.id.as_str();
    match job.state {
        JobState::Finished => Ok(Outcome::done(&job, text(&job))),
        JobState::Failed | JobState::Cancelled => {
            let message = match &job.failure {
                Some(failure) if job.state == JobState::Failed => {
                    let (code, said) = (display(&failure.code, 20), display(&failure.message, 400));
                    format!("job `{id}` failed: {code}: {said}")
                }
                _ => format!("job `{id}` was cancelled"),
            };
            Err(Fault::data("BOT-7407", message).hint(format!(
                "correct the cause, then try it again: `botops jobs retry {id} --reason \"…\"`"
            )))
        }
        JobState::Waiting | JobState::Running => {
            let waited = humantime::format_duration(args.timeout);
            let message = format!("job `{id}` is still {} after {waited}", job.state);
            Err(Fault::insufficient("BOT-7408", message)
                .hint(format!("wait longer: `botops jobs wait {id} --timeout 1h`")))
        }
    }
}

fn line(job: &Job) -> String {
    let Job { id, state, kind, subject, .. } = job;
    let since = tables::time(&job.updated_at);
    format!("{id}  {:9}  {kind} {}  {since}\n", state.name(), display(subject, 60))
}

/// Returns a job in words.
fn text(job: &Job) -> String {
    let mut text = format!(
        "job {}: {} of `{}`, {}\n",
        job.id,
        display(&job.kind, 60),
        display(&job.subject, 80),
        job.state
    );
    let written = (|| {
        writeln!(text, "  by {} at {}", display(&job.by, 120), tables::time(&job.submitted_at))?;
        writeln!(text, "  attempt {} of {}", job.attempts, job.max_attempts)?;
        if let Some(worker) = &job.worker {
            writeln!(text, "  held by {}", display(worker, 80))?;
        }
        if let Some(time) = job.not_before.filter(|time| *time > Utc::now()) {
            writeln!(text, "  next attempt at {}", tables::time(&time))?;
        }
        if let Some(failure) = &job.failure {
            writeln!(text, "  {}: {}", display(&failure.code, 20), display(&failure.message, 400))?;
        }
        if let Some(next) = job.result.as_ref().and_then(|it| it.get("next")?.as_str()) {
            writeln!(text, "  next: {}", display(next, 400))?;
        }
        std::fmt::Result::Ok(())
    })();
    written.expect("a string can be written to");
    text
}
