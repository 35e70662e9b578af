//! `botops data`.

mod infer;

use super::Outcome;
use crate::findings::Result;

/// Look after data sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write first expectations from a data set that is as it should be
    Infer(infer::Args),
}

pub(crate) fn run(args: &Args) -> Result<Outcome> {
    match &args.verb {
        Verb::Infer(args) => infer::run(args),
    }
}
