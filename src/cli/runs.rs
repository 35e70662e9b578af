//! `botops runs`.

use super::{Outcome, context::Context, paste, tables};
use crate::{experiments::RunRecord, findings::Result};
use serde::Serialize;
use std::collections::BTreeMap;

/// Look at recorded runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List runs, the newest first
    List {
        /// How many to list
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show a run: params, metrics, data, code, machine, artifacts, stages
    Show {
        /// The run: its id, the unique beginning of one, or `latest`
        id: String,
    },
}

#[derive(Serialize)]
struct Listed<'a> {
    experiments: &'a str,
    total: u64,
    runs: &'a [RunRecord],
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let experiments = context.experiments()?;
    match &args.verb {
        Verb::List { limit } => {
            let runs = context.wait(experiments.list())??;
            Ok(list(&runs, *limit, &context.workspace()?.experiments.value))
        }
        Verb::Show { id } => {
            let run = context.wait(experiments.find(id))??;
            Ok(Outcome::done(&run, text(&run)))
        }
    }
}

fn list(runs: &[RunRecord], limit: usize, location: &str) -> Outcome {
    let shown = &runs[..runs.len().min(limit)];
    let answer = Listed { experiments: location, total: runs.len() as u64, runs: shown };
    if runs.is_empty() {
        return Outcome::done(&answer, format!("no run is recorded in {location}\n"))
            .next("botops train train.csv --test test.csv --record");
    }
    let rows = shown.iter().map(|run| {
        let metric = |name: &str| {
            run.metrics.get(name).map_or("-".to_owned(), |metric| format!("{:.3}", metric.value))
        };
        let data = run.data.get("train").or_else(|| run.data.values().next());
        vec![
            run.id.clone(),
            run.kind.clone(),
            tables::time(&run.finished_at),
            metric("accuracy"),
            metric("macro_f1"),
            data.map_or("-".to_owned(), |digest| digest.short()),
        ]
    });
    let mut text = tables::table(
        &["run", "kind", "finished (UTC)", "accuracy", "macro_f1", "data"],
        rows,
        &[3, 4],
    );
    if shown.len() < runs.len() {
        text.push_str(&format!("{} of {} runs\n", shown.len(), tables::count(runs.len() as u64)));
    }
    let outcome = Outcome::done(&answer, text);
    match shown.first() {
        Some(newest) => outcome.next(paste::line(["botops", "runs", "show", &newest.id])),
        None => outcome,
    }
}

fn text(run: &RunRecord) -> String {
    let took = (run.finished_at - run.started_at).num_milliseconds().max(0) as f64 / 1_000.0;
    let mut out = format!(
        "{}: {}, {} UTC, took {}\n",
        run.id,
        run.kind,
        tables::time(&run.started_at),
        tables::seconds(took)
    );
    if !run.metrics.is_empty() {
        out.push_str(&format!("\n{}", tables::metrics(&run.metrics)));
    }
    let stages = run.stages.iter().map(|(stage, verdict)| (stage.clone(), verdict.clone()));
    out.push_str(&pairs(["stage", "verdict"], stages.collect()));
    out.push_str(&pairs(["param", "value"], params(&run.params)));
    let data = run.data.iter().map(|(name, digest)| (name.clone(), digest.to_string()));
    out.push_str(&pairs(["data", "digest"], data.collect()));
    if !run.artifacts.is_empty() {
        let rows = run.artifacts.iter().map(|artifact| {
            vec![
                artifact.name.clone(),
                tables::count(artifact.size_bytes),
                artifact.digest.to_string(),
            ]
        });
        out.push_str(&format!("\n{}", tables::table(&["artifact", "bytes", "digest"], rows, &[1])));
    }
    let code = match (&run.code.git_commit, run.code.git_dirty) {
        (Some(commit), Some(true)) => format!("{commit}, with uncommitted changes"),
        (Some(commit), _) => commit.clone(),
        (None, _) => "no git repository".to_owned(),
    };
    let machine = &run.environment;
    let (plural, ci) =
        (if machine.cores == 1 { "" } else { "s" }, if machine.ci { ", in CI" } else { "" });
    out.push_str(&format!(
        "\ncode: {code}\nmachine: botops {}, {}, {} core{plural}{ci}\n",
        machine.botops, machine.platform, machine.cores
    ));
    out
}

/// Returns params as text: strings bare, the rest in JSON.
pub(super) fn params(params: &BTreeMap<String, serde_json::Value>) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// Draws a table of two columns after an empty line; nothing without rows.
pub(super) fn pairs(header: [&str; 2], rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n{}",
        tables::table(&header, rows.into_iter().map(|(name, value)| vec![name, value]), &[])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_are_shown_without_quotes() {
        let values = BTreeMap::from([
            ("model.head.c".to_owned(), json!(1.0)),
            ("model.head.kind".to_owned(), json!("linear_svm")),
            ("model.head.max_depth".to_owned(), json!(null)),
        ]);
        let shown: Vec<String> = params(&values).into_iter().map(|(_, value)| value).collect();
        assert_eq!(shown, ["1.0", "linear_svm", "null"]);
    }
}
