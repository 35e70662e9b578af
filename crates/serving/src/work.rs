//! The work of a kind of background job.

use async_trait::async_trait;
use botops_findings::Result;
use botops_jobs::Job;
use serde_json::Value;

/// The work of a kind of job.
#[async_trait]
pub(super) trait Work: Send + Sync {
    /// Returns the kind.
    fn kind(&self) -> &'static str;

    /// Carries out a job, and returns its result. Dropped when the job is lost or cancelled, or the server stops.
    ///
    /// # Errors
    /// The attempt failed. A fault of exit code 1 or 7 may pass, and the job is tried again; others last.
    async fn run(&self, job: &Job) -> Result<Value>;
}
