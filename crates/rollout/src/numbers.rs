//! Percentages, durations and lists in the words of a message.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// Returns `5 %` for 5.0 and `0.5 %` for 0.5, with as many decimals as the plan gives.
pub(crate) fn percent(percent: f64) -> String {
    format!("{percent} %")
}

/// Returns a duration, rounded down to the second (below one second to the millisecond): `7days`, `12h 30m`.
pub(crate) fn duration(duration: Duration) -> String {
    let rounded = if duration.as_secs() > 0 {
        Duration::from_secs(duration.as_secs())
    } else {
        Duration::from_millis(u64::from(duration.subsec_millis()))
    };
    humantime::format_duration(rounded).to_string()
}

/// Joins items: `a`, `a and b`, `a, b and c`; an empty string for an empty list.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Returns the time from `since` to `now`; zero if the clock went back.
pub(crate) fn elapsed(since: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (now - since).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_durations_and_lists_have_no_superfluous_parts() {
        assert_eq!(percent(5.0), "5 %");
        assert_eq!(percent(0.5), "0.5 %");
        assert_eq!(duration(Duration::from_millis(1_500)), "1s");
        assert_eq!(duration(Duration::from_millis(20)), "20ms");
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&items[..1]), "a");
        assert_eq!(list(&items), "a, b and c");
    }
}
