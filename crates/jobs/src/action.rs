//! The actions on a job.

use botops_digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An action on a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum JobAction {
    /// Somebody asked for the job. Always the first entry, and only that.
    Submitted {
        /// The kind of work, such as `knowledge-upload`.
        kind: String,
        /// The object of the work, such as the name of a knowledge base.
        subject: String,
        /// The order, which a worker of the kind reads.
        order: Value,
        /// The number of times that it is tried.
        max_attempts: u32,
        /// The digest of the key of the request, by which its record is found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Digest>,
    },
    /// A worker holds the job until a time.
    Claimed {
        /// The worker.
        worker: String,
        /// The time.
        until: DateTime<Utc>,
    },
    /// The worker holds the job until a later time.
    Heartbeat {
        /// The worker.
        worker: String,
        /// The time.
        until: DateTime<Utc>,
    },
    /// A part of the work is done, and need not be done again.
    Progress {
        /// The worker.
        worker: String,
        /// The time until which the worker holds the job.
        until: DateTime<Utc>,
        /// The part.
        progress: Progress,
    },
    /// The worker gives the job back without a failure, because it stops. The attempt does not count.
    Released {
        /// The worker.
        worker: String,
    },
    /// The work is done.
    Finished {
        /// The worker.
        worker: String,
        /// The result.
        result: Value,
    },
    /// An attempt failed. Written by the worker that holds the job, or by any other if that one is gone.
    Failed {
        /// The worker that wrote it.
        worker: String,
        /// The failure.
        failure: JobFailure,
        /// The time of the next attempt; `None` if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<DateTime<Utc>>,
    },
    /// Somebody asked that the job is not done. A job that no worker holds ends with it.
    Cancelled {
        /// The reason.
        reason: String,
    },
    /// A cancelled job was stopped: by the worker that held it, or by any other if that one is gone.
    Stopped {
        /// The worker.
        worker: String,
    },
    /// Somebody asked that a job that failed or was cancelled is tried again.
    Retried {
        /// The reason.
        reason: String,
    },
}

impl JobAction {
    /// The names of all actions.
    pub(crate) const NAMES: [&'static str; 10] = [
        "submitted",
        "claimed",
        "heartbeat",
        "progress",
        "released",
        "finished",
        "failed",
        "cancelled",
        "stopped",
        "retried",
    ];

    /// Returns the name, as in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::Claimed { .. } => "claimed",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Progress { .. } => "progress",
            Self::Released { .. } => "released",
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
            Self::Stopped { .. } => "stopped",
            Self::Retried { .. } => "retried",
        }
    }
}

/// The part of the work that is done.
///
/// - `done` is at most `total`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// The number of parts that are done.
    pub done: u64,
    /// The number of all parts.
    pub total: u64,
    /// The state from which another worker can continue, in the form of the kind of work.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub checkpoint: Value,
}

/// The failure of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobFailure {
    /// The code, which `botops explain` describes.
    pub code: String,
    /// The message.
    pub message: String,
    /// The hints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}
