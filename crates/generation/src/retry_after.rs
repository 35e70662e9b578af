//! The header `Retry-After`: a number of seconds, or a date.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest wait that a server may ask for: one day.
const LONGEST: u64 = 86_400;

/// Returns the time to wait from `now`, at most one day; `None` if the value is neither a number nor a date.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that is too large for 64 bits is longer than a day, too.
        return Some(Duration::from_secs(value.parse().unwrap_or(LONGEST).min(LONGEST)));
    }
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(date(value)?))?;
    let wait = at.duration_since(now).unwrap_or_default();
    Some(wait.min(Duration::from_secs(LONGEST)))
}

/// Returns the seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7).
fn date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let time: Vec<u64> = parts.next()?.split(':').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = time[..] else { return None };
    let is_date = parts.next() == Some("GMT")
        && (1970..=9999).contains(&year)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !is_date {
        return None;
    }
    // Days from the civil calendar, with years that begin in March: Howard Hinnant, "chrono-Compatible Low-Level Date
    // Algorithms", 2021.
    let years = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (years / 400, years % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    let days = (era * 146_097 + of_era).checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[test]
fn seconds_and_dates_are_read_and_other_text_is_not() {
    // Python 3.13: email.utils.parsedate_to_datetime("Sun, 06 Nov 1994 08:49:37 GMT").timestamp() == 784111777
    assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
    assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    assert_eq!(date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
    let now = UNIX_EPOCH + Duration::from_secs(784_111_770);
    let after = |value: &str| retry_after(value, now).map(|wait| wait.as_secs());
    assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
    assert_eq!(after("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0));
    assert_eq!((after(" 12 "), after("99999999999999999999999")), (Some(12), Some(LONGEST)));
    for text in
        ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 40 Nov 1994 08:49:37 GMT"]
    {
        assert_eq!(after(text), None, "{text}");
    }
}
