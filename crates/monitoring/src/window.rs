//! The windows that are judged: whole hours or days of UTC that are over.

use botops_findings::{Fault, Result};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// The longest window.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// A span of time: from `start`, before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    /// The first instant, at a whole hour of UTC.
    pub start: DateTime<Utc>,
    /// The first instant after it, at a whole hour of UTC.
    pub end: DateTime<Utc>,
}

impl Window {
    /// Returns the last window of this length that is over at `until`: one of whole days ends at midnight UTC, another one
    /// at a whole hour. The log is stored by hours, so that a window is never cut.
    ///
    /// # Errors
    /// `BOT-6250` (exit 2) the length is not a number of whole hours, or more than 366 days.
    pub fn last(length: Duration, until: DateTime<Utc>) -> Result<Self> {
        let length = checked_length(length)?;
        let unit = match length.num_hours() % 24 {
            0 => TimeDelta::days(1),
            _ => TimeDelta::hours(1),
        };
        let end = until.duration_trunc(unit).ok();
        let window = end.and_then(|end| Some(Self { start: end.checked_sub_signed(length)?, end }));
        window.ok_or_else(|| {
            Fault::usage("BOT-6250", format!("no window ends at {}", until.to_rfc3339()))
        })
    }

    /// Returns the window of this length that ends where this one starts.
    ///
    /// # Errors
    /// Those of [`Self::last`].
    pub fn before(self, length: Duration) -> Result<Self> {
        let start = self.start.checked_sub_signed(checked_length(length)?);
        start.map(|start| Self { start, end: self.start }).ok_or_else(|| {
            Fault::usage("BOT-6250", format!("no window ends at {}", self.start.to_rfc3339()))
        })
    }

    /// Returns whether the two have an instant in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

impl fmt::Display for Window {
    /// Writes `2026-11-23 to 2026-11-30`, or with hours if it does not begin and end at midnight.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_midnight = |at: DateTime<Utc>| at.timestamp().rem_euclid(86_400) == 0;
        let form = match is_midnight(self.start) && is_midnight(self.end) {
            true => "%Y-%m-%d",
            false => "%Y-%m-%d %H:%M",
        };
        write!(f, "{} to {}", self.start.format(form), self.end.format(form))
    }
}

fn checked_length(length: Duration) -> Result<TimeDelta> {
    let whole = length.subsec_nanos() == 0 && length.as_secs().is_multiple_of(3_600);
    let length = TimeDelta::from_std(length)
        .ok()
        .filter(|length| whole && (TimeDelta::hours(1)..=LONGEST).contains(length));
    length.ok_or_else(|| {
        let message = "a window is a number of whole hours, from `1h` to `366d`";
        Fault::usage("BOT-6250", message).hint("write `7d` or `24h`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn days_end_at_midnight_and_hours_at_an_hour() {
        let now = at("2026-11-30T16:41:09Z");
        let week = Window::last(Duration::from_secs(7 * 86_400), now).unwrap();
        assert_eq!(week.to_string(), "2026-11-23 to 2026-11-30");
        let hours = Window::last(Duration::from_secs(6 * 3_600), now).unwrap();
        assert_eq!(hours.to_string(), "2026-11-30 10:00 to 2026-11-30 16:00");
        let before = week.before(Duration::from_secs(28 * 86_400)).unwrap();
        assert_eq!(before.to_string(), "2026-10-26 to 2026-11-23");
        assert!(!week.overlaps(before) && week.overlaps(hours) == (hours.start < week.end));
        // At midnight itself the day before is over.
        let midnight = Window::last(Duration::from_secs(86_400), at("2026-11-30T00:00:00Z"));
        assert_eq!(midnight.unwrap().end, at("2026-11-30T00:00:00Z"));
    }

    #[test]
    fn a_length_that_is_no_whole_hours_is_refused() {
        for seconds in [0, 1, 3_599, 5_400, 367 * 86_400] {
            let fault = Window::last(Duration::from_secs(seconds), at("2026-11-30T00:00:00Z"));
            assert_eq!(fault.unwrap_err().code(), "BOT-6250", "{seconds}");
        }
        assert!(Window::last(Duration::from_millis(3_600_500), Utc::now()).is_err());
    }
}
