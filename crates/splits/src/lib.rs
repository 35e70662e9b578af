//! Splits that neither leak nor move: by the hash of each text, or remembered in a lock.

mod assignment;
pub mod by_text;
mod locked;

pub use by_text::{Split, SplitSpec, split};
pub use locked::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide, split_locked};
