//! A request for a job.

use crate::{Job, MAX_ATTEMPTS, MAX_JSON_BYTES, faults::unfit};
use botops_digest::{Digest, canonical_json};
use botops_findings::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest name of a kind or a subject, and the longest author, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A request for a job.
#[derive(Debug, Clone)]
pub struct JobRequest {
    /// The kind of work, such as `knowledge-upload`: lower-case letters, digits and `-`.
    pub kind: &'static str,
    /// The object of the work, such as the name of a knowledge base.
    pub subject: String,
    /// The person or program that asks.
    pub by: String,
    /// The order, which a worker of the kind reads.
    pub order: Value,
    /// The number of times that it is tried, usually [`MAX_ATTEMPTS`].
    pub max_attempts: u32,
    /// The key by which a repeated request is known.
    pub key: Option<RequestKey>,
}

/// The key by which a repeated request is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKey {
    /// The digest of the key and of the identity that sent it.
    pub key: Digest,
    /// The digest of the request.
    pub body: Digest,
}

/// A job that was asked for.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The job.
    pub job: Job,
    /// Whether this request made it; false if an earlier one with the same key did.
    pub is_new: bool,
}

impl JobRequest {
    /// Makes a request that is tried [`MAX_ATTEMPTS`] times.
    #[must_use]
    pub fn new(
        kind: &'static str,
        subject: impl Into<String>,
        by: impl Into<String>,
        order: Value,
    ) -> Self {
        let (subject, by) = (subject.into(), by.into());
        Self { kind, subject, by, order, max_attempts: MAX_ATTEMPTS, key: None }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// `BOT-7404` (exit 2).
    pub(crate) fn check(&self) -> Result<()> {
        check_text("subject", &self.subject)?;
        check_text("author", &self.by)?;
        check_json("order", &self.order)
    }
}

/// Checks a name that stays in the log.
///
/// # Errors
/// `BOT-7404` (exit 2).
pub(crate) fn check_text(name: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.contains(char::is_control) {
        return Err(unfit(format!(
            "the {name} of a job must have 1 to {MAX_NAME_BYTES} bytes and no control character"
        )));
    }
    Ok(())
}

/// Checks a value that stays in the log.
///
/// # Errors
/// `BOT-7404` (exit 2).
pub(crate) fn check_json(name: &str, value: &Value) -> Result<()> {
    match canonical_json(value).len() {
        ..=MAX_JSON_BYTES => Ok(()),
        size => Err(unfit(format!(
            "the {name} of a job has {size} bytes: at most {MAX_JSON_BYTES} are kept"
        ))),
    }
}
