//! Requests of the client of the admin API about background jobs.

use super::{admin_jobs::JobList, client::AdminClient};
use botops_findings::Result;
use botops_http::Method;
use botops_jobs::Job;
use serde::Serialize;

#[derive(Serialize)]
struct By<'a> {
    actor: &'a str,
    reason: &'a str,
}

/// No body.
const NONE: Option<&By<'static>> = None;

impl AdminClient {
    /// Returns the newest jobs, at most `limit`; those that are over only with `all`.
    ///
    /// # Errors
    /// `BOT-7413` (exit 2) the server has no store; those of [`Self::check_access`].
    pub async fn jobs(&self, all: bool, limit: usize) -> Result<Vec<Job>> {
        let query = format!("all={all}&limit={limit}");
        let list: JobList = self.ask(Method::GET, &["jobs"], Some(&query), NONE).await?;
        Ok(list.jobs)
    }

    /// Returns a job.
    ///
    /// # Errors
    /// `BOT-7400` (exit 2) there is no such job; those of [`Self::check_access`].
    pub async fn job(&self, id: &str) -> Result<Job> {
        self.ask(Method::GET, &["jobs", id], None, NONE).await
    }

    /// Cancels a job; a dry run only checks.
    ///
    /// # Errors
    /// Those of [`Self::job`]; `BOT-7402` (exit 5) it is over.
    pub async fn cancel_job(&self, id: &str, by: (&str, &str), dry_run: bool) -> Result<Job> {
        self.order_job(id, "cancel", by, dry_run).await
    }

    /// Tries a job again; a dry run only checks.
    ///
    /// # Errors
    /// Those of [`Self::job`]; `BOT-7402` (exit 5) it did not fail and was not cancelled.
    pub async fn retry_job(&self, id: &str, by: (&str, &str), dry_run: bool) -> Result<Job> {
        self.order_job(id, "retry", by, dry_run).await
    }

    async fn order_job(
        &self,
        id: &str,
        word: &str,
        (actor, reason): (&str, &str),
        dry_run: bool,
    ) -> Result<Job> {
        let query = dry_run.then_some("dry_run=true");
        self.ask(Method::POST, &["jobs", id, word], query, Some(&By { actor, reason })).await
    }
}
