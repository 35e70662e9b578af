//! The last recorded run of a pipeline, kept in `run.json` of the pipeline's folder.

use crate::state::Folder;
use botops_digest::Digest;
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// The run that was recorded last. A run with the same content is not recorded again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastRun {
    /// Digest of the recorded stages, data, parameters and files.
    pub(crate) content: Digest,
    /// The id of the run.
    pub(crate) run: String,
}

/// Reads the pipeline's `run.json` at `path`; `None` if it is missing or cannot be read.
pub(crate) fn read_last(path: &Path) -> Option<LastRun> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Returns the id of the run recorded last.
pub(crate) fn last_run(folder: &Folder) -> Option<String> {
    read_last(&folder.own("run.json")).map(|last| last.run)
}
