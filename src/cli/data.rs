//! `botops data`.

mod conversion;
pub(super) mod diff;
mod duplicates;
mod export;
mod import;
mod infer;
mod label_issues;
mod log;
mod merge;
mod profile;
mod pull;
mod repair;
mod snapshot;
mod split;
mod suggest;
mod verify;
mod where_used;

use super::Outcome;
use crate::cli::session::context::Context;
use botops_findings::Result;

/// Manage data sets
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Split a data set into train and test without leaks, and keep the split when the data grows
    Split(split::Args),
    /// Convert files of any supported format to one data file
    Import(import::Args),
    /// Write expectations that a correct data set satisfies
    Infer(infer::Args),
    /// Describe a data set: classes, lengths, languages, columns; optionally compared with an earlier version
    Profile(profile::Args),
    /// Convert a data set to another format
    Export(export::Args),
    /// Store the current content of a data set
    Snapshot(snapshot::Args),
    /// List data sets, or the snapshots of one with time, actor and reason
    Log(log::Args),
    /// Restore a snapshot, verified
    Pull(pull::Args),
    /// Verify every chunk of the snapshots
    Verify(verify::Args),
    /// List the runs and versions made from a snapshot
    WhereUsed(where_used::Args),
    /// Find duplicates and near duplicates within files, across intents and across files
    Duplicates(duplicates::Args),
    /// Find likely mislabelled records, overlapping intents, outliers and gibberish
    LabelIssues(label_issues::Args),
    /// Propose fixes as a patch, apply a reviewed patch, or merge corrected records back
    Repair(repair::Args),
    /// Choose the utterances of recorded traffic that are most useful to label
    Suggest(suggest::Args),
    /// Add labelled utterances to a data set
    Merge(merge::Args),
    /// Show the changes between two snapshots or files
    Diff(diff::Args),
}

impl Args {
    /// Returns whether the verb supports `--format markdown`.
    pub(crate) fn writes_markdown(&self) -> bool {
        matches!(self.verb, Verb::Profile(_))
    }
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.verb {
        Verb::Split(args) => split::run(args, context),
        Verb::Import(args) => import::run(args, context),
        Verb::Infer(args) => infer::run(args, context),
        Verb::Profile(args) => profile::run(args, context),
        Verb::Export(args) => export::run(args, context),
        Verb::Snapshot(args) => snapshot::run(args, context),
        Verb::Log(args) => log::run(args, context),
        Verb::Pull(args) => pull::run(args, context),
        Verb::Verify(args) => verify::run(args, context),
        Verb::WhereUsed(args) => where_used::run(args, context),
        Verb::Duplicates(args) => duplicates::run(args, context),
        Verb::Repair(args) => repair::run(args, context),
        Verb::Suggest(args) => suggest::run(args, context),
        Verb::Merge(args) => merge::run(args, context),
        Verb::LabelIssues(args) => label_issues::run(args, context),
        Verb::Diff(args) => diff::run(args, context),
    }
}
