//! The workflows of a CI system.

use crate::starter_files::StarterFile;
use serde::Serialize;

/// A CI system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CiSystem {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
}

/// Returns the files of `system`, which install the version `version` of botops.
pub(crate) fn ci_files(system: CiSystem, version: &str) -> Vec<StarterFile> {
    let _ = version;
    match system {
        CiSystem::Github => Vec::new(),
        CiSystem::Gitlab => Vec::new(),
    }
}
