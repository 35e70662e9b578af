//! Where the objects of the log are in the store of an environment.

use botops_findings::{Fault, Result};
use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc};
use std::{fmt, str::FromStr};

/// The extension of a segment.
pub(crate) const SEGMENT: &str = ".jsonl.zst";
/// The extension of a compacted file.
pub(crate) const PARQUET: &str = ".parquet";

/// An hour of the log, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HourKey(i64);

impl HourKey {
    /// Returns the hour of a time.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp().div_euclid(3_600))
    }

    /// Returns the hour of a time in milliseconds since 1970.
    #[must_use]
    pub fn of_millis(at: i64) -> Self {
        Self(at.div_euclid(3_600_000))
    }

    /// Returns the first instant of the hour.
    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.saturating_mul(3_600), 0).unwrap_or_default()
    }

    /// Returns the hour after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Returns the first instant after the hour.
    #[must_use]
    pub fn end(self) -> DateTime<Utc> {
        self.start() + Duration::hours(1)
    }
}

impl fmt::Display for HourKey {
    /// Writes the folder of the hour: `date=2026-11-30/hour=07`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start();
        write!(f, "date={}/hour={:02}", start.format("%Y-%m-%d"), start.hour())
    }
}

impl FromStr for HourKey {
    type Err = Fault;

    /// Reads the folder of an hour.
    ///
    /// # Errors
    /// `BOT-6202` (exit 3) it is not one.
    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (date, hour) = text.split_once('/')?;
            let date: NaiveDate = date.strip_prefix("date=")?.parse().ok()?;
            let hour = hour.strip_prefix("hour=")?;
            let hour = (hour.len() == 2).then(|| hour.parse().ok())??;
            let time = NaiveTime::from_hms_opt(hour, 0, 0)?;
            Some(Self::of(NaiveDateTime::new(date, time).and_utc()))
        };
        read().ok_or_else(|| {
            let shown = botops_text::display(text, 80);
            Fault::data("BOT-6202", format!("`{shown}` is no hour of the prediction log"))
                .hint("an hour is a folder such as `date=2026-11-30/hour=07`")
        })
    }
}

/// Returns the folder of an environment.
pub(crate) fn environment(name: &str) -> String {
    format!("predictions/{name}")
}

/// Returns the folder of an hour.
pub(crate) fn hour(environment_name: &str, hour: HourKey) -> String {
    format!("{}/{hour}", environment(environment_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_a_folder_and_back() {
        let at: DateTime<Utc> = "2026-11-30T07:59:59.999Z".parse().unwrap();
        let key = HourKey::of(at);
        assert_eq!(key.to_string(), "date=2026-11-30/hour=07");
        assert_eq!(key.to_string().parse::<HourKey>().unwrap(), key);
        assert_eq!(HourKey::of_millis(at.timestamp_millis()), key);
        assert_eq!(key.start().to_rfc3339(), "2026-11-30T07:00:00+00:00");
        assert_eq!(HourKey::of(key.end()), HourKey(key.0 + 1));
        assert_eq!(HourKey::of_millis(-1).to_string(), "date=1969-12-31/hour=23");
        for wrong in ["", "date=2026-11-30", "date=2026-11-31/hour=07", "date=2026-11-30/hour=7"] {
            assert_eq!(wrong.parse::<HourKey>().unwrap_err().code(), "BOT-6202", "{wrong}");
        }
    }
}
