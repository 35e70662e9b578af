//! Drift: a comparison of the utterances of two data sets.
//!
//! Input: the [`Row`]s of a reference and of current data, and a [`DriftSpec`]. Output: a [`DriftReport`].
//! Each quantity that both sides have is one check: an effect size, the effect that sampling alone
//! explains, and a p-value corrected over all checks. A check drifts only if it is both significant and
//! large: with enough rows every difference is significant, and with few rows a large difference may be
//! chance.

mod comparison;
mod quantity;
mod report;
mod spec;

pub use comparison::{Row, compare, rows};
pub use report::{DriftCheck, DriftReport, DriftVerdict};
pub use spec::DriftSpec;

#[cfg(test)]
mod tests;
