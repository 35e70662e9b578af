//! Erasure: of the blobs that hold an utterance, and of versions.
//!
//! - [`Needles`] find utterances in the bytes of a blob
//! - an [`ErasurePlan`] is the blobs with the versions that have them
//! - [`Registry::erase`](super::Registry::erase) marks the versions as erased in the logs of their models, then marks and
//!   removes each blob. Manifests and log entries stay: they hold digests, numbers and names of intents

mod needles;
mod plan;

pub use needles::Needles;
pub use plan::{AffectedVersion, ErasurePlan, blobs_holding};
