//! The requests of the admin API about background jobs.

use super::{
    admin_request::{Asked, Asking},
    admin_shared::{Admin, Shared},
    canary::Mode,
    exchange::{Exchange, parse},
    job_command::JobCommand,
    job_service::JobService,
    knowledge_work::UploadedFile,
    problem::Problem,
};
use axum::{
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use botops_findings::{Fault, Result};
use botops_jobs::{Job, Listed};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The most jobs of one answer.
const MOST: usize = 500;
/// The number of jobs of an answer, unless the query asks for another.
const USUAL: usize = 50;

/// Jobs, the newest first.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct JobList {
    /// The jobs.
    pub(super) jobs: Vec<Job>,
}

/// The body of a request that cancels or retries a job.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRequest {
    /// The person or job on whose behalf the request is made, for the log of the job.
    #[serde(default)]
    pub(super) actor: Option<String>,
    /// The reason, for the log of the job.
    #[serde(default)]
    pub(super) reason: String,
}

/// The answer to a request that makes a job.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The job; left out in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    /// The files that were read, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
    /// The next step.
    next: String,
}

impl Accepted {
    /// Makes the answer with a job.
    pub(super) fn of(job: Job) -> Self {
        let next = format!(
            "wait for it with `botops jobs wait {}`; its result names the new version, which is not served before it is rolled out with `botops push MODEL --knowledge {}@latest`",
            job.id, job.subject
        );
        Self { job: Some(job), files: Vec::new(), next }
    }

    /// Makes the answer of a dry run.
    pub(super) fn would(files: &[UploadedFile]) -> Self {
        let files = files.iter().map(|file| file.name.clone()).collect();
        Self { job: None, files, next: "send the request without `dry_run`".to_owned() }
    }
}

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListOptions {
    /// Whether to list jobs that are over, too.
    #[serde(default)]
    all: bool,
    /// The most jobs, with `all`.
    #[serde(default)]
    limit: Option<usize>,
}

impl Admin {
    /// Returns the jobs of the server.
    ///
    /// # Errors
    /// `BOT-7413` (exit 2) the server has no store.
    pub(super) fn jobs(&self) -> Result<&Arc<JobService>> {
        self.app.jobs.get().ok_or_else(|| {
            Fault::usage(
                "BOT-7413",
                "this server serves a file, and has no store for documents and jobs",
            )
            .hint("register the model with `botops push MODEL`, and start the server with its name")
        })
    }
}

/// Lists jobs.
pub(super) async fn jobs(
    State(admin): Shared,
    query: Result<Query<ListOptions>, QueryRejection>,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let Query(ListOptions { all, limit }) = query.map_err(|_| {
            Fault::usage("BOT-6041", "the query of the URL is not valid")
                .hint("the keys are `all`, such as `?all=true`, and `limit`, such as `?all=true&limit=50`")
        })?;
        let limit = limit.unwrap_or(USUAL);
        if limit == 0 || limit > MOST {
            let fault = Fault::usage("BOT-6041", format!("`limit` must be 1 to {MOST}"));
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, fault));
        }
        let listed = if all { Listed::Newest(limit) } else { Listed::Open };
        let mut jobs = admin.jobs()?.jobs.list(listed).await?;
        jobs.truncate(limit);
        Ok(exchange.reply(StatusCode::OK, &JobList { jobs }))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Shows a job.
pub(super) async fn job(State(admin): Shared, Path(id): Path<String>) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let job = admin.jobs()?.jobs.show(&id).await?;
        Ok(exchange.reply(StatusCode::OK, &job))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}

/// Cancels or retries a job. Both are harmless when they are repeated.
pub(super) async fn command(
    State(admin): Shared,
    Path(id): Path<String>,
    command: JobCommand,
    asked: Asked,
) -> Response {
    let exchange = Exchange::begin(&admin.app, "admin");
    let answer = async {
        let asking: Asking = asked.read()?;
        let request: JobRequest =
            if asking.body.is_empty() { JobRequest::default() } else { parse(&asking.body)? };
        let requester = asking.requester(request.actor.as_deref(), &request.reason)?;
        let service = admin.jobs()?;
        let (by, now) = (requester.by.label(), admin.app.clock.now());
        let by = (by.as_str(), requester.reason.as_str());
        let job = match (asking.mode, command) {
            (Mode::Dry, JobCommand::Cancel) => service.jobs.would_cancel(&id, by, now).await?,
            (Mode::Dry, JobCommand::Retry) => service.jobs.would_retry(&id, by, now).await?,
            (Mode::Real, JobCommand::Cancel) => service.jobs.cancel(&id, by, now).await?,
            (Mode::Real, JobCommand::Retry) => service.jobs.retry(&id, by, now).await?,
        };
        if matches!(asking.mode, Mode::Real) {
            let word = if command == JobCommand::Cancel { "cancelled" } else { "retried" };
            let message = format!("job {id} {word} by {}", requester.by.label());
            admin.app.log.event(now, "info", "job", message);
            service.wake();
        }
        Ok(exchange.reply(StatusCode::OK, &job))
    };
    let answer: Result<Response, Problem> = answer.await;
    answer.unwrap_or_else(|problem| exchange.refuse(problem, None))
}
