//! A job: the fold of its log.

use crate::{JobAction, JobEvent, JobFailure, JobState, Progress, Refusal};
use botops_digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job.
///
/// - `worker` and `until` are set exactly while it is [`JobState::Running`]
/// - `attempts` is at most `max_attempts`
/// - `result` is set exactly when it is [`JobState::Finished`]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Job {
    /// The id, a ULID.
    pub id: String,
    /// The kind of work, such as `knowledge-upload`.
    pub kind: String,
    /// The object of the work, such as the name of a knowledge base.
    pub subject: String,
    /// The person or program that asked for it.
    pub by: String,
    /// The state.
    pub state: JobState,
    /// Whether somebody asked that it is not done.
    pub is_cancelled: bool,
    /// The part of the work that is done.
    pub progress: Progress,
    /// The number of attempts that were begun.
    pub attempts: u32,
    /// The number of times that it is tried.
    pub max_attempts: u32,
    /// The worker that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// The time until which the worker holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// The time of the next attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// The last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<JobFailure>,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The order, which a worker of the kind reads.
    pub order: Value,
    /// The digest of the key of the request that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// The time when it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// The time of the last entry.
    pub updated_at: DateTime<Utc>,
    /// The number of the last entry.
    pub revision: u64,
}

impl Job {
    /// Returns the job `id` after `event`; `before` is the job before it, `None` for the first entry.
    ///
    /// # Errors
    /// The event does not fit the state.
    pub fn after(before: Option<&Self>, id: &str, event: &JobEvent) -> Result<Self, Refusal> {
        match (before, &event.action) {
            (None, JobAction::Submitted { kind, subject, order, max_attempts, key }) => {
                if *max_attempts == 0 {
                    return Err(Refusal::Invalid("a job is tried at least once"));
                }
                Ok(Self {
                    id: id.to_owned(),
                    kind: kind.clone(),
                    subject: subject.clone(),
                    by: event.by.clone(),
                    state: JobState::Waiting,
                    is_cancelled: false,
                    progress: Progress::default(),
                    attempts: 0,
                    max_attempts: *max_attempts,
                    worker: None,
                    until: None,
                    not_before: None,
                    failure: None,
                    result: None,
                    order: order.clone(),
                    key: *key,
                    submitted_at: event.at,
                    updated_at: event.at,
                    revision: 1,
                })
            }
            (None, _) => Err(Refusal::NotSubmitted),
            (Some(_), JobAction::Submitted { .. }) => Err(Refusal::SubmittedBefore),
            (Some(before), action) => {
                let mut job = before.clone();
                job.apply(event.at, action)?;
                job.updated_at = event.at;
                job.revision += 1;
                Ok(job)
            }
        }
    }

    fn apply(&mut self, at: DateTime<Utc>, action: &JobAction) -> Result<(), Refusal> {
        match action {
            JobAction::Submitted { .. } => return Err(Refusal::SubmittedBefore),
            JobAction::Claimed { worker, until } => {
                self.check_claimable(at)?;
                if worker.is_empty() || *until <= at {
                    return Err(Refusal::Invalid("a claim needs a worker and a time after now"));
                }
                self.state = JobState::Running;
                self.attempts += 1;
                self.not_before = None;
                (self.worker, self.until) = (Some(worker.clone()), Some(*until));
            }
            JobAction::Heartbeat { worker, until } => self.hold(worker, *until)?,
            JobAction::Progress { worker, until, progress } => {
                if progress.done > progress.total {
                    return Err(Refusal::Invalid("more parts are done than there are"));
                }
                self.hold(worker, *until)?;
                self.progress = progress.clone();
            }
            JobAction::Released { worker } => {
                self.check_held(worker)?;
                if self.is_cancelled {
                    return Err(Refusal::IsCancelled);
                }
                self.attempts -= 1;
                self.leave(JobState::Waiting);
            }
            JobAction::Finished { worker, result } => {
                // A job that was cancelled too late is finished: its effects are there.
                self.check_held(worker)?;
                self.is_cancelled = false;
                self.failure = None;
                self.result = Some(result.clone());
                self.progress.done = self.progress.total;
                self.leave(JobState::Finished);
            }
            JobAction::Failed { worker, failure, retry_at } => {
                self.check_held_or_lost(worker, at)?;
                if retry_at.is_some() && self.attempts >= self.max_attempts {
                    return Err(Refusal::NoAttempts);
                }
                self.failure = Some(failure.clone());
                self.not_before = *retry_at;
                self.leave(match (self.is_cancelled, retry_at) {
                    (true, _) => JobState::Cancelled,
                    (false, Some(_)) => JobState::Waiting,
                    (false, None) => JobState::Failed,
                });
                if self.state != JobState::Waiting {
                    self.not_before = None;
                }
            }
            JobAction::Cancelled { .. } => {
                if self.state.is_over() {
                    return Err(Refusal::NotIn(self.state));
                }
                if self.is_cancelled {
                    return Err(Refusal::IsCancelled);
                }
                self.is_cancelled = true;
                if self.state == JobState::Waiting {
                    self.not_before = None;
                    self.leave(JobState::Cancelled);
                }
            }
            JobAction::Stopped { worker } => {
                if !self.is_cancelled {
                    return Err(Refusal::NotCancelled);
                }
                self.check_held_or_lost(worker, at)?;
                self.leave(JobState::Cancelled);
            }
            JobAction::Retried { .. } => {
                if !matches!(self.state, JobState::Failed | JobState::Cancelled) {
                    return Err(Refusal::NotIn(self.state));
                }
                self.state = JobState::Waiting;
                self.is_cancelled = false;
                self.attempts = 0;
            }
        }
        Ok(())
    }

    /// Checks that a worker may claim the job at a time.
    ///
    /// # Errors
    /// It may not.
    pub fn check_claimable(&self, at: DateTime<Utc>) -> Result<(), Refusal> {
        match self.state {
            JobState::Waiting if self.not_before.is_some_and(|time| at < time) => {
                return Err(Refusal::TooEarly);
            }
            JobState::Waiting => {}
            JobState::Running if !self.is_lost(at) => return Err(Refusal::NotIn(self.state)),
            JobState::Running if self.is_cancelled => return Err(Refusal::IsCancelled),
            JobState::Running => {}
            state => return Err(Refusal::NotIn(state)),
        }
        match self.attempts < self.max_attempts {
            true => Ok(()),
            false => Err(Refusal::NoAttempts),
        }
    }

    /// Returns whether the worker that holds the job has not been heard of in time.
    #[must_use]
    pub fn is_lost(&self, at: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    fn check_held(&self, worker: &str) -> Result<(), Refusal> {
        match self.state {
            JobState::Running if self.worker.as_deref() == Some(worker) => Ok(()),
            JobState::Running => Err(Refusal::NotHeld),
            state => Err(Refusal::NotIn(state)),
        }
    }

    fn check_held_or_lost(&self, worker: &str, at: DateTime<Utc>) -> Result<(), Refusal> {
        match self.check_held(worker) {
            Err(Refusal::NotHeld) if self.is_lost(at) => Ok(()),
            checked => checked,
        }
    }

    fn hold(&mut self, worker: &str, until: DateTime<Utc>) -> Result<(), Refusal> {
        self.check_held(worker)?;
        // A clock that was set back must not shorten the time.
        self.until = self.until.max(Some(until));
        Ok(())
    }

    fn leave(&mut self, state: JobState) {
        self.state = state;
        (self.worker, self.until) = (None, None);
    }
}
