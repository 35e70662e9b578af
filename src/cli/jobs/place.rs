//! The place of jobs: a server, or its store.

use crate::cli::session::context::Context;
use botops_findings::Result;
use botops_jobs::{Job, Jobs, Listed};
use botops_serving::AdminClient;
use chrono::Utc;

/// The place of jobs: the server at `server.admin_url`; without one, the store.
pub(super) enum JobPlace {
    Server(AdminClient),
    Store(Jobs),
}

impl JobPlace {
    /// Returns the place that the settings name.
    pub(super) fn of(context: &Context) -> Result<Self> {
        match &context.workspace()?.admin_url.value {
            Some(url) => context.admin_client(url).map(Self::Server),
            None => Ok(Self::Store(Jobs::open(context.registry()?.store().clone()))),
        }
    }

    pub(super) async fn jobs(&self, all: bool, limit: usize) -> Result<Vec<Job>> {
        match self {
            Self::Server(client) => client.jobs(all, limit).await,
            Self::Store(jobs) => {
                let listed = if all { Listed::Newest(limit) } else { Listed::Open };
                let mut jobs = jobs.list(listed).await?;
                jobs.truncate(limit);
                Ok(jobs)
            }
        }
    }

    pub(super) async fn job(&self, id: &str) -> Result<Job> {
        match self {
            Self::Server(client) => client.job(id).await,
            Self::Store(jobs) => jobs.show(id).await,
        }
    }

    pub(super) async fn cancel(&self, id: &str, by: (&str, &str), dry_run: bool) -> Result<Job> {
        match self {
            Self::Server(client) => client.cancel_job(id, by, dry_run).await,
            Self::Store(jobs) if dry_run => jobs.would_cancel(id, by, Utc::now()).await,
            Self::Store(jobs) => jobs.cancel(id, by, Utc::now()).await,
        }
    }

    pub(super) async fn retry(&self, id: &str, by: (&str, &str), dry_run: bool) -> Result<Job> {
        match self {
            Self::Server(client) => client.retry_job(id, by, dry_run).await,
            Self::Store(jobs) if dry_run => jobs.would_retry(id, by, Utc::now()).await,
            Self::Store(jobs) => jobs.retry(id, by, Utc::now()).await,
        }
    }
}
