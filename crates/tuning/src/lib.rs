//! Tuning: a space of settings is searched by cross-validation, on any number of machines, across interruptions.
//!
//! In: the records of a train stage, its model settings as the base, and the block `tune:` of the pipeline. Out: a
//! [`SearchReport`](botops_evaluation::SearchReport).
//!
//! - Trial 0 is the base. Every other trial is drawn from the space by seed and number alone, so all machines know all
//!   trials.
//! - Successive halving: all trials are judged cheaply, the best third enters the next rung, and so on. The base always
//!   enters.
//! - The result of a trial in a rung is one create-only object of the experiments store
//!   (`tunes/<search>/trials/<trial>-<rung>.json`). An interrupted or shared search continues from these objects and ends
//!   in the same result.

mod data;
mod events;
mod plan;
mod runs;
mod search;
mod services;
mod space;
mod trial_store;
mod winner;
mod workers;

pub use botops_pipelines::tune_block::{Dimension, Halving, RungKind, TuneSpec};
pub use data::train_side;
pub use events::{By, TuneEvent, TuneListener};
pub use plan::{TunePlan, TuneTrial};
pub use search::search;
pub use services::{SearchResult, Shard, TuneData, TuneServices};

#[cfg(test)]
mod tests;
