//! `botops data where-used`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_digest::Digest;
use botops_experiments::RunRecord;
use botops_findings::{Fault, Result};
use botops_snapshots::{Snapshot, SnapshotReference};
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Snapshot, such as support@3, or one of its files, such as support@3:train.csv
    reference: String,
}

#[derive(Serialize)]
struct Answer {
    reference: String,
    snapshot: Digest,
    runs: Vec<UsedByRun>,
    versions: Vec<UsedByVersion>,
}

#[derive(Serialize)]
struct UsedByRun {
    run: String,
    kind: String,
    finished_at: DateTime<Utc>,
    /// The files of the snapshot that the run read, by input: `train` to `utterances.csv`.
    read: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct UsedByVersion {
    version: String,
    aliases: Vec<String>,
    /// The run that made the version, if it is one of `runs`; else the manifest of the version names the data.
    run: Option<String>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let reference: SnapshotReference = args.reference.parse()?;
    let snapshots = context.snapshots()?;
    let snapshot = context.wait(snapshots.resolve(&reference))??;
    let digests: BTreeMap<Digest, String> = match &reference.file {
        Some(file) => {
            let file = snapshots.file(&snapshot, Some(file))?;
            [(file.digest, file.path.clone())].into()
        }
        None => snapshot.digests(),
    };
    let experiments = context.experiments()?;
    let runs: Vec<UsedByRun> = context
        .wait(experiments.list())??
        .into_iter()
        .filter_map(|run| used(&run, &snapshot, &reference, &digests))
        .collect();
    let known: BTreeSet<&str> = runs.iter().map(|run| run.run.as_str()).collect();
    let registry = context.registry()?;
    let versions = context.wait(async {
        let mut found = Vec::new();
        for model in registry.models().await? {
            for version in registry.versions(&model).await? {
                let run = version.manifest.run.clone().filter(|run| known.contains(run.as_str()));
                let named = version.manifest.data.is_some_and(|data| digests.contains_key(&data));
                if named || run.is_some() {
                    let version_name = version.reference();
                    found.push(UsedByVersion {
                        version: version_name,
                        aliases: version.aliases,
                        run,
                    });
                }
            }
        }
        Ok::<_, Fault>(found)
    })??;
    let name = match &reference.file {
        Some(file) => format!("{}:{}", snapshot.reference(), botops_text::display(file, 200)),
        None => snapshot.reference(),
    };
    let answer = Answer { reference: name, snapshot: snapshot.digest, runs, versions };
    let outcome =
        Outcome::done(&answer, text(&answer, experiments.store().url(), registry.store().url()));
    Ok(match (answer.versions.last(), answer.runs.first()) {
        (Some(version), _) => {
            outcome.next(shell_line(["botops", "registry", "show", &version.version]))
        }
        (None, Some(run)) => outcome.next(shell_line(["botops", "runs", "show", &run.run])),
        (None, None) => outcome,
    })
}

/// Returns the files of the snapshot that `run` read; `None` if it read none.
fn used(
    run: &RunRecord,
    snapshot: &Snapshot,
    reference: &SnapshotReference,
    digests: &BTreeMap<Digest, String>,
) -> Option<UsedByRun> {
    let lasting = snapshot.lasting_reference();
    let mut read: BTreeMap<String, String> = run
        .data
        .iter()
        .filter_map(|(name, digest)| Some((name.clone(), digests.get(digest)?.clone())))
        .collect();
    for (name, source) in &run.sources {
        // A run may name the snapshot even if none of its digests is that of a file.
        if reference.file.is_none() && source.snapshot.as_deref() == Some(lasting.as_str()) {
            read.entry(name.clone()).or_insert_with(|| source.file.clone());
        }
    }
    (!read.is_empty()).then(|| UsedByRun {
        run: run.id.clone(),
        kind: run.kind.clone(),
        finished_at: run.finished_at,
        read,
    })
}

fn text(answer: &Answer, experiments: &str, registry: &str) -> String {
    let mut out = String::new();
    if answer.runs.is_empty() {
        out.push_str(&format!("no run in {experiments} read {}\n", answer.reference));
    } else {
        let rows = answer.runs.iter().map(|run| {
            let read: Vec<String> =
                run.read.iter().map(|(name, path)| format!("{name}: {path}")).collect();
            vec![run.run.clone(), run.kind.clone(), tables::time(&run.finished_at), read.join(", ")]
        });
        out.push_str(&tables::table(&["run", "kind", "finished (UTC)", "read"], rows, &[]));
    }
    out.push('\n');
    if answer.versions.is_empty() {
        out.push_str(&format!("no version in {registry} was made from {}\n", answer.reference));
    } else {
        let rows = answer.versions.iter().map(|version| {
            let run = version.run.clone().unwrap_or_else(|| "-".to_owned());
            vec![version.version.clone(), version.aliases.join(", "), run]
        });
        out.push_str(&tables::table(&["version", "aliases", "run"], rows, &[]));
    }
    out
}
