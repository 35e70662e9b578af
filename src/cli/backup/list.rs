//! `botops backup list`.

use super::store_args::StoreArgs;
use crate::cli::{Exit, Outcome, session::context::Context, terminal::tables};
use botops_backup::headers;
use botops_conversations::Copied;
use botops_findings::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    backups: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    backup: String,
    created_at: DateTime<Utc>,
    encrypted: bool,
    objects: u64,
    bytes: u64,
    conversations: Option<Copied>,
    damaged: u64,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let store = args.store.open(context)?;
    let found = context.wait(headers(&store))??;
    let (mut backups, mut findings) = (Vec::new(), Vec::new());
    for (_, header) in found {
        match header {
            Ok(header) => backups.push(Line {
                backup: header.id,
                created_at: header.created_at,
                encrypted: header.encrypted,
                objects: header.objects,
                bytes: header.bytes,
                conversations: header.conversations,
                damaged: header.damaged,
            }),
            // One that cannot be read does not hide the others.
            Err(fault) => findings.push(fault.as_finding()),
        }
    }
    let answer = Answer { store: args.store.location(), backups };
    let text = match answer.backups.is_empty() {
        true => format!("{}: no complete backup\n", answer.store),
        false => table(&answer.backups),
    };
    let exit = if findings.is_empty() { Exit::Done } else { Exit::Gate };
    Ok(Outcome::done(&answer, text).exit(exit).findings(findings))
}

fn table(backups: &[Line]) -> String {
    let rows = backups.iter().map(|line| {
        vec![
            line.backup.clone(),
            tables::time(&line.created_at),
            tables::count(line.objects),
            tables::bytes(line.bytes),
            line.conversations.map_or_else(|| "-".to_owned(), |it| tables::count(it.conversations)),
            if line.encrypted { "yes" } else { "no" }.to_owned(),
        ]
    });
    let columns = ["backup", "made (UTC)", "objects", "size", "conversations", "encrypted"];
    tables::table(&columns, rows, &[2, 3, 4])
}
