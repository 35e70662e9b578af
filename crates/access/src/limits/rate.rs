//! A rate, as `botops.yaml` writes it.

use botops_findings::{Fault, Result};
use governor::Quota;
use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

/// The largest count and burst: beyond a million requests, a limit limits nothing.
const LARGEST: u32 = 1_000_000;

/// A number of requests in a time, and how many may come at once.
///
/// - written `50/s`, `300/m` or `1000/h`; the burst is the count, unless `50/s burst 200` names another
/// - count and burst are between 1 and a million
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    unit: Unit,
    burst: NonZeroU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    fn letter(self) -> char {
        match self {
            Self::Second => 's',
            Self::Minute => 'm',
            Self::Hour => 'h',
        }
    }

    fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }
}

impl Rate {
    /// Makes the rate of `count` requests a second, all of which may come at once; a count of 0 is read as 1.
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        let count = NonZeroU32::new(count.min(LARGEST)).unwrap_or(NonZeroU32::MIN);
        Self { count, unit: Unit::Second, burst: count }
    }

    /// Gives the rate another burst; 0 is read as 1.
    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst.min(LARGEST)).unwrap_or(NonZeroU32::MIN);
        Self { burst, ..self }
    }

    /// Returns the number of requests that may come at once.
    #[must_use]
    pub fn at_once(&self) -> u32 {
        self.burst.get()
    }

    /// Returns the time after which one more request may come.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.unit.seconds().into()) / self.count.get()
    }

    /// Returns the time in which the whole burst comes back, in whole seconds, at least 1.
    #[must_use]
    pub fn window_seconds(&self) -> u64 {
        let (seconds, count) = (u64::from(self.unit.seconds()), u64::from(self.count.get()));
        (seconds * u64::from(self.burst.get())).div_ceil(count).max(1)
    }

    pub(super) fn quota(&self) -> Quota {
        Quota::with_period(self.interval())
            .expect("a million requests a second leave a microsecond for each")
            .allow_burst(self.burst)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.letter())?;
        if self.burst != self.count {
            write!(f, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

impl FromStr for Rate {
    type Err = Fault;

    /// # Errors
    /// `BOT-1093` (exit 2) if it is not a rate.
    fn from_str(text: &str) -> Result<Self> {
        let fault = || {
            let shown = botops_text::display(text, 40);
            Fault::usage("BOT-1093", format!("`{shown}` is not a rate"))
                .hint("write a count and a time, such as `20/s`, `300/m` or `50/s burst 200`; both numbers are between 1 and 1,000,000")
        };
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|number| digits && *number <= LARGEST);
            number.and_then(NonZeroU32::new).ok_or_else(fault)
        };
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|word| word.split_once('/')).ok_or_else(fault)?;
        let unit = match unit {
            "s" => Unit::Second,
            "m" => Unit::Minute,
            "h" => Unit::Hour,
            _ => return Err(fault()),
        };
        let count = number(count)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, None, None) => count,
            (Some("burst"), Some(burst), None) => number(burst)?,
            _ => return Err(fault()),
        };
        Ok(Self { count, unit, burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, interval, at_once, window) in [
            ("50/s", Duration::from_millis(20), 50, 1),
            ("50/s burst 200", Duration::from_millis(20), 200, 4),
            ("300/m", Duration::from_millis(200), 300, 60),
            ("1/h", Duration::from_secs(3600), 1, 3600),
            ("1000000/s burst 1", Duration::from_micros(1), 1, 1),
            ("2/s burst 3", Duration::from_millis(500), 3, 2),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), text);
            assert_eq!((rate.interval(), rate.at_once()), (interval, at_once), "{text}");
            assert_eq!(rate.window_seconds(), window, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_rate() {
        for text in [
            "",
            "50",
            "50/",
            "/s",
            "0/s",
            "-1/s",
            "+1/s",
            "1.5/s",
            "1000001/s",
            "50/S",
            "50/sec",
            "50/s burst",
            "50/s burst 0",
            "50/s burst 1 2",
            "50/s 200",
            "50 /s",
            "99999999999/s",
        ] {
            let fault = text.parse::<Rate>().unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1093", 2), "{text}");
        }
    }
}
