//! The arguments of `botops predict`.

use crate::cli::arguments::{data_args::DataArgs, out_path::OutPath};
use std::path::PathBuf;

/// Classify utterances
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Utterances; if the first is a `.botops` file or a reference such as support@2, it is the model
    #[arg(value_name = "MODEL|TEXT")]
    pub(super) words: Vec<String>,
    /// Classify the texts of this file: CSV, TSV, JSONL or Parquet, or a file of a snapshot; with --explain and
    /// utterances, the training data, whose nearest records are shown
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// Show the terms that support the winner and the runner-up, and the nearest records of the training data
    #[arg(long)]
    pub(super) explain: bool,
    /// Show the K most likely intents of each utterance; default: 3
    #[arg(long, value_name = "K")]
    pub(super) top: Option<usize>,
    /// Write the probability of every intent: in CSV as a column p_INTENT for each
    #[arg(long, conflicts_with = "top")]
    pub(super) probabilities: bool,
    /// Put an apostrophe before cells that a spreadsheet would run as a formula; these texts then differ from the data
    #[arg(long, requires = "out")]
    pub(super) spreadsheet: bool,
    /// Write the predictions of --data to this file; the ending gives the format: .csv, .tsv or .jsonl; - writes CSV to
    /// standard output, in batches as they are made
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<OutPath>,
    /// Replace an existing file that botops did not write
    #[arg(long, requires = "out")]
    pub(super) force: bool,
    /// Write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) columns: DataArgs,
}
