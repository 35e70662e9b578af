//! The arguments of `botops data repair`.

use crate::cli::{
    arguments::{data_args::DataArgs, out_path::OutPath, output_args::RecordOutputArgs},
    session::table_output::TableOutput,
};
use botops_files::{Output, OutputKind};
use std::path::{Path, PathBuf};

/// Propose fixes as a patch, apply a reviewed patch, or merge corrected records back
///
/// Without --apply and --quarantine, fixes are proposed, and --patch writes them to a file, one line each: edit `after`,
/// write `no` or `yes` under `apply`, or delete lines. A fix that does not match the data is not applied, and the data file
/// itself is never changed. The exit code is 3 when records are quarantined again, and 5 when a patch or a quarantine
/// belongs to other data.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data file: CSV, TSV, JSONL or JSON, packed or not
    pub(super) data: PathBuf,
    /// Expectations; default: expectations.yaml beside the data, if it exists
    #[arg(long, value_name = "FILE")]
    pub(super) expectations: Option<PathBuf>,
    /// Write the proposed fixes to this CSV file, for review
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "quarantine"])]
    pub(super) patch: Option<OutPath>,
    /// Also propose the intents in this file, the output of `botops data label-issues --format json`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["apply", "quarantine"])]
    pub(super) labels: Option<PathBuf>,
    /// Apply the fixes of this patch
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with = "quarantine")]
    pub(super) apply: Option<PathBuf>,
    /// Merge back the corrected records of this quarantine that satisfy the expectations now; repeatable, and the last file
    /// that lists a record counts
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(super) quarantine: Vec<PathBuf>,
    /// Write the repaired data to this file, in the format of the data; packed if the name ends in .gz or .zst
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<OutPath>,
    /// Write the records that are quarantined again to this file, with the reasons
    #[arg(long, value_name = "FILE", requires = "quarantine")]
    pub(super) left: Option<OutPath>,
    #[command(flatten)]
    pub(super) output: RecordOutputArgs,
    #[command(flatten)]
    pub(super) columns: DataArgs,
}

impl Args {
    /// Returns the patch to write, which people edit.
    pub(super) fn patch_output<'a>(&self, path: &'a Path) -> Output<'a> {
        Output::new(path, OutputKind::Other, self.output.force.force)
    }

    /// Returns the repaired data to write.
    pub(super) fn table<'a>(&self, path: &'a Path) -> TableOutput<'a> {
        TableOutput::new(path, self.output.force.force)
    }

    /// Returns the file for the records that are quarantined again, if any.
    pub(super) fn left(&self) -> Option<Output<'_>> {
        let quarantine = |path| Output::new(path, OutputKind::Quarantine, self.output.force.force);
        self.left.as_deref().map(quarantine)
    }
}
