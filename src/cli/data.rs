//! `botops data`.

mod conversion;
mod export;
mod import;

use super::{Outcome, context::Context};
use crate::findings::Result;

/// Look after data sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Read files of any known format into one data file
    Import(import::Args),
    /// Write a data set in another format
    Export(export::Args),
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Import(args) => import::run(args, context),
        Verb::Export(args) => export::run(args, context),
    }
}
