//! `botops data import`.

use super::conversion::{self, Conversion};
use crate::cli::{Outcome, arguments::data_args::DataArgs, session::context::Context};
use botops_datasets::Format;
use botops_findings::{Fault, Result};
use botops_text::shell_line;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Data files: CSV, TSV, JSONL, JSON, Parquet or training data of Rasa, each as it is or packed by gzip or zstd; a
    /// pattern such as 'data/*.csv', or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the records here; the ending says how: .csv, .tsv, .jsonl, .json or .parquet, and .gz or .zst behind it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write synonyms, lookups and patterns of Rasa here, as a file of Rasa
    #[arg(long, value_name = "FILE")]
    terms: Option<PathBuf>,
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
    let format = match Format::of_name(&args.out.to_string_lossy()) {
        Some(Format::Rasa) => {
            return Err(Fault::usage("BOT-1003", "an import is written as a table, and not for Rasa")
                .file(&args.out)
                .hint("write training data of Rasa with `botops data export FILE --to rasa --out FILE.yml`"));
        }
        Some(format) => format,
        None => {
            return Err(Fault::usage(
                "BOT-1003",
                format!("the ending of `{}` says no format", args.out.display()),
            )
            .file(&args.out)
            .hint("end it in .csv, .tsv, .jsonl, .json or .parquet"));
        }
    };
    let conversion = Conversion {
        files: &args.files,
        format,
        out: &args.out,
        terms: args.terms.as_deref(),
        samples: args.samples,
        dry_run: args.dry_run,
        columns: &args.columns,
    };
    let outcome = conversion::run(&conversion, context)?;
    if args.dry_run {
        return Ok(outcome);
    }
    let out = args.out.display().to_string();
    Ok(outcome.next(shell_line(["botops", "validate", &out])))
}
