//! The model of a report.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The model that is judged: the champion of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredModel {
    /// The name in the registry.
    pub name: String,
    /// The number of the version.
    pub version: u64,
    /// The digest of the model file, as records name it.
    pub digest: String,
}

impl MonitoredModel {
    /// Returns the digest.
    ///
    /// # Errors
    /// `BOT-9001` it is none.
    pub(crate) fn parsed_digest(&self) -> Result<Digest> {
        self.digest.parse().map_err(|error| {
            Fault::internal("BOT-9001", "a version has no digest of its model").caused_by(error)
        })
    }
}
