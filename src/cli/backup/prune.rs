//! `botops backup prune`.

use super::store_args::StoreArgs;
use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_backup::{Header, Pruned, Retention, RetentionPlan, headers, plan, prune};
use botops_findings::{Fault, Result};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    /// Keep the newest backup of each of the last N days that have one
    #[arg(long, value_name = "N", default_value_t = 7)]
    keep_daily: u32,
    /// Keep the newest backup of each of the last N weeks that have one
    #[arg(long, value_name = "N", default_value_t = 4)]
    keep_weekly: u32,
    /// Keep the newest backup of each of the last N months that have one
    #[arg(long, value_name = "N", default_value_t = 12)]
    keep_monthly: u32,
    /// Show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    #[serde(flatten)]
    plan: &'a RetentionPlan,
    removed: Pruned,
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = args.store.open(context)?;
    let retention =
        Retention { daily: args.keep_daily, weekly: args.keep_weekly, monthly: args.keep_monthly };
    let id = ulid::Ulid::generate().to_string().to_lowercase();
    let (plan, removed) = context.wait(async {
        // A backup whose header cannot be read is neither kept nor removed: nobody knows which chunks it needs.
        let all = headers(&store).await?.into_iter().map(|(_, header)| header);
        let all: Vec<Header> = all.collect::<Result<_>>()?;
        let plan = plan(&all, retention)?;
        let removed = prune(&store, &plan.remove, (&id, args.dry_run)).await?;
        Ok::<_, Fault>((plan, removed))
    })??;
    let answer =
        Answer { store: args.store.location(), plan: &plan, removed, dry_run: args.dry_run };
    let outcome = Outcome::done(&answer, text(&answer));
    Ok(outcome)
}

fn text(answer: &Answer<'_>) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for kept in &answer.plan.keep {
        rows.push(vec![kept.id.clone(), "keep".to_owned(), kept.because.join(", ")]);
    }
    let verb = if answer.dry_run { "would remove" } else { "removed" };
    for id in &answer.plan.remove {
        rows.push(vec![id.clone(), verb.to_owned(), String::new()]);
    }
    rows.sort();
    let mut out = match rows.is_empty() {
        true => String::new(),
        false => tables::table(&["backup", "", "because"], rows, &[]),
    };
    out.push_str(&format!(
        "{}: {verb} {} and {} of {}\n",
        answer.store,
        tables::counted(answer.removed.backups, "backup", "backups"),
        tables::counted(answer.removed.chunks, "chunk", "chunks"),
        tables::bytes(answer.removed.bytes),
    ));
    out
}
