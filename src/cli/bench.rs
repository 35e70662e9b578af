//! `botops bench`.

mod serve;
mod text;

use super::Outcome;
use crate::cli::session::context::Context;
use botops_findings::Result;
use clap::Subcommand;

/// Measure a server under load
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the load of a profile on a server, and judge its answers
    Serve(serve::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Serve(args) => serve::run(args, context),
    }
}
