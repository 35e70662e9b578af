//! `botops runs`.

mod best;
mod compare;
mod export;
mod gc;
mod list;
mod reproduce;
pub(super) mod run_text;
mod show;

use super::Outcome;
use crate::cli::session::context::Context;
use botops_findings::Result;

/// Inspect recorded runs
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List runs, the newest first
    List(list::Args),
    /// Show a run: params, metrics, data, code, machine, artifacts, stages
    Show(show::Args),
    /// Compare runs: settings, data, code, metrics, predictions
    Compare(compare::Args),
    /// Rank runs by a metric, and mark those that are not distinguishable from the best
    Best(best::Args),
    /// Train the model of a run again from its record, and compare the steps
    Reproduce(reproduce::Args),
    /// Export a run to an MLflow tracking server, or as a model card
    Export(export::Args),
    /// Remove old runs and their files, except those that a version in the registry refers to
    Gc(gc::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::List(args) => list::run(args, context),
        Verb::Show(args) => show::run(args, context),
        Verb::Compare(args) => compare::run(args, context),
        Verb::Best(args) => best::run(args, context),
        Verb::Reproduce(args) => reproduce::run(args, context),
        Verb::Export(args) => export::run(args, context),
        Verb::Gc(args) => gc::run(args, context),
    }
}
