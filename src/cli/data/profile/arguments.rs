//! The arguments of `botops data profile`.

use crate::cli::{
    arguments::{data_args::DataArgs, out_path::OutPath, output_args::PageArgs},
    drift::profiles::Shard,
};
use std::path::PathBuf;

/// The most parts of one profile.
const MOST_SHARDS: u32 = 1_000;

/// Describe a data set: classes, lengths, languages, columns; optionally compared with an earlier version
#[derive(Debug, clap::Args)]
pub(in crate::cli::data) struct Args {
    /// Data file, in any format that `validate` reads; a pattern in quotes; - for standard input; or a file of a snapshot
    /// such as support@3:train.csv
    pub(super) data: PathBuf,
    /// Earlier version of the data; both are shown with the changes
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<OutPath>,
    /// Write the profile that `botops drift` compares to this file, such as week.profile.json; it holds counts and no texts
    #[arg(long, value_name = "FILE", group = "target")]
    pub(super) out: Option<OutPath>,
    /// Add the predictions of this model to the profile
    #[arg(long, short, value_name = "MODEL", requires = "target")]
    pub(super) model: Option<String>,
    /// Put only part I of N of the profile into the store; parts count from 0
    #[arg(long, value_name = "I/N", value_parser = shard, group = "target", conflicts_with = "html")]
    pub(super) shard: Option<Shard>,
    /// Merge the N parts that `--shard` put into the store
    #[arg(long, value_name = "N", requires = "out", conflicts_with = "html", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) merge: Option<u32>,
    /// Replace existing files that botops did not write
    #[arg(long)]
    pub(super) force: bool,
    /// Write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) columns: DataArgs,
}

impl Args {
    /// Returns the flags of the page.
    pub(super) fn page(&self) -> PageArgs {
        PageArgs { html: self.html.clone(), force: self.force, dry_run: self.dry_run }
    }
}

/// Parses `I/N`, such as `2/8`.
fn shard(text: &str) -> Result<Shard, String> {
    let usage = || {
        format!(
            "`{text}` is no part: expected I/N, such as 2/8, with I from 0 to N - 1 and at most {MOST_SHARDS} parts"
        )
    };
    let (index, n) = text.split_once('/').ok_or_else(usage)?;
    let (index, n) = (index.parse().map_err(|_| usage())?, n.parse().map_err(|_| usage())?);
    match (1..=MOST_SHARDS).contains(&n) && index < n {
        true => Ok(Shard { index, n }),
        false => Err(usage()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_count_from_zero() {
        assert_eq!(shard("2/8"), Ok(Shard { index: 2, n: 8 }));
        assert_eq!(shard("0/1"), Ok(Shard { index: 0, n: 1 }));
        for text in ["8/8", "1", "/8", "1/0", "-1/8", "0/1001", "a/b", "1/8/2"] {
            assert!(shard(text).is_err(), "{text}");
        }
    }
}
