//! The arguments of `botops runs reproduce`.

use crate::cli::arguments::{data_args::DataArgs, out_path::OutPath};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run: its id, the unique beginning of an id, or `latest`
    pub(super) id: String,
    /// Training data, if the store does not keep it; every byte must be the same
    #[arg(long, value_name = "FILE")]
    pub(super) data: Option<PathBuf>,
    /// Write the model to this file, if it is identical to the recorded one
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<OutPath>,
    /// Replace an existing file that botops did not write
    #[arg(long, requires = "out")]
    pub(super) force: bool,
    /// Train and compare, but write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) columns: DataArgs,
}
