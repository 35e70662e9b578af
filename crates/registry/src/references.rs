//! The references of a registry: the runs that its versions come from, and the blobs that its entries name.

use super::{Action, ChampionMove, Change, Registry, deployment_log};
use botops_digest::Digest;
use botops_findings::Result;
use std::collections::BTreeSet;

/// The references of one or more registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// The runs that made the versions.
    pub runs: BTreeSet<String>,
    /// The blobs: manifests, files, evidence and policies.
    pub blobs: BTreeSet<Digest>,
}

impl References {
    /// Adds the references of another registry.
    pub fn extend(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.blobs.extend(other.blobs);
    }
}

impl Registry {
    /// Returns the references of all versions and of the entries of all logs of models and deployments.
    ///
    /// # Errors
    /// Those of the store and of [`Self::versions`]: the references of an unreadable manifest are unknown.
    pub async fn references(&self) -> Result<References> {
        let mut references = References::default();
        for model in self.models().await? {
            for entry in self.history(&model).await? {
                match entry.payload.action {
                    Action::Registered { manifest } => {
                        references.blobs.insert(manifest);
                    }
                    Action::AliasMoved { evidence, .. } => references.blobs.extend(evidence),
                    Action::AliasRemoved { .. }
                    | Action::Yanked { .. }
                    | Action::Unyanked { .. }
                    | Action::Deprecated { .. }
                    | Action::Undeprecated { .. }
                    | Action::Erased { .. } => {}
                }
            }
            for version in self.versions(&model).await? {
                references.runs.extend(version.manifest.run);
                references.blobs.extend(version.manifest.gates);
                references.blobs.extend(version.manifest.files.iter().map(|file| file.digest));
            }
        }
        for environment in self.store.folders("deployments").await? {
            for entry in deployment_log(&self.store, &environment).entries().await? {
                let moved = entry.payload.champion();
                references.blobs.extend(moved.and_then(ChampionMove::evidence));
                if let Change::Policy { digest, .. } = entry.payload.change {
                    references.blobs.insert(digest);
                }
            }
        }
        Ok(references)
    }
}
