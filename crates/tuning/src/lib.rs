//! Tuning: a space of settings is searched by cross-validation, on any number of machines, across interruptions.
//!
//! In come the records that a train stage learns from, its model settings as the base, and the block `tune:` of the
//! pipeline; out comes a [`SearchReport`](botops_evaluation::SearchReport). Trial 0 is the base; every other is drawn
//! from the space by seed and number alone, so that all machines know all trials. Successive halving: all trials are
//! judged cheaply, the best third goes on to the next rung, and so on; the base always does. What a trial came to
//! in a rung is one create-only object of the experiments store (`tunes/<search>/trials/<trial>-<rung>.json`): a
//! search that was interrupted, or is shared, goes on from what is there, and ends in the same result.

pub(crate) mod trial_store;
pub(crate) mod workers;

mod data;
mod events;
mod plan;
mod runs;
mod search;
mod space;
mod winner;

pub use botops_pipelines::tune_block::{Dimension, Halving, RungKind, TuneSpec};
pub use data::train_side;
pub use events::{By, TuneEvent, TuneListener};
pub use plan::{TunePlan, TuneTrial};
pub use search::{Found, Shard, TuneData, TuneServices, search};

#[cfg(test)]
mod tests;
