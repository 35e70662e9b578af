//! `botops runs`.

mod best;
mod compare;
mod export;
mod gc;
mod list;
mod reproduce;
mod show;

use super::Outcome;
use crate::cli::{session::context::Context, terminal::tables};
use botops_experiments::RunRecord;
use botops_findings::{Fault, Result};
use std::collections::BTreeMap;

/// Look at recorded runs.
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
    /// Show what differs between runs, and whether one is better
    Compare(compare::Args),
    /// Show the best run by a metric, and which others cannot be told from it
    Best(best::Args),
    /// Train a run's model again from its record, and say where it comes out differently
    Reproduce(reproduce::Args),
    /// Write a run to an MLflow tracking server, or as a model card
    Export(export::Args),
    /// Remove runs that nobody needs, and the files only they refer to; never one that a version in the registry names
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

/// The fault of a run that is asked for its model and made none.
fn no_model(run: &RunRecord) -> Fault {
    let message = format!("run `{}` made no model (it is a `{}` run)", run.id, run.kind);
    Fault::usage("BOT-5034", message)
        .hint("name a run that trained: `botops runs list` shows them by kind")
}

/// Returns params as text: strings bare, the rest in JSON.
pub(super) fn params(params: &BTreeMap<String, serde_json::Value>) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// Draws a table of two columns after an empty line; nothing without rows.
pub(super) fn pairs(header: [&str; 2], rows: Vec<(String, String)>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n{}",
        tables::table(&header, rows.into_iter().map(|(name, value)| vec![name, value]), &[])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_are_shown_without_quotes() {
        let values = BTreeMap::from([
            ("model.head.c".to_owned(), json!(1.0)),
            ("model.head.kind".to_owned(), json!("linear_svm")),
            ("model.head.max_depth".to_owned(), json!(null)),
        ]);
        let shown: Vec<String> = params(&values).into_iter().map(|(_, value)| value).collect();
        assert_eq!(shown, ["1.0", "linear_svm", "null"]);
    }
}
