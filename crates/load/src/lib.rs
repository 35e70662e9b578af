//! Load tests of a server: who sends what and when, the times of the answers, and the rules that they must meet.
//!
//! In: a [`Profile`], read from YAML, and a [`Target`]. Out: a [`LoadReport`].
//!
//! - [`Levels`] says when users come and go, and when requests are due: pure
//! - [`Threshold`] is a rule on the results, such as `p95 < 50ms`: pure
//! - [`Retries`] says when a request is sent again: pure
//! - [`probe`] sends one request of each kind, and reports mistakes before there is load
//! - [`drive`] makes the load, and measures each latency from the time at which the request was due, so that a server that stalls
//!   cannot hide it by delaying the clients (coordinated omission)

mod checked_profile;
mod drive;
#[cfg(test)]
mod drive_tests;
mod kind;
mod levels;
mod probe;
mod profile;
mod profile_file;
mod reply;
mod report;
mod retries;
mod tally;
mod target;
mod texts;
mod thresholds;
mod user;
mod wire;

pub use checked_profile::{Profile, Stage};
pub use drive::{Driven, Progress, drive};
pub use kind::Kind;
pub use levels::{Arriving, Levels, Segment};
pub use probe::probe;
pub use profile::{Arrivals, MixSpec, Pacing, ProfileSpec, RetrySpec, StageSpec, ThinkSpec};
pub use report::{Facts, Latencies, LoadReport, Part};
pub use retries::Retries;
pub use tally::Counts;
pub use target::Target;
pub use thresholds::{Judged, Measure, Threshold};
