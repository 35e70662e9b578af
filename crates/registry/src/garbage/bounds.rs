//! The values that a plan may have: it is a file that can be edited.

use chrono::TimeDelta;

/// The longest grace period of a plan, in seconds: 100 years.
pub(super) const LONGEST_GRACE: i64 = 100 * 366 * 24 * 60 * 60;
/// The most characters of an id.
const LONGEST_ID: usize = 40;

/// Returns a grace period in seconds as a duration. One that no plan has, in a log that somebody else wrote, counts as the
/// nearest one that a plan may have.
pub(super) fn grace_of(seconds: i64) -> TimeDelta {
    TimeDelta::seconds(seconds.clamp(0, LONGEST_GRACE))
}

/// Returns whether `id` can be the id of a plan: it names objects of the store.
pub(super) fn is_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
