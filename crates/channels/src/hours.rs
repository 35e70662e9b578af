//! The hours in which persons are there.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc, Weekday};
use chrono_tz::Tz;

/// The hours of a week in a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    zone: Tz,
    spans: Vec<Span>,
    /// Whether the bot answers outside these hours, too, and only hand-offs wait.
    pub bot_answers_outside: bool,
}

/// A span of minutes of some days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    days: [bool; 7],
    from: u32,
    to: u32,
}

impl Hours {
    /// Reads hours such as `mon-fri 09:00-18:00` in a time zone such as `Europe/Paris`. A span that ends before it begins goes
    /// on to the next day; `24:00` ends a day.
    ///
    /// # Errors
    /// The part that cannot be read, as a phrase that follows the key in a message.
    pub fn parse(zone: &str, spans: &[String], bot_answers_outside: bool) -> Result<Self, String> {
        let shown = |text: &str| botops_text::display(text, 40);
        let zone: Tz = zone.parse().map_err(|_| {
            format!(
                "names the unknown time zone `{}`: write one such as `Europe/Paris`",
                shown(zone)
            )
        })?;
        let read = |text: &String| {
            Span::parse(text).ok_or_else(|| {
                format!("has the unreadable hours `{}`: write `mon-fri 09:00-18:00`", shown(text))
            })
        };
        let spans: Vec<Span> = spans.iter().map(read).collect::<Result<_, _>>()?;
        match spans.is_empty() {
            true => Err("has no hours: write `open: [mon-fri 09:00-18:00]`".to_owned()),
            false => Ok(Self { zone, spans, bot_answers_outside }),
        }
    }

    /// Returns whether persons are there at `now`.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        let local = now.with_timezone(&self.zone);
        let (day, minute) = (local.weekday(), local.hour() * 60 + local.minute());
        self.spans.iter().any(|span| span.contains(day, minute))
    }
}

impl Span {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (days, times, None) = (words.next()?, words.next()?, words.next()) else { return None };
        let (from, to) = times.split_once('-')?;
        let (from, to) = (minute(from)?, minute(to)?);
        let mut set = [false; 7];
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (Weekday, Weekday) = (first.parse().ok()?, last.parse().ok()?);
            let mut day = first;
            set[day.num_days_from_monday() as usize] = true;
            while day != last {
                day = day.succ();
                set[day.num_days_from_monday() as usize] = true;
            }
        }
        (from != to && from < 24 * 60).then_some(Self { days: set, from, to })
    }

    fn contains(&self, day: Weekday, minute: u32) -> bool {
        let on = |day: Weekday| self.days[day.num_days_from_monday() as usize];
        match self.from < self.to {
            true => on(day) && (self.from..self.to).contains(&minute),
            false => (on(day) && minute >= self.from) || (on(day.pred()) && minute < self.to),
        }
    }
}

/// Reads `09:30` as minutes; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let is_plain = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(hours) || !is_plain(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_those_of_the_time_zone_in_summer_and_winter() {
        let hours =
            Hours::parse("Europe/Paris", &["mon-fri 09:00-18:00".to_owned()], true).unwrap();
        // A Monday in winter (UTC+1) and one in summer (UTC+2).
        assert!(!hours.is_open(at("2026-01-05T07:59:00Z")));
        assert!(hours.is_open(at("2026-01-05T08:00:00Z")));
        assert!(hours.is_open(at("2026-07-06T07:00:00Z")));
        assert!(!hours.is_open(at("2026-07-06T16:00:00Z")));
        assert!(!hours.is_open(at("2026-07-05T10:00:00Z")), "a Sunday");
    }

    #[test]
    fn a_night_goes_on_to_the_next_day() {
        let hours = Hours::parse("UTC", &["fri,sat 22:00-02:00".to_owned()], true).unwrap();
        assert!(hours.is_open(at("2026-01-02T23:00:00Z")), "Friday night");
        assert!(hours.is_open(at("2026-01-04T01:59:00Z")), "Sunday, after Saturday night");
        assert!(!hours.is_open(at("2026-01-05T01:00:00Z")), "Monday");
        assert!(!hours.is_open(at("2026-01-02T01:00:00Z")), "Friday, after Thursday night");
    }

    #[test]
    fn unreadable_hours_are_named() {
        for bad in
            ["mon 9:00-18:00", "mon-fri", "day 09:00-10:00", "mon 09:00-09:00", "mon 25:00-26:00"]
        {
            let problem = Hours::parse("UTC", &[bad.to_owned()], true).unwrap_err();
            assert!(problem.contains(bad), "{problem}");
        }
        assert!(Hours::parse("Paris", &["mon 09:00-10:00".to_owned()], true).is_err());
        assert!(Hours::parse("UTC", &[], true).is_err());
        Hours::parse("UTC", &["mon-sun 00:00-24:00".to_owned()], true).unwrap();
    }
}
