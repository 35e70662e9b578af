//! The content of a version that gates judge: its model file and its knowledge.

use botops_digest::Digest;
use std::collections::BTreeMap;

/// The model file and the knowledge of a version. Evidence is about one such set, and about no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSet {
    /// The digest of the model file.
    pub model: Digest,
    /// The digests of the knowledge files, by the name of the knowledge.
    pub knowledge: BTreeMap<String, Digest>,
}

impl From<Digest> for VersionSet {
    /// Returns the set of a version without knowledge.
    fn from(model: Digest) -> Self {
        Self { model, knowledge: BTreeMap::new() }
    }
}
