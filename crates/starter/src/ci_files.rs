//! The workflows of a CI system.

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

/// The action at the root of the repository of botops. A workspace gets a copy, so that its workflows need no other
/// repository, and nothing has to be pinned.
const ACTION: &str = include_str!("../../../action.yml");

/// Returns the path of each file of `system`, and its template.
pub(crate) fn ci_files(system: CiSystem) -> Vec<(&'static str, &'static str)> {
    match system {
        CiSystem::Github => vec![
            (".github/actions/botops/action.yml", ACTION),
            (
                ".github/workflows/botops-pull-request.yml",
                include_str!("templates/github-pull-request.yml"),
            ),
            (".github/workflows/botops-weekly.yml", include_str!("templates/github-weekly.yml")),
        ],
        CiSystem::Gitlab => vec![(".gitlab-ci.yml", include_str!("templates/gitlab-ci.yml"))],
    }
}
