//! `botops data`.

mod conversion;
mod diff;
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
use botops_snapshots::Snapshots;

/// Look after data sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Divide a data set into train and test, without leaks and for good
    Split(split::Args),
    /// Read files of any known format into one data file
    Import(import::Args),
    /// Write first expectations from a data set that is as it should be
    Infer(infer::Args),
    /// Say what a data set is made of: classes, lengths, languages, columns; before and after
    Profile(profile::Args),
    /// Write a data set in another format
    Export(export::Args),
    /// Store a data set as it is now, by content
    Snapshot(snapshot::Args),
    /// List data sets, or the snapshots of one: when, who, why
    Log(log::Args),
    /// Write a snapshot back, verified
    Pull(pull::Args),
    /// Read and check every chunk that a snapshot needs
    Verify(verify::Args),
    /// List the runs and versions made from a snapshot
    WhereUsed(where_used::Args),
    /// Find records that say the same, or nearly, within files, across intents and across files
    Duplicates(duplicates::Args),
    /// Find likely mislabelled records, intents that overlap, outliers and gibberish
    LabelIssues(label_issues::Args),
    /// Propose fixes as a patch, apply it once it was looked through, and take corrected records back
    Repair(repair::Args),
    /// Choose the utterances of recorded traffic that are most worth labelling
    Suggest(suggest::Args),
    /// Add utterances that were labelled to a data set
    Merge(merge::Args),
    /// Show what changed between two snapshots or files, as a review
    Diff(diff::Args),
}

impl Args {
    /// Returns whether the verb writes Markdown.
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

/// Opens the data sets of the registry in force.
fn snapshots(context: &Context) -> Result<Snapshots> {
    Ok(Snapshots::open(context.registry()?.store().clone()))
}

/// Reads `2%` or `0.02`, from none to all.
fn share(text: &str) -> std::result::Result<f64, String> {
    let share = split::share(text).ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share such as `2%` or `0.02`".to_owned())
}
