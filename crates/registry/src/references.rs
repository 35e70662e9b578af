//! What a registry refers to: the runs its versions come from, and the blobs they are made of.

use super::{Action, Registry};
use botops_digest::Digest;
use botops_findings::Result;
use std::collections::BTreeSet;

/// What a registry refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Runs that versions name as the one that made them.
    pub runs: BTreeSet<String>,
    /// Blobs: manifests, files, evidence.
    pub blobs: BTreeSet<Digest>,
}

impl Named {
    /// Adds what another registry refers to.
    pub fn extend(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.blobs.extend(other.blobs);
    }
}

impl Registry {
    /// Returns everything that any version or log entry refers to.
    ///
    /// # Errors
    /// Those of the store, and of [`Self::versions`]: while a manifest cannot be read, nobody knows what it names.
    pub async fn named(&self) -> Result<Named> {
        let mut named = Named::default();
        for model in self.models().await? {
            for entry in self.history(&model).await? {
                match entry.payload.action {
                    Action::Registered { manifest } => {
                        named.blobs.insert(manifest);
                    }
                    Action::AliasMoved { evidence, .. } => named.blobs.extend(evidence),
                    Action::AliasRemoved { .. } => {}
                }
            }
            for version in self.versions(&model).await? {
                named.runs.extend(version.manifest.run);
                named.blobs.extend(version.manifest.gates);
                named.blobs.extend(version.manifest.files.iter().map(|file| file.digest));
            }
        }
        Ok(named)
    }
}
