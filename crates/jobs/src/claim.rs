//! The right of a worker to act on a job.

use crate::{Job, Progress};

/// The right of a worker to act on a job, until the time is over or another worker takes it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job as it was claimed.
    pub job: Job,
    pub(crate) worker: String,
}

impl Claim {
    /// Returns the worker.
    #[must_use]
    pub fn worker(&self) -> &str {
        &self.worker
    }

    /// Returns the progress of the workers before, from which this one continues.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.job.progress
    }
}
