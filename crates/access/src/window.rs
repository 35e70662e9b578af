//! Promotion windows: days and times of a zone, such as `Mon-Fri 09:00-16:00 Europe/Warsaw`.
//!
//! A window is a set of wall-clock times. When the clocks go back, an hour that occurs twice is in the window both times;
//! when they go forward, a time that does not occur is never in it.

use botops_findings::{Fault, Result};
use chrono::{
    DateTime, Datelike as _, Days, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _,
    Timelike as _, Utc, Weekday,
};
use chrono_tz::Tz;
use std::fmt;

/// The minutes of a day, and the end of a window that is written `24:00`.
const DAY: u32 = 24 * 60;

/// How far ahead the next opening is searched: a window may miss one week, in which its time does not occur.
const HORIZON: TimeDelta = TimeDelta::days(15);

/// The names of the days, from Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Days and times of a zone. Its text is `Mon-Fri 09:00-16:00 Europe/Warsaw`.
///
/// - a window whose end is not after its start goes past midnight, and belongs to the day on which it starts
/// - the start belongs to the window, and the end does not; `24:00` is the end of the day
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whether the window starts on the day, from Monday.
    days: [bool; 7],
    /// The start in minutes, below 1,440.
    from: u32,
    /// The end in minutes, from 1 to 1,440; never equal to `from`.
    to: u32,
    zone: Tz,
}

impl Window {
    /// Parses a window.
    ///
    /// # Errors
    /// `BOT-1064` (exit 2) not days, times and a zone; an unknown day or zone, with the nearest; an empty window.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = |problem: String| {
            let shown = botops_text::display(text, 80);
            Fault::usage("BOT-1064", format!("`{shown}` is not a promotion window: {problem}"))
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let &[days, times, zone] = parts.as_slice() else {
            return Err(invalid(format!("expected 3 parts, found {}", parts.len())).hint(
                "write days, times and a time zone, such as `Mon-Fri 09:00-16:00 Europe/Warsaw`",
            ));
        };
        let days = parse_days(days).map_err(|problem| {
            invalid(problem)
                .hint(format!("write days as `Mon-Fri` or `Mon,Wed`, of {}", DAYS.join(", ")))
        })?;
        let (from, to) = parse_times(times).map_err(|problem| {
            invalid(problem).hint("write times of 24 hours, such as `09:00-16:00` or `22:00-02:00`")
        })?;
        let zone = zone.parse().map_err(|_| {
            let known = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let fault = invalid(format!("unknown time zone `{}`", botops_text::display(zone, 40)));
            match botops_spec::nearest(zone, known) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault
                    .hint("write a zone of the IANA database, such as `Europe/Warsaw` or `UTC`"),
            }
        })?;
        Ok(Self { days, from, to, zone })
    }

    /// Returns whether the window is open at `at`.
    #[must_use]
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.local(at).is_some_and(|local| self.holds(local))
    }

    /// Returns the wall-clock time at `at`; `None` at the ends of the calendar.
    fn local(&self, at: DateTime<Utc>) -> Option<NaiveDateTime> {
        let utc = at.naive_utc();
        utc.checked_add_offset(self.zone.offset_from_utc_datetime(&utc).fix())
    }

    /// Returns whether the wall-clock time `local` is in the window.
    fn holds(&self, local: NaiveDateTime) -> bool {
        let minute = local.hour() * 60 + local.minute();
        let day = local.weekday();
        if self.from < self.to {
            return self.starts_on(day) && (self.from..self.to).contains(&minute);
        }
        (self.starts_on(day) && minute >= self.from)
            || (self.starts_on(day.pred()) && minute < self.to)
    }

    fn starts_on(&self, day: Weekday) -> bool {
        self.days[day.num_days_from_monday() as usize]
    }

    /// Returns the first time from `at` on at which the window is open: `at` itself if it is open then.
    ///
    /// `None` only at the end of the calendar.
    #[must_use]
    pub fn next_opening(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.is_open(at) {
            return Some(at);
        }
        let local = self.local(at)?;
        let opening = at.checked_add_signed(self.next_start(local)? - local)?;
        let offset = |at: DateTime<Utc>| self.zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        if offset(at) == offset(opening) {
            return Some(opening);
        }
        // The clocks change in between: they may skip the start, or go back into the window.
        let into = TimeDelta::seconds(i64::from(at.second()))
            + TimeDelta::nanoseconds(i64::from(at.nanosecond()));
        let mut minute = at.checked_sub_signed(into)?;
        let last = at.checked_add_signed(HORIZON)?;
        while minute < last {
            minute += TimeDelta::minutes(1);
            if self.is_open(minute) {
                return Some(minute);
            }
        }
        None
    }

    /// Returns the first start after `local`, as if the clocks never changed.
    fn next_start(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let time = NaiveTime::from_hms_opt(self.from / 60, self.from % 60, 0)?;
        let dates = (0..=7).filter_map(|days| local.date().checked_add_days(Days::new(days)));
        dates
            .filter(|date| self.starts_on(date.weekday()))
            .map(|date| date.and_time(time))
            .find(|start| *start > local)
    }

    /// Renders `at` in the zone of the window, such as `2026-11-30 09:00 Europe/Warsaw`.
    #[must_use]
    pub fn shown(&self, at: DateTime<Utc>) -> String {
        format!("{} {}", at.with_timezone(&self.zone).format("%Y-%m-%d %H:%M"), self.zone.name())
    }
}

/// Returns whether one of `windows` is open at `at`. Without windows, every time is open.
#[must_use]
pub fn is_open(windows: &[Window], at: DateTime<Utc>) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.is_open(at))
}

/// Returns the first time from `at` on at which one of `windows` is open, with that window; `None` without windows.
#[must_use]
pub fn next_opening(windows: &[Window], at: DateTime<Utc>) -> Option<(DateTime<Utc>, &Window)> {
    let openings = windows.iter().filter_map(|window| Some((window.next_opening(at)?, window)));
    openings.min_by_key(|(opening, _)| *opening)
}

fn parse_days(text: &str) -> Result<[bool; 7], String> {
    let index = |name: &str| {
        DAYS.iter()
            .position(|day| day.eq_ignore_ascii_case(name))
            .ok_or_else(|| format!("unknown day `{}`", botops_text::display(name, 20)))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        // `Fri-Mon` goes past the end of the week.
        let n = (last + 7 - first) % 7;
        (first..=first + n).for_each(|day| days[day % 7] = true);
    }
    Ok(days)
}

fn parse_times(text: &str) -> Result<(u32, u32), String> {
    let minutes = |text: &str| {
        let invalid = || format!("`{}` is not a time", botops_text::display(text, 20));
        let (hours, minutes) = text.split_once(':').ok_or_else(invalid)?;
        let number = |digits: &str, most: u32| {
            let fits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|number| fits && *number <= most).ok_or_else(invalid)
        };
        let total = number(hours, 24)? * 60 + number(minutes, 59)?;
        if total > DAY { Err(invalid()) } else { Ok(total) }
    };
    let (from, to) = text.split_once('-').ok_or_else(|| "the times have no end".to_owned())?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    match (from, to) {
        (DAY, _) => Err("a window cannot start at `24:00`".to_owned()),
        (_, 0) => Err("the end of the day is written `24:00`".to_owned()),
        _ if from == to => Err("it starts when it ends".to_owned()),
        _ => Ok((from, to)),
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let days = days_text(&self.days);
        write!(f, "{days} {}-{} {}", time(self.from), time(self.to), self.zone.name())
    }
}

/// Renders days: three or more in a row as a range, the others one by one.
fn days_text(days: &[bool; 7]) -> String {
    let mut parts = Vec::new();
    let mut day = 0;
    while day < 7 {
        let run = days[day..].iter().take_while(|held| **held).count();
        match run {
            0 => {}
            1 | 2 => parts.extend(DAYS[day..day + run].iter().map(|name| (*name).to_owned())),
            _ => parts.push(format!("{}-{}", DAYS[day], DAYS[day + run - 1])),
        }
        day += run.max(1);
    }
    parts.join(",")
}

#[cfg(test)]
mod tests;
