//! Drift: a comparison of the utterances and of the columns of two data sets.
//!
//! Input: the [`Row`]s and [`Column`]s of a reference and of current data, and a [`DriftSpec`]. Output: a
//! [`DriftReport`]. Each quantity or column that both sides have is one check: an effect size, the effect that sampling alone
//! explains, and a p-value corrected over all checks. A check drifts only if it is both significant and
//! large: with enough rows every difference is significant, and with few rows a large difference may be
//! chance.

mod check_scores;
mod checks;
mod column;
mod comparison;
mod joined;
mod profile;
mod profile_comparison;
mod profile_names;
mod profile_numbers;
mod quantities;
mod quantity;
mod report;
mod row;
mod score;
mod spec;
mod times;

pub use column::{Column, Role};
pub use comparison::{DriftSide, compare};
pub use profile::{Category, Missing, Profile};
pub use profile_comparison::compare_profiles;
pub use profile_names::{MOST_NAMES, Names};
pub use profile_numbers::Quantity;
pub use report::{DriftCheck, DriftReport, DriftVerdict, NotJudged, NotJudgedWhy};
pub use row::{Row, rows};
pub use score::{POWER, Score};
pub use spec::DriftSpec;

#[cfg(test)]
mod column_tests;
#[cfg(test)]
mod profile_tests;
#[cfg(test)]
mod score_tests;
#[cfg(test)]
mod tests;
