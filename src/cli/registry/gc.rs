//! `botops registry gc`.

use crate::cli::{
    Outcome,
    arguments::{out_path::OutPath, output_args::ForceArg},
    session::context::Context,
    terminal::tables,
};
use botops_digest::canonical_json;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_registry::{GarbageBlob, GarbagePlan, GarbageRule, Registry, Swept, UnfinishedSweep};
use botops_text::shell_line;
use chrono::{TimeDelta, Utc};
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Keep blobs younger than this; longer than any upload takes
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "7d")]
    grace: Duration,
    /// Write the plan to this file, for `--apply`
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    plan: Option<OutPath>,
    #[command(flatten)]
    force: ForceArg,
    /// Carry out the plan in FILE, or without one a new plan
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = false)]
    apply: Option<Option<PathBuf>>,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// With `--apply`: check, and show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    /// Whether something was removed, or would have been if there had been something.
    applied: bool,
    dry_run: bool,
    #[serde(flatten)]
    plan: &'a GarbagePlan,
    /// The sweeps that were interrupted; the next `--apply` continues them.
    unfinished: &'a [UnfinishedSweep],
    swept: Option<&'a Swept>,
    out: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let registry = context.registry()?;
    let act = context.act(args.reason.clone())?;
    let output = args.plan.as_ref().map(|out| {
        let output = Output::new(out, OutputKind::Other, args.force.force);
        output.check().map(|()| output)
    });
    let output = output.transpose()?;
    let (plan, unfinished) = context.wait(planned(args, &registry))??;
    let applies = args.apply.is_some() && !args.dry_run;
    let swept = match applies {
        true => Some(context.wait(registry.sweep_garbage(&plan, Utc::now(), &act))??),
        false => None,
    };
    let mut out = None;
    if let Some(output) = output {
        let mut bytes = canonical_json(&plan);
        bytes.push(b'\n');
        output.check_content(&bytes)?;
        output.write(&bytes)?;
        out = args.plan.as_ref().map(OutPath::shown);
    }
    let answer = Answer {
        applied: applies,
        dry_run: args.dry_run,
        plan: &plan,
        unfinished: &unfinished,
        swept: swept.as_ref(),
        out: out.clone(),
    };
    let outcome = Outcome::done(&answer, text(&answer));
    if applies || (plan.blobs.is_empty() && unfinished.is_empty()) {
        return Ok(outcome);
    }
    let mut next = vec!["botops", "registry", "gc", "--apply"];
    let file = match &args.apply {
        Some(Some(file)) => Some(file.display().to_string()),
        _ => out,
    };
    next.extend(file.as_deref());
    Ok(outcome.next(shell_line(next)))
}

/// The largest plan that is read: about a million blobs.
const MOST_PLAN_BYTES: u64 = 256 << 20;

/// Returns the plan of the file, or a new one, and the sweeps that were interrupted.
async fn planned(args: &Args, registry: &Registry) -> Result<(GarbagePlan, Vec<UnfinishedSweep>)> {
    let unfinished = registry.unfinished_sweeps().await?;
    if let Some(Some(file)) = &args.apply {
        let bytes = botops_spec::bytes_within(file, MOST_PLAN_BYTES)
            .map_err(|fault| fault.hint("write a plan: `botops registry gc --plan FILE`"))?;
        let mut plan = GarbagePlan::from_bytes(&bytes, file)?;
        registry.check_garbage_plan(&plan)?;
        if args.dry_run {
            // Whatever is named or was written since the plan was made would be kept.
            let rule = GarbageRule { grace: plan.grace(), clock: Utc::now() };
            let now = registry.plan_garbage(rule, &plan.id).await?;
            let is_free = |blob: &GarbageBlob| {
                now.blobs
                    .iter()
                    .any(|it| it.digest == blob.digest && it.written_at <= blob.written_at)
            };
            plan.blobs.retain(is_free);
            plan.bytes =
                plan.blobs.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.size_bytes));
        }
        return Ok((plan, unfinished));
    }
    let grace = TimeDelta::from_std(args.grace).map_err(|error| {
        Fault::usage("BOT-1003", "the time of `--grace` is too long")
            .hint("write days, such as `7d`")
            .caused_by(error)
    })?;
    let rule = GarbageRule { grace, clock: Utc::now() };
    let plan = registry.plan_garbage(rule, &ulid::Ulid::generate().to_string()).await?;
    Ok((plan, unfinished))
}

fn text(answer: &Answer<'_>) -> String {
    let plan = answer.plan;
    let mut out = String::new();
    let blobs = |n: u64| tables::counted(n, "blob", "blobs");
    if let Some(swept) = answer.swept {
        out.push_str(&format!(
            "removed: {}, {} bytes, in {}\n",
            blobs(swept.blobs),
            tables::count(swept.bytes),
            plan.store
        ));
        if swept.kept > 0 {
            out.push_str(&format!(
                "kept, because they are named or new now: {}\n",
                blobs(swept.kept)
            ));
        }
        for sweep in &swept.continued {
            out.push_str(&format!("continued the interrupted sweep {sweep}\n"));
        }
    } else {
        out.push_str(&format!(
            "to remove: {}, {} bytes, in {} (nothing was removed)\n",
            blobs(plan.blobs.len() as u64),
            tables::count(plan.bytes),
            plan.store
        ));
        for sweep in answer.unfinished {
            out.push_str(&format!(
                "sweep {} of {} was interrupted: the next one continues it\n",
                sweep.sweep,
                tables::time(&sweep.began_at)
            ));
        }
    }
    out.push_str(&format!(
        "stay: {} that something names, {} that are younger than {}\n",
        blobs(plan.blobs_named),
        blobs(plan.blobs_young),
        span(plan.grace_seconds)
    ));
    if let Some(file) = &answer.out {
        out.push_str(&format!("plan: {file}\n"));
    }
    out
}

fn span(seconds: i64) -> String {
    match seconds {
        seconds if seconds > 0 && seconds % 86_400 == 0 => {
            tables::counted((seconds / 86_400).unsigned_abs(), "day", "days")
        }
        seconds => {
            humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string()
        }
    }
}
