//! The model of a report.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The model that is judged: the champion of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitoredModel {
    /// The name in the registry.
    pub name: String,
    /// The number of the version.
    pub version: u64,
    /// The digest of the model file, as records name it.
    pub digest: String,
    /// The digest of the manifest of the version, as records name it; `None` in reports of an older version. Versions that
    /// differ in their knowledge alone share a model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

impl MonitoredModel {
    /// Returns whether a record or a report with these digests is of this version. One without a manifest is of every version
    /// with its model file.
    pub(crate) fn is_it(&self, digest: &str, manifest: Option<&str>) -> bool {
        is_same((&self.digest, self.manifest.as_deref()), (digest, manifest))
    }

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

/// Returns whether two pairs of a model file and a manifest can be one version: a manifest that is not known decides nothing.
pub(crate) fn is_same(one: (&str, Option<&str>), other: (&str, Option<&str>)) -> bool {
    one.0 == other.0 && one.1.zip(other.1).is_none_or(|(one, other)| one == other)
}
