//! Recognition of times and of names of columns: which columns no test can compare.

/// Names of months and days, by their first three letters.
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The beginning of 2000 and of 2100, in seconds since 1970.
const CENTURY: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;

/// Returns whether `cell` is a date, a time of day, or both, in one of the usual notations.
///
/// - `2026-11-30`, `2026/11/30`, `30.11.2026`, `11/30/26`, `2026-11`
/// - followed or replaced by `10:15`, `10:15:00.123Z`, `10:15 pm`
/// - with a month in letters: `30 Nov 2026`, `Mon, 30 Nov 2026 10:15:00 GMT`
pub(crate) fn is_time(cell: &str) -> bool {
    let is_usual = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_alphabetic();
    if cell.len() < 4 || cell.len() > 48 || !cell.bytes().any(|byte| is_usual(&byte)) {
        return false;
    }
    let day = cell.split(['T', 't', ' ', ',']).next().unwrap_or_default();
    is_day(day) || is_clock(day) || has_month_name(cell)
}

/// Returns whether `word` is a day or a month in digits: `2026-11-30`, `30/11/2026`, `2026-11`.
fn is_day(word: &str) -> bool {
    let Some(mark) = word.chars().find(|c| matches!(c, '-' | '/' | '.')) else { return false };
    let parts: Vec<&str> = word.split(mark).collect();
    let is_digits = |part: &&str| {
        !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())
    };
    if !parts.iter().all(is_digits) {
        return false;
    }
    let is_small = |part: &str| part.len() <= 2 && (1..=31).contains(&part.parse().unwrap_or(0));
    let is_year = |part: &str| part.len() == 4 && (1900..2200).contains(&part.parse().unwrap_or(0));
    match parts.as_slice() {
        [a, b, c] if is_year(a) => is_small(b) && is_small(c),
        [a, b, c] if is_year(c) => is_small(a) && is_small(b),
        [a, b, c] if mark == '/' => is_small(a) && is_small(b) && c.len() == 2,
        [a, b] if mark == '-' => is_year(a) && b.len() == 2 && is_small(b),
        _ => false,
    }
}

/// Returns whether `word` is a time of day: `10:15`, `10:15:00.123Z`, `10:15pm`.
fn is_clock(word: &str) -> bool {
    let mut parts = word.splitn(3, ':');
    let is_number =
        |part: &str| (1..=2).contains(&part.len()) && part.parse::<u8>().is_ok_and(|n| n < 60);
    let (Some(hour), Some(minute)) = (parts.next(), parts.next()) else { return false };
    match parts.next() {
        None => {
            is_number(hour) && is_number(minute.trim_end_matches(|c: char| c.is_ascii_alphabetic()))
        }
        Some(second) => {
            is_number(hour) && is_number(minute) && second.get(..2).is_some_and(is_number)
        }
    }
}

/// Returns whether `cell` has a month in letters, a day and a year: `30 Nov 2026`.
fn has_month_name(cell: &str) -> bool {
    let words = cell.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let (mut month, mut day, mut year) = (false, false, false);
    for word in words.take(6) {
        let start = word.get(..3).map(str::to_ascii_lowercase);
        month |= start.is_some_and(|start| MONTHS.contains(&start.as_str()));
        let n: u32 = word.parse().unwrap_or(0);
        day |= word.len() <= 2 && (1..=31).contains(&n);
        year |= word.len() == 4 && (1900..2200).contains(&n);
    }
    month && day && year
}

/// Returns whether numbers from `low` to `high` in a column with this name can be times: seconds, milliseconds,
/// microseconds or nanoseconds since 1970, or days such as `20261130`.
///
/// A name that ends in a unit of time, such as `event_time_ms`, has times of this unit only: a `response_time_ns` of some
/// seconds is no time since 1970.
pub(crate) fn are_stamps(name: &str, low: f64, high: f64) -> bool {
    if let Some(unit) = unit_of(name) {
        return CENTURY.contains(&(low / unit)) && CENTURY.contains(&(high / unit));
    }
    let within = |unit: f64| CENTURY.contains(&(low / unit)) && CENTURY.contains(&(high / unit));
    let are_days =
        (19_000_101.0..21_001_232.0).contains(&low) && (19_000_101.0..21_001_232.0).contains(&high);
    are_days || [1.0, 1e3, 1e6, 1e9].into_iter().any(within)
}

/// Returns the parts of a second that the last word of `name` counts.
fn unit_of(name: &str) -> Option<f64> {
    let words = words(name);
    match words.last()?.as_str() {
        _ if words.len() < 2 => None,
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "ms" | "msec" | "millis" | "milliseconds" => Some(1e3),
        "us" | "µs" | "μs" | "usec" | "micros" | "microseconds" => Some(1e6),
        "ns" | "nsec" | "nanos" | "nanoseconds" => Some(1e9),
        _ => None,
    }
}

/// Returns whether a column with this name holds times. Durations are none.
pub(crate) fn names_a_time(name: &str) -> bool {
    let words = words(name);
    let has = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let is_response_time = words.windows(2).any(|pair| pair == ["response", "time"]);
    let is_duration = is_response_time || has(&["latency", "duration", "elapsed"]);
    !is_duration
        && has(&["at", "date", "datetime", "day", "time", "timestamp", "ts", "created", "updated"])
}

/// Returns whether a column with this name holds ids.
pub(crate) fn names_an_id(name: &str) -> bool {
    let known = ["id", "ids", "uuid", "guid", "hash"];
    words(name).iter().any(|word| known.contains(&word.as_str()))
}

/// Returns the words of `name` in lower case. `createdAt` and `created_at` have two words.
fn words(name: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut was_lower = false;
    for c in name.chars().chain(['_']) {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_recognized_in_the_usual_notations() {
        for cell in [
            "2026-11-30",
            "2026/11/30",
            "30.11.2026",
            "11/30/2026 10:15",
            "11/30/26",
            "2026-11",
            "2026-11-30T10:15:00.123Z",
            "2026-11-30 10:15:00+02:00",
            "10:15",
            "9:15pm",
            "10:15:00.5",
            "30 Nov 2026",
            "November 30, 2026",
            "Mon, 30 Nov 2026 10:15:00 GMT",
        ] {
            assert!(is_time(cell), "{cell}");
        }
        for cell in [
            "", "a", "1.2.3", "10.0.0.1", "12-34", "march", "web", "2.5", "v1.2", "555-1234",
            "1:a", "é:10",
        ] {
            assert!(!is_time(cell), "{cell}");
        }
        let are_stamps = |low, high| super::are_stamps("created_at", low, high);
        assert!(
            are_stamps(1.7e9, 1.8e9) && are_stamps(1.7e12, 1.8e12) && are_stamps(2.02e7, 2.02e7)
        );
        assert!(!are_stamps(1.0, 1.7e9) && !are_stamps(120.0, 900.0));
    }

    #[test]
    fn a_duration_is_no_time() {
        for name in ["response_time_ns", "responseTime", "latency_time", "duration", "elapsed_time"]
        {
            assert!(!names_a_time(name), "{name}");
        }
        // The unit of the name counts: 2e9 ns are two seconds, and 1.7e12 ms a time in 2023.
        for name in ["wait_time_ns", "wait_time_us", "waitTimeMs"] {
            assert!(names_a_time(name) && !are_stamps(name, 1e9, 4e9), "{name}");
        }
        assert!(names_a_time("event_time_ms") && are_stamps("event_time_ms", 1.7e12, 1.8e12));
        assert!(are_stamps("ts", 1.7e9, 1.8e9));
    }

    #[test]
    fn names_of_columns_are_read_by_word() {
        for name in ["id", "order_id", "orderId", "ID", "customer-uuid", "id_client"] {
            assert!(names_an_id(name), "{name}");
        }
        for name in ["paid", "width", "idle", "latency_ms", "identity"] {
            assert!(!names_an_id(name), "{name}");
        }
        assert!(
            names_a_time("created_at") && names_a_time("createdAt") && names_a_time("Timestamp")
        );
        assert!(!names_a_time("n_attempts") && !names_a_time("latency"));
    }
}
