//! `botops db`.

use super::Outcome;
use crate::cli::session::{context::Context, conversing::location};
use botops_conversations::SchemaStatus;
use botops_findings::Result;
use clap::Subcommand;
use serde::Serialize;

/// Manage the tables of the store of conversations
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Change the tables to the version that this botops reads and writes
    Migrate(MigrateArgs),
    /// Show the version of the tables
    Status,
    /// Take the tables back to an older version
    Rollback(RollbackArgs),
}

#[derive(Debug, clap::Args)]
struct MigrateArgs {
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct RollbackArgs {
    /// Version to go back to; 0 removes the tables
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(i64).range(0..))]
    to: i64,
    /// Remove tables that hold turns
    #[arg(long)]
    force: bool,
    /// Check, but change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a SchemaStatus,
    dry_run: bool,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let location = location(context.workspace()?)?;
    let (status, dry_run) = match &args.verb {
        Verb::Migrate(args) => (context.wait(location.migrate(args.dry_run))??, args.dry_run),
        Verb::Status => (context.wait(location.schema())??, false),
        Verb::Rollback(args) => {
            let back = location.rollback(args.to, args.force, args.dry_run);
            (context.wait(back)??, args.dry_run)
        }
    };
    let text = match (&args.verb, dry_run) {
        (Verb::Status, _) => "",
        (_, true) => "would apply",
        (Verb::Migrate(_), false) => "applied",
        (Verb::Rollback(_), false) => "took back",
    };
    let outcome = Outcome::done(&Answer { status: &status, dry_run }, words(&status, text));
    let is_old = status.version < status.newest;
    Ok(match (&args.verb, is_old) {
        (Verb::Status, true) => outcome.next("botops db migrate"),
        (Verb::Migrate(_), true) if dry_run => outcome.next("botops db migrate"),
        _ => outcome,
    })
}

fn words(status: &SchemaStatus, done: &str) -> String {
    let SchemaStatus { store, version, newest, steps, erases } = status;
    let steps = match (steps.is_empty(), done) {
        (true, "") => "nothing is missing".to_owned(),
        (true, _) => "nothing to do".to_owned(),
        (false, "") => format!("missing: {}", steps.join(", ")),
        (false, done) => format!("{done}: {}", steps.join(", ")),
    };
    let erases = match erases {
        Some(n) if *n > 0 => format!("; {n} turns go with the tables"),
        _ => String::new(),
    };
    format!("{store}: version {version} of {newest}; {steps}{erases}\n")
}
