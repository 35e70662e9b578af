//! `botops backup create`.

use super::store_args::{IdentityArgs, RecipientArgs, StoreArgs, keys, same};
use crate::cli::{
    Exit, Outcome,
    session::{context::Context, conversing, provenance},
    terminal::tables,
};
use botops_backup::{Created, EXPERIMENTS, REGISTRY, Sources, create};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::BackupRecord;
use botops_text::shell_line;
use serde::Serialize;

/// The characters of a ULID that tell backups of one second apart, in their order: the end of its time, and some randomness.
const NAME: std::ops::Range<usize> = 4..14;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    recipients: RecipientArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Leave the conversations out
    #[arg(long)]
    without_conversations: bool,
    /// Back up another registry than the newest backup has, such as one that was restored
    #[arg(long)]
    new_registry: bool,
    /// Make a backup without encryption although the newest one is encrypted
    #[arg(long)]
    unencrypted: bool,
    /// Read everything, and show what would be stored, but store nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    backup: &'a str,
    created_at: chrono::DateTime<chrono::Utc>,
    encrypted: bool,
    stores: &'a [String],
    objects: u64,
    bytes: u64,
    conversations: Option<botops_conversations::Copied>,
    objects_read: u64,
    new_chunks: u64,
    new_bytes: u64,
    damaged: &'a [String],
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let target = args.store.open(context)?;
    args.store.check_apart(context)?;
    let keys = keys(Some(&args.recipients), &args.identity)?;
    let at = provenance::now()?;
    let registry = context.store(&workspace.registry.value)?;
    let mut stores = vec![(REGISTRY.to_owned(), registry.clone())];
    // Versions name runs, so their store is read after that of the registry.
    if !same(&workspace.registry.value, &workspace.experiments.value) {
        stores.push((EXPERIMENTS.to_owned(), context.store(&workspace.experiments.value)?));
    }
    let mut findings = Vec::new();
    let location = conversing::location(workspace)?;
    let conversations = match (args.without_conversations, location.is_copied()) {
        (true, _) => None,
        (false, true) => (!location.is_absent()).then_some(location),
        (false, false) => {
            let message = format!("conversations in `{location}` are not part of this backup");
            let help = "back up Redis with its own snapshots; turns in memory end with the process";
            findings.push(Finding::new("BOT-5112", Severity::Warning, message, help));
            None
        }
    };
    let sources = Sources {
        stores,
        conversations,
        new_registry: args.new_registry,
        unencrypted: args.unencrypted,
    };
    let name = ulid::Ulid::generate().to_string().to_lowercase();
    let name = &name[NAME];
    let created = context.wait(async {
        let created = create(&target, &sources, &keys, (at, name, args.dry_run)).await?;
        if !args.dry_run {
            let header = &created.header;
            let record = BackupRecord {
                schema: BackupRecord::SCHEMA.to_owned(),
                backup: header.id.clone(),
                at,
                objects: header.objects,
                bytes: header.bytes,
            };
            registry.record_backup(record).await?;
        }
        Ok::<_, Fault>(created)
    })??;
    findings.extend(created.damaged.iter().map(|path| damaged(path, registry.url())));
    Ok(outcome(args, &created).findings(findings))
}

fn damaged(path: &str, store: &str) -> Finding {
    let message = format!("`{path}` does not match its digest, and is not in the backup");
    let help = "run `botops registry verify`, and restore it from an earlier backup";
    let place = Place { file: Some(format!("{store}/{path}")), ..Place::default() };
    Finding::new("BOT-5106", Severity::Error, message, help).at(place)
}

fn outcome(
    args: &Args,
    Created { header, read, new_chunks, new_bytes, damaged }: &Created,
) -> Outcome {
    let answer = Answer {
        store: args.store.location(),
        backup: &header.id,
        created_at: header.created_at,
        encrypted: header.encrypted,
        stores: &header.stores,
        objects: header.objects,
        bytes: header.bytes,
        conversations: header.conversations,
        objects_read: *read,
        new_chunks: *new_chunks,
        new_bytes: *new_bytes,
        damaged,
        dry_run: args.dry_run,
    };
    let verb = if args.dry_run { "would make" } else { "made" };
    let sealed = if header.encrypted { "encrypted" } else { "not encrypted" };
    let mut text = format!(
        "{}: {verb} backup {} ({sealed})\n  {} of {}, {}\n",
        answer.store,
        header.id,
        tables::counted(header.objects, "object", "objects"),
        header.stores.join(" and "),
        tables::bytes(header.bytes),
    );
    if let Some(copied) = &header.conversations {
        text.push_str(&format!(
            "  {} with {}\n",
            tables::counted(copied.conversations, "conversation", "conversations"),
            tables::counted(copied.turns, "turn", "turns"),
        ));
    }
    text.push_str(&format!(
        "  new: {} read, {} of {} stored\n",
        tables::counted(*read, "object", "objects"),
        tables::counted(*new_chunks, "chunk", "chunks"),
        tables::bytes(*new_bytes),
    ));
    let exit = if damaged.is_empty() { Exit::Done } else { Exit::Gate };
    let outcome = Outcome::done(&answer, text).exit(exit);
    match args.dry_run {
        true => outcome,
        false => outcome.next(shell_line([
            "botops",
            "backup",
            "verify",
            &header.id,
            "--store",
            args.store.location(),
        ])),
    }
}
