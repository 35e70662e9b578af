//! `botops backup restore`.

use super::{
    checks::Erasing,
    store_args::{IdentityArgs, StoreArgs, keys, same},
};
use crate::cli::{
    Outcome,
    session::{context::Context, provenance},
    terminal::tables,
};
use botops_backup::{
    EXPERIMENTS, Header, REGISTRY, Restored, Targets, Wishes, covering, header, headers,
    live_erasures, restore,
};
use botops_conversations::Location;
use botops_findings::{Fault, Finding, Result, Severity};
use botops_registry::parse_time;
use botops_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

/// The variable with the database for the conversations: its URL may have a password, which no argument should.
const CONVERSATIONS: &str = "BOTOPS_RESTORE_CONVERSATIONS";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Backup, as `list` names it; the newest one if it is left out
    backup: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Empty place to restore into: `registry`, `experiments` and `conversations` are made below it
    #[arg(long, value_name = "LOCATION")]
    into: String,
    /// Restore the deployments, models and turns as they were at this time, such as 2026-11-24T10:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "backup")]
    as_of: Option<String>,
    /// Leave the conversations out. A database for them is named by BOTOPS_RESTORE_CONVERSATIONS
    #[arg(long)]
    without_conversations: bool,
    /// Store with the newest log of erasures; default: the registry in force
    #[arg(long, value_name = "LOCATION", conflicts_with = "without_newer_erasures")]
    erasures: Option<String>,
    /// Restore although the erasures made after the backup are lost
    #[arg(long)]
    without_newer_erasures: bool,
    /// Check, but write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    store: &'a str,
    backup: &'a str,
    into: &'a str,
    conversations_into: Option<String>,
    #[serde(flatten)]
    restored: &'a Restored,
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let workspace = context.workspace()?;
    let from = args.store.open(context)?;
    let keys = keys(None, &args.identity)?;
    let as_of = args.as_of.as_deref().map(parse_time).transpose()?;
    if let Some(as_of) = as_of
        && as_of > provenance::now()?
    {
        return Err(Fault::usage("BOT-5108", "`--as-of` is in the future")
            .hint("leave it out to restore the newest backup"));
    }
    args.store.check_target(&args.into, context)?;
    let live = args.erasures.as_ref().unwrap_or(&workspace.registry.value);
    let registry = below(&args.into, "registry");
    if same(live, &registry) && !args.without_newer_erasures {
        let message =
            format!("`{registry}` is the live registry: it cannot be restored over itself");
        return Err(Fault::conflict("BOT-5110", message)
            .hint("restore into another place, then name that place in botops.yaml"));
    }
    let live = context.store(live)?;
    let (header, restored, conversations) = context.wait(async {
        let header = match as_of {
            Some(as_of) => {
                let all = headers(&from).await?.into_iter();
                let all: Vec<Header> = all.filter_map(|(_, header)| header.ok()).collect();
                covering(&all, as_of)?.clone()
            }
            None => {
                let begun = match &args.backup {
                    Some(_) => None,
                    None => begun(&args.into, context).await?,
                };
                header(&from, args.backup.as_deref().or(begun.as_deref())).await?
            }
        };
        let erasures = match args.without_newer_erasures {
            true => None,
            false => {
                // A store that was named on purpose may be a restored copy, with an identity of its own.
                let of = args.erasures.is_none().then_some(&header);
                Some((live.url().to_owned(), live_erasures(&live, of).await?))
            }
        };
        let targets = targets(&args.into, args.without_conversations, &header, context)?;
        let wishes = Wishes { at: as_of, erasures, dry_run: args.dry_run };
        let restored = restore(&from, &header, &keys, (&targets, &wishes), &mut Erasing).await;
        let restored = restored.map_err(|fault| unfinished(fault, &targets))?;
        Ok::<_, Fault>((header, restored, targets.conversations))
    })??;
    let answer = Answer {
        store: args.store.location(),
        backup: &header.id,
        into: &args.into,
        conversations_into: conversations.as_ref().map(ToString::to_string),
        restored: &restored,
        dry_run: args.dry_run,
    };
    let mut findings = Vec::new();
    if args.without_newer_erasures {
        let message = "what was erased after the backup is back";
        let help = "erase it again: `botops conversations forget`, `botops predictions forget`";
        findings.push(Finding::new("BOT-5111", Severity::Warning, message, help));
    }
    Ok(Outcome::done(&answer, text(&answer)).findings(findings))
}

/// Returns the backup of an interrupted restore into `into`; `None` if there is none. The newest backup may be another one
/// by now.
async fn begun(into: &str, context: &Context) -> Result<Option<String>> {
    for name in [REGISTRY, EXPERIMENTS] {
        if let Some(mark) = context.store(&below(into, name))?.restore().await? {
            // A restore to a time is gone on with by the same time only.
            return Ok((!mark.contains(' ')).then_some(mark));
        }
    }
    Ok(None)
}

/// Adds what to do after an interruption to a fault of the targets.
fn unfinished(fault: Fault, targets: &Targets) -> Fault {
    if !["BOT-5002", "BOT-5003", "BOT-6116", "BOT-6125"].contains(&fault.code()) {
        return fault;
    }
    let places: Vec<&str> = targets.stores.values().map(Store::url).collect();
    fault.hint(format!(
        "nothing is served from {} yet: run the same command again to finish, or remove it",
        places.join(" and ")
    ))
}

/// Returns the place `name` below a location.
pub(super) fn below(location: &str, name: &str) -> String {
    format!("{}/{name}", location.trim_end_matches('/'))
}

/// Opens the places to restore into.
pub(super) fn targets(
    into: &str,
    without_conversations: bool,
    header: &Header,
    context: &Context,
) -> Result<Targets> {
    let mut stores = BTreeMap::new();
    for name in &header.stores {
        stores.insert(name.clone(), context.store(&below(into, name))?);
    }
    let mut conversations = None;
    if !without_conversations && header.conversations.is_some() {
        let database = std::env::var(CONVERSATIONS).ok().filter(|text| !text.trim().is_empty());
        let place = match database {
            Some(database) => database,
            None => match context.store(into)?.folder() {
                Some(folder) => folder.join("conversations").display().to_string(),
                None => {
                    return Err(Fault::usage(
                        "BOT-5112",
                        "conversations cannot be restored into a bucket",
                    )
                    .hint(format!("name an empty folder or database in {CONVERSATIONS}"))
                    .hint("or leave them out: `--without-conversations`"));
                }
            },
        };
        conversations = Some(Location::parse(&place, &context.workspace()?.root)?);
    }
    Ok(Targets { stores, conversations })
}

fn text(answer: &Answer<'_>) -> String {
    let Restored { objects, bytes, logs_cut, conversations, erasures } = answer.restored;
    let verb = if answer.dry_run { "would restore" } else { "restored" };
    let mut text = format!(
        "{}: {verb} backup {}: {}, {}\n",
        answer.into,
        answer.backup,
        tables::counted(*objects, "object", "objects"),
        tables::bytes(*bytes),
    );
    if let (Some(copied), Some(place)) = (conversations, &answer.conversations_into) {
        text.push_str(&format!(
            "  {} with {} in {place}\n",
            tables::counted(copied.conversations, "conversation", "conversations"),
            tables::counted(copied.turns, "turn", "turns"),
        ));
    }
    if *logs_cut > 0 {
        let logs = tables::counted(*logs_cut, "log", "logs");
        text.push_str(&format!("  {logs} end at the time that was named\n"));
    }
    if *erasures > 0 {
        let entries = tables::counted(*erasures, "entry", "entries");
        text.push_str(&format!("  {entries} of the log of erasures applied\n"));
    }
    text
}
