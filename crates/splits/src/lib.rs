//! Train and test splits that neither leak nor move.
//!
//! In: a [`botops_datasets::Dataset`] and the shares of each side. Out: one data set for each side, with the records in
//! their original order.
//!
//! - [`split`] decides by the hash of each text, so that a growing data set hardly moves old records
//! - [`split_locked`] also keeps near duplicates and groups on one side, and records every decision in a [`SplitLock`],
//!   so that no record ever changes sides

mod assignment;
mod by_text;
mod lock;
mod locked;
mod mixed_units;
mod strata;

pub use by_text::{Split, SplitSpec, split};
pub use lock::{LockedSplit, LockedSplitSpec, SplitLock, SplitSide};
pub use locked::split_locked;
