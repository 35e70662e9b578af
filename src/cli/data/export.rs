//! `botops data export`.

use super::conversion::{self, Conversion};
use crate::cli::{
    Outcome,
    arguments::{
        data_args::{self, DataArgs},
        out_path::OutPath,
        output_args::RecordOutputArgs,
    },
    session::context::Context,
};
use botops_datasets::Format;
use botops_findings::Result;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data files, as for `botops data import`; synonyms, lookups and patterns of Rasa may be in one of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format to write: csv, tsv, jsonl, json, parquet or rasa
    #[arg(long, value_name = "FORMAT", value_parser = data_args::format)]
    to: Format,
    /// Write the records to this file; packed if the name ends in .gz or .zst
    #[arg(long, short, value_name = "FILE")]
    out: OutPath,
    #[command(flatten)]
    output: RecordOutputArgs,
    #[command(flatten)]
    columns: DataArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let conversion = Conversion {
        files: &args.files,
        format: args.to,
        out: &args.out,
        terms: None,
        samples: args.output.samples,
        force: args.output.force.force,
        dry_run: args.output.dry_run,
        columns: &args.columns,
    };
    conversion::run(&conversion, context)
}
