//! `botops backup`.

mod checks;
mod create;
mod drill;
mod list;
mod prune;
mod restore;
mod store_args;
mod verify;

use super::Outcome;
use crate::cli::session::context::Context;
use botops_findings::Result;

/// Back up the registry, experiments, predictions and conversations, and restore them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a backup: store what the one before does not have
    Create(create::Args),
    /// List the complete backups, the oldest first
    List(list::Args),
    /// Read every chunk of a backup, and compare it with its digest
    Verify(verify::Args),
    /// Restore a backup into an empty place
    Restore(restore::Args),
    /// Restore the newest backup to a scratch folder, check the copy, and record the times
    Drill(drill::Args),
    /// Remove old backups, and the chunks that no other backup needs
    Prune(prune::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Create(args) => create::run(args, context),
        Verb::List(args) => list::run(args, context),
        Verb::Verify(args) => verify::run(args, context),
        Verb::Restore(args) => restore::run(args, context),
        Verb::Drill(args) => drill::run(args, context),
        Verb::Prune(args) => prune::run(args, context),
    }
}
