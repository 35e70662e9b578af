//! The reasons for which an action does not fit the state of a job.

use crate::JobState;
use std::fmt;

/// The reason for which an action does not fit the state of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The first entry is another one than `submitted`.
    NotSubmitted,
    /// The job was submitted before.
    SubmittedBefore,
    /// The job is in a state in which the action is not possible.
    NotIn(JobState),
    /// The pause before the next attempt is not over.
    TooEarly,
    /// All attempts were made.
    NoAttempts,
    /// Another worker holds the job, or none.
    NotHeld,
    /// Somebody asked that the job is not done.
    IsCancelled,
    /// Nobody asked that the job is not done.
    NotCancelled,
    /// A number or a time is not possible, in words.
    Invalid(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSubmitted => f.write_str("the job was not submitted"),
            Self::SubmittedBefore => f.write_str("the job was submitted before"),
            Self::NotIn(state) => write!(f, "the job is {state}"),
            Self::TooEarly => f.write_str("the pause before the next attempt is not over"),
            Self::NoAttempts => f.write_str("all attempts were made"),
            Self::NotHeld => f.write_str("the worker does not hold the job"),
            Self::IsCancelled => f.write_str("the job was cancelled"),
            Self::NotCancelled => f.write_str("the job was not cancelled"),
            Self::Invalid(problem) => f.write_str(problem),
        }
    }
}
