//! Load tests of a server: who sends what and when, the times of the answers, and the rules that they must meet.
//!
//! In: a [`Profile`], read from YAML, and the address of a server.
//!
//! - [`Levels`] says when users come and go, and when requests are due: pure
//! - [`Threshold`] is a rule on the results, such as `p95 < 50ms`: pure
//! - [`Retries`] says when a request is sent again: pure

mod checked_profile;
mod levels;
mod profile;
mod profile_file;
mod retries;
mod texts;
mod thresholds;

pub use checked_profile::{Profile, Stage};
pub use levels::{Arriving, Levels, Segment};
pub use profile::{Arrivals, MixSpec, Pacing, ProfileSpec, RetrySpec, StageSpec, ThinkSpec};
pub use retries::Retries;
pub use thresholds::{Judged, Measure, Threshold};
