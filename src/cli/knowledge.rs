//! `botops knowledge`.

mod diff;
mod evaluate;
mod fetching;
mod import;
mod log;
mod pull;
mod writing;

use super::Outcome;
use crate::cli::session::context::Context;
use botops_findings::Result;

/// Manage knowledge bases: the documents that a bot answers from
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Import documents as a new version of a knowledge base, and index them
    Import(import::Args),
    /// Show the changes between two versions: documents and passages
    Diff(diff::Args),
    /// List knowledge bases, or the versions of one with time, actor and reason
    Log(log::Args),
    /// Write the index of a version, and its documents, byte for byte
    Pull(pull::Args),
    /// Measure a knowledge base on questions: retrieval, answers, and abstention
    Evaluate(evaluate::Args),
}

impl Args {
    /// Returns whether the answer can be Markdown.
    pub(crate) fn writes_markdown(&self) -> bool {
        matches!(self.verb, Verb::Evaluate(_))
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Import(args) => import::run(args, context),
        Verb::Diff(args) => diff::run(args, context),
        Verb::Log(args) => log::run(args, context),
        Verb::Pull(args) => pull::run(args, context),
        Verb::Evaluate(args) => evaluate::run(args, context),
    }
}
