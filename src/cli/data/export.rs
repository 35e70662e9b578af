//! `botops data export`.

use super::conversion::{self, Conversion};
use crate::cli::{
    Outcome,
    arguments::data_args::{self, DataArgs},
    session::context::Context,
};
use botops_datasets::Format;
use botops_findings::Result;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data files, as `botops data import` reads them; synonyms, lookups and patterns of Rasa may be in one of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write the records: csv, tsv, jsonl, json, parquet or rasa
    #[arg(long, value_name = "FORMAT", value_parser = data_args::format)]
    to: Format,
    /// Write the records here; packed, when it ends in .gz or .zst
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many findings of each kind to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
    /// Write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    columns: DataArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let conversion = Conversion {
        files: &args.files,
        format: args.to,
        out: &args.out,
        terms: None,
        samples: args.samples,
        dry_run: args.dry_run,
        columns: &args.columns,
    };
    conversion::run(&conversion, context)
}
