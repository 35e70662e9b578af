//! `botops runs gc`.

use crate::cli::{
    Outcome,
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_experiments::{Experiments, Retention, SweepPlan, SweepRule};
use botops_findings::{Fault, Result};
use botops_registry::Registry;
use botops_snapshots::Snapshots;
use botops_text::shell_line;
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use std::time::Duration;

/// The default of `--grace`: `1h`.
const GRACE: Duration = Duration::from_secs(3_600);

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Args {
    /// Keep the newest N runs
    #[arg(long, value_name = "N", group = "which")]
    keep: Option<usize>,
    /// Remove runs that finished longer ago than this, such as 90d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, group = "which")]
    older_than: Option<Duration>,
    /// Keep everything younger than this, because a version may still refer to it
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1h")]
    grace: Duration,
    /// List the runs and files to remove, but remove nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    experiments: &'a str,
    dry_run: bool,
    #[serde(flatten)]
    swept: &'a SweepPlan,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let experiments = context.experiments()?;
    let rule = rule(args, context, &experiments)?;
    let plan = context.wait(experiments.plan_sweep(&rule))??;
    let swept = match args.dry_run {
        true => plan,
        false => {
            let mark = ulid::Ulid::generate().to_string();
            context.wait(experiments.sweep(&plan, &rule, &mark))??
        }
    };
    let location = experiments.store().url();
    let answer = Answer { experiments: location, dry_run: args.dry_run, swept: &swept };
    let outcome = Outcome::done(&answer, text(&answer));
    if !args.dry_run || (swept.runs.is_empty() && swept.blobs.is_empty()) {
        return Ok(outcome);
    }
    Ok(outcome.next(shell_line(again(args).iter().map(String::as_str))))
}

/// Returns the command that removes what the dry run listed.
fn again(args: &Args) -> Vec<String> {
    let span = |span: Duration| match span.as_secs() {
        secs if secs > 0 && secs.is_multiple_of(86_400) => format!("{}d", secs / 86_400),
        _ => humantime::format_duration(span).to_string(),
    };
    let mut words = vec!["botops".to_owned(), "runs".to_owned(), "gc".to_owned()];
    if let Some(n) = args.keep {
        words.extend(["--keep".to_owned(), n.to_string()]);
    }
    if let Some(age) = args.older_than {
        words.extend(["--older-than".to_owned(), span(age)]);
    }
    if args.grace != GRACE {
        words.extend(["--grace".to_owned(), span(args.grace)]);
    }
    words
}

fn rule(args: &Args, context: &Context, experiments: &Experiments) -> Result<SweepRule> {
    let span = |span: Duration, flag: &str| {
        TimeDelta::from_std(span).map_err(|error| {
            Fault::usage("BOT-1003", format!("the time of `{flag}` is too long"))
                .hint("write days, such as `90d`")
                .caused_by(error)
        })
    };
    let retention = match (args.keep, args.older_than) {
        (Some(n), _) => Retention::Newest(n),
        (None, age) => Retention::YoungerThan(span(age.unwrap_or_default(), "--older-than")?),
    };
    // The log is read first: a sweep keeps everything that is logged later.
    let logged = context.wait(experiments.logged())??;
    let registry = context.registry()?;
    let mut named = context.wait(registry.references())??;
    // A registry in the same store shares its blobs with the runs, even if it is not the registry in force.
    let beside = Registry::open(experiments.store().clone());
    named.extend(context.wait(beside.references())??);
    named.blobs.extend(context.wait(beside.blobs_beside_runs())??);
    for store in [registry.store(), experiments.store()] {
        named.blobs.extend(context.wait(Snapshots::open(store.clone()).blobs())??);
    }
    Ok(SweepRule {
        retention,
        runs_in_use: named.runs,
        blobs_in_use: named.blobs,
        logged,
        grace: span(args.grace, "--grace")?,
        now: provenance::now()?,
        clock: Utc::now(),
    })
}

fn text(answer: &Answer<'_>) -> String {
    let SweepPlan { runs, blobs, bytes, runs_kept, runs_spared, runs_young, blobs_young } =
        answer.swept;
    let mut out = String::new();
    if !runs.is_empty() {
        let rows = runs
            .iter()
            .map(|run| vec![run.id.clone(), run.kind.clone(), tables::time(&run.finished_at)]);
        out.push_str(&tables::table(&["run", "kind", "finished (UTC)"], rows, &[]));
        out.push('\n');
    }
    let removed = if answer.dry_run { "would be removed" } else { "removed" };
    let (n_runs, n_blobs) =
        (counted(runs.len() as u64, "run"), counted(blobs.len() as u64, "blob"));
    out.push_str(&match (runs.is_empty(), blobs.is_empty()) {
        (true, true) => format!("{}: nothing to remove\n", answer.experiments),
        _ => format!(
            "{}: {n_runs} and {n_blobs} {removed}, {} kB\n",
            answer.experiments,
            tables::count(bytes.div_ceil(1_000))
        ),
    });
    out.push_str(&format!("kept: {}\n", counted(*runs_kept, "run")));
    if !runs_spared.is_empty() {
        out.push_str(&format!(
            "  kept only because versions in the registry refer to them: {}\n",
            runs_spared.join(", ")
        ));
    }
    for (n, kind) in [(*runs_young, "run"), (*blobs_young, "blob")] {
        if n > 0 {
            out.push_str(&format!("  kept because young (`--grace`): {}\n", counted(n, kind)));
        }
    }
    out
}

fn counted(n: u64, noun: &str) -> String {
    tables::counted(n, noun, &format!("{noun}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_suggests_the_same_rule() {
        let day = Duration::from_secs(86_400);
        let mut args = Args { keep: Some(3), older_than: None, grace: GRACE, dry_run: true };
        assert_eq!(again(&args).join(" "), "botops runs gc --keep 3");
        args =
            Args { keep: None, older_than: Some(90 * day), grace: Duration::ZERO, dry_run: true };
        assert_eq!(again(&args).join(" "), "botops runs gc --older-than 90d --grace 0s");
    }
}
