//! `botops data import`.

use super::conversion::{self, Conversion};
use crate::cli::{
    Outcome,
    arguments::{data_args::DataArgs, out_path::OutPath, output_args::RecordOutputArgs},
    session::context::Context,
};
use botops_datasets::Format;
use botops_findings::{Fault, Result};
use botops_text::shell_line;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data files: CSV, TSV, JSONL, JSON, Parquet or training data of Rasa, plain or packed with gzip or zstd; a pattern
    /// such as 'data/*.csv', or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the records to this file; the ending gives the format: .csv, .tsv, .jsonl, .json or .parquet, optionally
    /// followed by .gz or .zst; - writes CSV to standard output
    #[arg(long, short, value_name = "FILE")]
    out: OutPath,
    /// Write the synonyms, lookups and patterns of Rasa to this Rasa file
    #[arg(long, value_name = "FILE")]
    terms: Option<OutPath>,
    #[command(flatten)]
    output: RecordOutputArgs,
    #[command(flatten)]
    columns: DataArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let format = match args.out.format() {
        Some(Format::Rasa) => {
            return Err(Fault::usage("BOT-1003", "an import writes a table, not training data of Rasa")
                .file(&args.out)
                .hint("write training data of Rasa with `botops data export FILE --to rasa --out FILE.yml`"));
        }
        Some(format) => format,
        None => {
            return Err(Fault::usage(
                "BOT-1003",
                format!("the ending of `{}` is not that of a known format", args.out.display()),
            )
            .file(&args.out)
            .hint("use the ending .csv, .tsv, .jsonl, .json or .parquet"));
        }
    };
    let conversion = Conversion {
        files: &args.files,
        format,
        out: &args.out,
        terms: args.terms.as_deref(),
        samples: args.output.samples,
        force: args.output.force.force,
        dry_run: args.output.dry_run,
        columns: &args.columns,
    };
    let outcome = conversion::run(&conversion, context)?;
    if args.output.dry_run {
        return Ok(outcome);
    }
    let out = args.out.display().to_string();
    Ok(outcome.next(shell_line(["botops", "validate", &out])))
}
