//! A copy of a store in another one, which can be read at any moment while it is made.
//!
//! - logs are listed first, then blobs are copied, then the listed entries: no entry arrives before the blobs that it names
//! - entries are created in order of their numbers, those of models and data sets before those of deployments
//! - nothing is overwritten: an object with other bytes in the copy is a conflict, and so is a log with other entries
//! - erasures come first, and are carried out in the copy
//!
//! An interrupted copy is continued by the same call. Prediction logs are not copied, because records are erased in them by
//! rewriting objects; neither are the marks and logs of sweeps, repairs and mirrors, which each store has of its own.

mod copy;
mod difference;

pub use copy::Mirrored;
pub use difference::MirrorConflict;
