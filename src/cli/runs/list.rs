//! `botops runs list`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_experiments::RunRecord;
use botops_findings::Result;
use botops_text::shell_line;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// List at most N runs
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

#[derive(Serialize)]
struct Listed<'a> {
    experiments: &'a str,
    total: u64,
    runs: &'a [RunRecord],
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let runs = context.wait(context.experiments()?.list())??;
    Ok(list(&runs, args.limit, &context.workspace()?.experiments.value))
}

fn list(runs: &[RunRecord], limit: usize, location: &str) -> Outcome {
    let listed = &runs[..runs.len().min(limit)];
    let answer = Listed { experiments: location, total: runs.len() as u64, runs: listed };
    if runs.is_empty() {
        return Outcome::done(&answer, format!("no run is recorded in {location}\n"))
            .next("botops train train.csv --test test.csv --record");
    }
    let rows = listed.iter().map(|run| {
        let metric = |name: &str| {
            run.metrics.get(name).map_or("-".to_owned(), |metric| format!("{:.3}", metric.value))
        };
        let data = run.data.get("train").or_else(|| run.data.values().next());
        vec![
            run.id.clone(),
            run.kind.clone(),
            tables::time(&run.started_at),
            metric("accuracy"),
            metric("macro_f1"),
            data.map_or("-".to_owned(), |digest| digest.short()),
        ]
    });
    let mut text = tables::table(
        &["run", "kind", "started (UTC)", "accuracy", "macro_f1", "data"],
        rows,
        &[3, 4],
    );
    if listed.len() < runs.len() {
        text.push_str(&format!("{} of {} runs\n", listed.len(), tables::count(runs.len() as u64)));
    }
    let outcome = Outcome::done(&answer, text);
    match listed.first() {
        Some(newest) => outcome.next(shell_line(["botops", "runs", "show", &newest.id])),
        None => outcome,
    }
}
