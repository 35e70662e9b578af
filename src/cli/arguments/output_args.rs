//! The flags about output that several verbs share.

use super::out_path::OutPath;
use crate::cli::session::outputs;
use botops_files::{Output, OutputKind};
use botops_findings::Result;
use std::path::Path;

/// The flags of a verb whose one file is a report page.
#[derive(Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// Write a report page to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<OutPath>,
    /// Replace an existing file that botops did not write
    #[arg(long, requires = "html")]
    pub(crate) force: bool,
    /// Write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

impl PageArgs {
    /// Checks that the page can be written, and is none of `inputs`.
    pub(crate) fn check(&self, inputs: &[Option<&Path>]) -> Result<()> {
        outputs::distinct(self.html.as_deref(), inputs)?;
        self.html.as_deref().map_or(Ok(()), |path| self.output(path).check())
    }

    fn output<'a>(&self, path: &'a Path) -> Output<'a> {
        Output::new(path, OutputKind::Page, self.force)
    }

    /// Returns the page to write; `None` in a dry run.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.html.as_deref().filter(|_| !self.dry_run)
    }

    /// Writes the page that `render` returns, if one is to be written; returns the name of the file.
    pub(crate) fn write(&self, render: impl FnOnce() -> String) -> Result<Option<String>> {
        let Some(path) = self.path() else { return Ok(None) };
        self.output(path).write(render().as_bytes())?;
        Ok(Some(self.html.as_ref().map_or_else(String::new, OutPath::shown)))
    }
}

/// The flags of a verb that writes records and lists findings.
#[derive(Debug, clap::Args)]
pub(crate) struct RecordOutputArgs {
    /// Show at most N findings of each kind
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) samples: usize,
    #[command(flatten)]
    pub(crate) force: ForceArg,
    /// Write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The flag of a verb that writes files that the user names.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ForceArg {
    /// Replace existing files that botops did not write
    #[arg(long)]
    pub(crate) force: bool,
}

/// The reason for a change that cannot be made without one.
#[derive(Debug, clap::Args)]
pub(crate) struct ReasonArg {
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}
