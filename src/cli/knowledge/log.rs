//! `botops knowledge log`.

use crate::cli::{Outcome, session::context::Context, terminal::tables};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_knowledge::store::{KnowledgeAction, KnowledgeEvent};
use botops_store::Entry;
use botops_text::shell_line;
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Knowledge base; without one, all are listed
    name: Option<String>,
}

/// A knowledge base with its latest version.
#[derive(Serialize)]
struct KnowledgeBase {
    name: String,
    versions: u64,
    latest: String,
    files: u64,
    size_bytes: u64,
    at: DateTime<Utc>,
}

#[derive(Serialize)]
struct KnowledgeBases<'a> {
    registry: &'a str,
    knowledge: Vec<KnowledgeBase>,
}

#[derive(Serialize)]
struct History<'a> {
    name: &'a str,
    versions: Vec<Line>,
}

/// A version of a knowledge base.
#[derive(Serialize)]
struct Line {
    reference: String,
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    /// The digest of the manifest, which identifies the version.
    version: Digest,
    index: Digest,
    index_bytes: u64,
    files: u64,
    size_bytes: u64,
    added: u64,
    changed: u64,
    removed: u64,
    /// The digest of the previous entry.
    previous: Option<Digest>,
}

impl Line {
    fn of(name: &str, entry: &Entry<KnowledgeEvent>) -> Self {
        let KnowledgeEvent { at, actor, reason, action } = &entry.payload;
        let KnowledgeAction::Imported {
            manifest,
            index,
            index_bytes,
            files,
            size_bytes,
            added,
            changed,
            removed,
        } = action;
        Self {
            reference: format!("{name}@{}", entry.seq),
            at: *at,
            actor: actor.clone(),
            reason: reason.clone(),
            version: *manifest,
            index: *index,
            index_bytes: *index_bytes,
            files: *files,
            size_bytes: *size_bytes,
            added: *added,
            changed: *changed,
            removed: *removed,
            previous: entry.previous,
        }
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = context.knowledge()?;
    if let Some(name) = &args.name {
        let entries = context.wait(store.versions(name))??;
        let versions = entries.iter().map(|entry| Line::of(name, entry)).collect();
        let history = History { name, versions };
        let outcome = Outcome::done(&history, history_text(&history));
        return Ok(match &history.versions[..] {
            [.., before, latest] => outcome.next(shell_line([
                "botops",
                "knowledge",
                "diff",
                &before.reference,
                &latest.reference,
            ])),
            _ => outcome,
        });
    }
    let knowledge = context.wait(async {
        let mut listed = Vec::new();
        for name in store.names().await? {
            let entries = store.versions(&name).await?;
            if let Some(entry) = entries.last() {
                let Line { reference: latest, files, size_bytes, at, .. } = Line::of(&name, entry);
                let versions = entries.len() as u64;
                listed.push(KnowledgeBase { name, versions, latest, files, size_bytes, at });
            }
        }
        Ok::<_, Fault>(listed)
    })??;
    let registry = store.store().url();
    let text = if knowledge.is_empty() {
        format!("no knowledge base is stored in {registry}\n")
    } else {
        let rows = knowledge.iter().map(|base| {
            vec![
                base.name.clone(),
                base.latest.clone(),
                tables::count(base.files),
                tables::bytes(base.size_bytes),
                tables::time(&base.at),
            ]
        });
        let header = ["knowledge base", "latest", "documents", "size", "imported (UTC)"];
        tables::table(&header, rows, &[2, 3])
    };
    let next = match knowledge.first() {
        Some(base) => shell_line(["botops", "knowledge", "log", &base.name]),
        None => "botops knowledge import datasets/support/knowledge --into help".to_owned(),
    };
    Ok(Outcome::done(&KnowledgeBases { registry, knowledge }, text).next(next))
}

fn history_text(history: &History<'_>) -> String {
    let rows = history.versions.iter().map(|line| {
        vec![
            line.reference.clone(),
            tables::time(&line.at),
            line.actor.clone(),
            tables::count(line.files),
            format!("+{} ~{} -{}", line.added, line.changed, line.removed),
            tables::bytes(line.size_bytes),
            tables::bytes(line.index_bytes),
            line.version.short(),
            line.reason.clone(),
        ]
    });
    let header = [
        "version",
        "imported (UTC)",
        "who",
        "documents",
        "changes",
        "size",
        "index",
        "identity",
        "why",
    ];
    tables::table(&header, rows, &[3, 5, 6])
}
