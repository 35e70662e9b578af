//! Schedules of runs: every day or week at a time of a zone, and the instant of the next one, across daylight saving.

use botops_findings::{Fault, Place, Result};
use botops_spec::nearest;
use chrono::{
    DateTime, Datelike as _, Days, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone as _,
    Utc, Weekday,
};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

/// A run this long before its time counts as the run of that time: machines start jobs a little early.
const EARLY: TimeDelta = TimeDelta::minutes(15);
/// How late a run may be where nobody says otherwise.
const GRACE: TimeDelta = TimeDelta::hours(2);
/// The longest time that a clock is put forward.
const LONGEST_GAP: i64 = 26 * 60;

/// How often a schedule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// Each day.
    Day,
    /// Each week, on one day.
    Week,
}

/// A schedule as it is written: the block `schedule:` of a pipeline.
///
/// It starts nothing: cron or CI does. It says when runs are due, so that a missed one is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// How often: `day` or `week`.
    pub every: Every,
    /// The day of the week, such as `monday`; only and always with `every: week`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The time of the day, such as `"06:00"`.
    pub at: String,
    /// The time zone, such as `Europe/Paris`; default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How late a run may be, in minutes; default: 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_minutes: Option<u32>,
}

/// A schedule, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    on: Option<Weekday>,
    at: NaiveTime,
    zone: Tz,
    grace: TimeDelta,
}

impl ScheduleSpec {
    /// Checks the schedule.
    ///
    /// # Errors
    /// `BOT-6256` (exit 2) with the key: a day, a time or a zone that does not exist, with the nearest name of a zone; a
    /// day without `every: week`, or none with it.
    pub fn check(&self) -> Result<Schedule> {
        let on = match (self.every, &self.on) {
            (Every::Day, None) => None,
            (Every::Day, Some(_)) => {
                return Err(wrong("on", "`on` needs `every: week`").hint("remove `on`"));
            }
            (Every::Week, None) => {
                return Err(wrong("on", "`every: week` needs the day").hint("write `on: monday`"));
            }
            (Every::Week, Some(day)) => Some(weekday(day)?),
        };
        let at = NaiveTime::parse_from_str(&self.at, "%H:%M").map_err(|error| {
            let shown = botops_text::display(&self.at, 20);
            wrong("at", format!("`{shown}` is not a time of the day"))
                .hint("write `at: \"06:00\"`")
                .caused_by(error)
        })?;
        let zone = self.zone.as_deref().map_or(Ok(Tz::UTC), zone)?;
        let grace = self.grace_minutes.map_or(GRACE, |n| TimeDelta::minutes(i64::from(n)));
        Ok(Schedule { on, at, zone, grace })
    }
}

fn wrong(key: &str, message: impl Into<String>) -> Fault {
    let place = Place { key: Some(format!("schedule.{key}")), ..Place::default() };
    Fault::usage("BOT-6256", message).at(place)
}

fn weekday(name: &str) -> Result<Weekday> {
    name.trim().parse().map_err(|_| {
        let shown = botops_text::display(name, 20);
        wrong("on", format!("`{shown}` is not a day of the week")).hint("write `on: monday`")
    })
}

fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        let shown = botops_text::display(name, 40);
        let fault = wrong("zone", format!("`{shown}` is not a time zone"));
        let names = TZ_VARIANTS.iter().map(|zone| zone.name());
        match nearest(name, names) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => {
                fault.hint("write a name of the IANA time zones, such as `Europe/Paris` or `UTC`")
            }
        }
    })
}

impl Schedule {
    /// Returns the first instant after `after` at which a run is due. A run up to 15 minutes early is that of its time.
    ///
    /// A time that a clock skips in spring is due when the clock goes on; one that comes twice in autumn, the first time.
    #[must_use]
    pub fn next_due(&self, after: DateTime<Utc>) -> DateTime<Utc> {
        let after = after + EARLY;
        let today = after.with_timezone(&self.zone).date_naive();
        // A skipped time may belong to the day before.
        let first = today.pred_opt().unwrap_or(today);
        (0..=10)
            .filter_map(|n| first.checked_add_days(Days::new(n)))
            .filter(|date| self.on.is_none_or(|day| date.weekday() == day))
            .filter_map(|date| self.instant(date))
            .find(|due| *due > after)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// Returns the instant from which a run that was due at `due` is overdue.
    #[must_use]
    pub fn overdue_at(&self, due: DateTime<Utc>) -> DateTime<Utc> {
        due.checked_add_signed(self.grace).unwrap_or(due)
    }

    /// Returns the instant of the time of this schedule on `date`.
    fn instant(&self, date: NaiveDate) -> Option<DateTime<Utc>> {
        let local = date.and_time(self.at);
        (0..=LONGEST_GAP).find_map(|minutes| {
            match self.zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))) {
                LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at.to_utc()),
                LocalResult::None => None,
            }
        })
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.on {
            Some(day) => write!(f, "{day} {} {}", self.at.format("%H:%M"), self.zone),
            None => write!(f, "daily {} {}", self.at.format("%H:%M"), self.zone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(every: Every, on: Option<&str>, at: &str, zone: &str) -> ScheduleSpec {
        let on = on.map(str::to_owned);
        ScheduleSpec { every, on, at: at.into(), zone: Some(zone.into()), grace_minutes: None }
    }

    fn due(spec: &ScheduleSpec, after: &str) -> String {
        let due = spec.check().unwrap().next_due(after.parse().unwrap());
        due.format("%a %Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn a_weekly_run_keeps_its_local_time_when_the_clocks_change() {
        let weekly = spec(Every::Week, Some("monday"), "06:00", "Europe/Paris");
        // Clocks go forward on 2026-03-29 and back on 2026-10-25.
        assert_eq!(due(&weekly, "2026-03-23T05:03:00Z"), "Mon 2026-03-30 04:00");
        assert_eq!(due(&weekly, "2026-03-20T12:00:00Z"), "Mon 2026-03-23 05:00");
        assert_eq!(due(&weekly, "2026-10-19T04:10:00Z"), "Mon 2026-10-26 05:00");
        // Ten minutes early is the run of that time; an hour early is not.
        assert_eq!(due(&weekly, "2026-03-23T04:50:00Z"), "Mon 2026-03-30 04:00");
        assert_eq!(due(&weekly, "2026-03-23T04:00:00Z"), "Mon 2026-03-23 05:00");
    }

    #[test]
    fn a_time_that_is_skipped_or_comes_twice_is_due_once() {
        let daily = spec(Every::Day, None, "02:30", "Europe/Paris");
        // 02:30 does not exist on 2026-03-29: the clock goes from 02:00 to 03:00, which is 01:00 UTC.
        assert_eq!(due(&daily, "2026-03-28T12:00:00Z"), "Sun 2026-03-29 01:00");
        assert_eq!(due(&daily, "2026-03-29T01:00:00Z"), "Mon 2026-03-30 00:30");
        // 02:30 comes twice on 2026-10-25: the first is 00:30 UTC.
        assert_eq!(due(&daily, "2026-10-24T12:00:00Z"), "Sun 2026-10-25 00:30");
        assert_eq!(due(&daily, "2026-10-25T00:30:00Z"), "Mon 2026-10-26 01:30");
        // New York changes on another day, at another hour.
        let there = spec(Every::Day, None, "02:30", "America/New_York");
        assert_eq!(due(&there, "2026-03-07T12:00:00Z"), "Sun 2026-03-08 07:00");
        // Samoa skipped the whole of 2011-12-30.
        let samoa = spec(Every::Day, None, "06:00", "Pacific/Apia");
        assert_eq!(due(&samoa, "2011-12-29T17:00:00Z"), "Fri 2011-12-30 10:00");
    }

    #[test]
    fn a_schedule_that_cannot_be_is_refused_with_its_key() {
        let of = |spec: &ScheduleSpec| {
            let fault = spec.check().unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-6256", 2));
            (fault.place().key.clone().unwrap(), fault.hints().join(" "))
        };
        let (key, hint) = of(&spec(Every::Day, None, "06:00", "Europe/Pariss"));
        assert_eq!((key.as_str(), hint.contains("Europe/Paris`")), ("schedule.zone", true));
        assert_eq!(of(&spec(Every::Day, None, "06:00", "CEST")).0, "schedule.zone");
        assert_eq!(of(&spec(Every::Day, None, "24:10", "UTC")).0, "schedule.at");
        assert_eq!(of(&spec(Every::Day, Some("monday"), "06:00", "UTC")).0, "schedule.on");
        assert_eq!(of(&spec(Every::Week, None, "06:00", "UTC")).0, "schedule.on");
        assert_eq!(of(&spec(Every::Week, Some("mondy"), "06:00", "UTC")).0, "schedule.on");
    }
}
