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

/// Returns the fault of a run without a model.
fn no_model(run: &RunRecord) -> Fault {
    let message = format!("run `{}` made no model (it is a `{}` run)", run.id, run.kind);
    Fault::usage("BOT-5034", message)
        .hint("name a run that trained a model: `botops runs list` shows the kinds")
}

/// Returns params as text: strings without quotes, other values in JSON.
pub(super) fn params(params: &BTreeMap<String, serde_json::Value>) -> Vec<(String, String)> {
    params
        .iter()
        .map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// Renders a table of two columns after an empty line; without rows, the text is empty.
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
    fn strings_have_no_quotes() {
        let values = BTreeMap::from([
            ("model.head.c".to_owned(), json!(1.0)),
            ("model.head.kind".to_owned(), json!("linear_svm")),
            ("model.head.max_depth".to_owned(), json!(null)),
        ]);
        let texts: Vec<String> = params(&values).into_iter().map(|(_, value)| value).collect();
        assert_eq!(texts, ["1.0", "linear_svm", "null"]);
    }
}
