//! Blobs that nothing names: found, planned, and removed.
//!
//! - **mark**: every object that can name a blob is read, and every digest in it counts as a reference, also those in the
//!   blobs that it names. So a reference of a kind that this code does not know still keeps its blob
//! - **plan** ([`GarbagePlan`]): blobs that nothing names and that are older than the grace period. Planning changes nothing
//! - **sweep** ([`Registry::sweep_garbage`](super::Registry::sweep_garbage)): for each batch, a mark that makes writers
//!   wait, another look at what was written since, a log entry with the digests, and then the removal
//!
//! The log `gc/log` says what was removed, when, by whom and why. A sweep that was interrupted is continued by the next one.

mod bounds;
mod event;
mod marking;
mod plan;
mod sweep;

pub use event::{GarbageChange, GarbageEvent, UnfinishedSweep};
pub use plan::{GarbageBlob, GarbagePlan, GarbageRule};
pub use sweep::Swept;
