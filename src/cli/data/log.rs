//! `botops data log`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_snapshots::{SnapshotAction, SnapshotEvent};
use botops_store::Entry;
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data set; without one, all data sets are listed
    name: Option<String>,
}

/// A data set with its latest snapshot.
#[derive(Serialize)]
struct DataSet {
    name: String,
    snapshots: u64,
    latest: String,
    files: u64,
    size_bytes: u64,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
struct DataSets<'a> {
    registry: &'a str,
    data_sets: Vec<DataSet>,
}

#[derive(Serialize)]
struct History<'a> {
    name: &'a str,
    snapshots: Vec<Line>,
}

/// A snapshot of a data set.
#[derive(Serialize)]
struct Line {
    reference: String,
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    snapshot: Digest,
    manifest_digest: Digest,
    files: u64,
    size_bytes: u64,
    stored_bytes: u64,
    /// The digest of the previous entry.
    previous: Option<Digest>,
}

impl Line {
    fn of(name: &str, entry: &Entry<SnapshotEvent>) -> Self {
        let SnapshotEvent { at, actor, reason, action } = &entry.payload;
        let SnapshotAction::Taken { snapshot, manifest, files, size_bytes, stored_bytes } = action;
        Self {
            reference: format!("{name}@{}", entry.seq),
            at: *at,
            actor: actor.clone(),
            reason: reason.clone(),
            snapshot: *snapshot,
            manifest_digest: *manifest,
            files: *files,
            size_bytes: *size_bytes,
            stored_bytes: *stored_bytes,
            previous: entry.previous,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let snapshots = context.snapshots()?;
    if let Some(name) = &args.name {
        let entries = context.wait(snapshots.history(name))??;
        let lines = entries.iter().map(|entry| Line::of(name, entry)).collect();
        let history = History { name, snapshots: lines };
        let outcome = Outcome::done(&history, history_text(&history));
        return Ok(match history.snapshots.last() {
            Some(latest) => outcome.next(shell_line(["botops", "data", "pull", &latest.reference])),
            None => outcome,
        });
    }
    let data_sets = context.wait(async {
        let mut data_sets = Vec::new();
        for name in snapshots.names().await? {
            let entries = snapshots.history(&name).await?;
            if let Some(entry) = entries.last() {
                let Line { reference: latest, files, size_bytes, at, .. } = Line::of(&name, entry);
                let snapshots = entries.len() as u64;
                data_sets.push(DataSet { name, snapshots, latest, files, size_bytes, at });
            }
        }
        Ok::<_, Fault>(data_sets)
    })??;
    let registry = snapshots.store().url();
    let text = if data_sets.is_empty() {
        format!("no data set is stored in {registry}\n")
    } else {
        let rows = data_sets.iter().map(|data| {
            vec![
                data.name.clone(),
                data.latest.clone(),
                tables::count(data.files),
                tables::bytes(data.size_bytes),
                tables::time(&data.at),
            ]
        });
        tables::table(&["data set", "latest", "files", "size", "taken (UTC)"], rows, &[2, 3])
    };
    let next = match data_sets.first() {
        Some(data) => shell_line(["botops", "data", "log", &data.name]),
        None => "botops data snapshot datasets/support".to_owned(),
    };
    Ok(Outcome::done(&DataSets { registry, data_sets }, text).next(next))
}

fn history_text(history: &History<'_>) -> String {
    let rows = history.snapshots.iter().map(|line| {
        vec![
            line.reference.clone(),
            tables::time(&line.at),
            line.actor.clone(),
            tables::count(line.files),
            tables::bytes(line.size_bytes),
            tables::bytes(line.stored_bytes),
            line.snapshot.short(),
            line.reason.clone(),
        ]
    });
    let header = ["snapshot", "taken (UTC)", "who", "files", "size", "stored", "identity", "why"];
    tables::table(&header, rows, &[3, 4, 5])
}
