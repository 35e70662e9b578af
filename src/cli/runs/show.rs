//! `botops runs show`.

use super::run_text::{pairs, params};
use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_experiments::RunRecord;
use botops_findings::Result;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Run: its id, the unique beginning of an id, or `latest`
    id: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let run = context.wait(context.experiments()?.find(&args.id))??;
    Ok(Outcome::done(&run, text(&run)))
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
    if let Some(twin) = &run.twin_of {
        out.push_str(&format!("twin of run {twin}: the same data, settings, code and result\n"));
    }
    if !run.costs.is_empty() {
        out.push_str(&format!("cost: {}\n", tables::costs(&run.costs)));
    }
    if !run.metrics.is_empty() {
        out.push_str(&format!("\n{}", tables::metrics(&run.metrics)));
    }
    let stages = run.stages.iter().map(|(stage, verdict)| (stage.clone(), verdict.clone()));
    out.push_str(&pairs(["stage", "verdict"], stages.collect()));
    out.push_str(&pairs(["param", "value"], params(&run.params)));
    if !run.data.is_empty() {
        let rows = run.data.iter().map(|(name, digest)| {
            let source = run.sources.get(name);
            let file = source.map_or("-", |source| source.file.as_str());
            let kept = if source.is_some_and(|source| source.kept) { "kept" } else { "-" };
            vec![name.clone(), file.to_owned(), kept.to_owned(), digest.to_string()]
        });
        let header = ["data", "file", "", "digest"];
        out.push_str(&format!("\n{}", tables::table(&header, rows, &[])));
    }
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
    let cores = tables::counted(machine.cores, "core", "cores");
    let ci = if machine.ci { ", in CI" } else { "" };
    out.push_str(&format!(
        "\ncode: {code}\nmachine: botops {}, {}, {cores}{ci}\n",
        machine.botops, machine.platform
    ));
    out
}
