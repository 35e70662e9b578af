//! The proof that a version was champion, which a move back requires.

use botops_digest::Digest;

/// Proof that a version is or was champion of an environment. Only the fold of a verified log makes one, and [`crate::Registry::go_back`] requires
/// one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerChampion {
    pub(super) model: String,
    pub(super) number: u64,
    pub(super) manifest: Digest,
    /// The evidence of its latest promotion.
    pub(super) evidence: Option<Digest>,
}

impl FormerChampion {
    /// Returns the digest of its manifest.
    #[must_use]
    pub fn manifest(&self) -> Digest {
        self.manifest
    }

    /// Returns the evidence of its latest promotion.
    pub(super) fn evidence(&self) -> Option<Digest> {
        self.evidence
    }

    /// Returns `model@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.number)
    }
}
