//! Background jobs: entries of a log that any server may work on.
//!
//! In: a store, the time, and the name of a worker. Out: jobs, and the claims under which a worker may act on them.
//!
//! - a job is the log `jobs/<id>/log`; its state is the fold of the entries ([`Job::after`]), which refuses illegal ones
//! - a worker that claims a job holds it until a time, and longer with each heartbeat; after that time any worker may take
//!   it over, and continues from the last [`Progress`] that is stored. So the effects of a job must be idempotent
//! - a job is tried a limited number of times, with growing pauses; a cancellation is stored, and the worker stops at its
//!   next entry
//! - `jobs/open/<id>` marks a job that has not ended. It is written before the first entry, and removed after the last one,
//!   so listing the open jobs costs one LIST, and one GET for each of them. A marker without a log is ignored
//! - `jobs/keys/<digest>` is the id of the job that a request with an idempotency key made
//! - ended jobs are removed by [`Jobs::prune`]; `jobs/pruned/log` keeps one entry for each
//!
//! Waiting for jobs costs one LIST per look: every 15 s, that is 173,000 a month for each server (0.86 dollars at the
//! 0.005 dollars per 1,000 LISTs of Amazon S3).

mod action;
mod claim;
mod event;
mod faults;
mod index;
mod job;
mod jobs;
mod pruning;
mod refusal;
mod request;
mod state;

pub use action::{JobAction, JobFailure, Progress};
pub use claim::Claim;
pub use event::JobEvent;
pub use job::Job;
pub use jobs::{Jobs, Listed};
pub use pruning::{Pruned, PrunedJob};
pub use refusal::Refusal;
pub use request::{JobRequest, RequestKey, Submitted};
pub use state::JobState;

/// The time for which a claim and each heartbeat hold a job.
pub const LEASE: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// The number of times that a job is tried.
pub const MAX_ATTEMPTS: u32 = 5;

/// The most bytes of the canonical JSON of an order, a checkpoint or a result. Larger values belong in blobs.
pub const MAX_JSON_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;
