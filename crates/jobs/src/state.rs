//! The state of a job.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Any worker may claim it, after `not_before`.
    Waiting,
    /// A worker holds it.
    Running,
    /// The work is done.
    Finished,
    /// The last attempt failed.
    Failed,
    /// It was cancelled, and no worker acts on it.
    Cancelled,
}

impl JobState {
    /// Returns whether nothing more happens, unless somebody asks for it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }

    /// Returns the name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
