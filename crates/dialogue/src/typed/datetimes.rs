//! Moments: a day with its time, a number of hours from the message, or a time that comes next.

use super::{
    calendar_words::Unit,
    context::Context,
    date_hit::{DateHit, Grain},
    dates::{DateRules, date_at},
    relative_dates::distance_at,
    times::{TimeHit, bare_hour_at, time_at},
    tokens::Tokens,
};
use crate::entity_spec::Prefer;
use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, TimeDelta, Timelike};
use chrono_tz::Tz;

/// A moment in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MomentHit {
    /// The first token.
    pub(crate) start: usize,
    /// One past the last token.
    pub(crate) end: usize,
    pub(crate) moment: DateTime<FixedOffset>,
}

impl MomentHit {
    fn of(start: usize, end: usize, moment: DateTime<Tz>) -> Option<Self> {
        let moment = moment.fixed_offset();
        (1..=9999).contains(&moment.year()).then_some(Self { start, end, moment })
    }
}

/// Words between a day and its time: `Friday at 9`, `demain à 20h`.
const BETWEEN: [&str; 12] = [
    "at", "a", "vers", "around", "about", "by", "before", "avant", "des", "from", "after", "apres",
];

/// Returns the moment that starts at `at`.
pub(crate) fn moment_at(
    t: &Tokens<'_>,
    at: usize,
    c: &Context,
    rules: DateRules,
) -> Option<MomentHit> {
    iso(t, at, c)
        .or_else(|| day_then_time(t, at, c, rules))
        .or_else(|| time_then_day(t, at, c, rules))
        .or_else(|| from_message(t, at, c))
        .or_else(|| next_time(t, at, c, rules))
}

/// Returns a moment such as `2026-10-31T09:00:00+01:00`; without an offset it is on the clock of the dialogue.
fn iso(t: &Tokens<'_>, at: usize, c: &Context) -> Option<MomentHit> {
    let date = iso_date(t, at)?;
    let next = at + 5;
    let (hour_at, joined) = match t.word(next) {
        "t" => (next + 1, t.joined(next) && t.joined(next + 1)),
        _ => (next, !t.joined(next)),
    };
    let hour = t.number(hour_at, 2, 2).filter(|_| joined)?;
    let part = |at: usize| {
        let is_part = t.is_mark(at, ':') && t.joined(at) && t.joined(at + 1);
        t.number(at + 1, 2, 2).filter(|_| is_part)
    };
    let minute = part(hour_at + 1)?;
    let (second, mut end) = match part(hour_at + 3) {
        Some(second) => (second, hour_at + 5),
        None => (0, hour_at + 3),
    };
    // Fractions of a second are read and left out.
    if t.is_mark(end, '.') && t.joined(end) && t.joined(end + 1) && t.digits(end + 1).is_some() {
        end += 2;
    }
    let local = date.and_time(NaiveTime::from_hms_opt(hour, minute, second)?);
    let sign = match t.mark(end).filter(|_| t.joined(end) && t.joined(end + 1)) {
        Some('+') => 1,
        Some('-') => -1,
        _ if t.is(end, &["z"]) && t.joined(end) => {
            let moment = local.and_utc().with_timezone(&c.zone);
            return MomentHit::of(at, end + 1, moment);
        }
        _ => return t.closes(end).then(|| MomentHit::of(at, end, c.moment_of(local)?))?,
    };
    let hours = i32::try_from(t.number(end + 1, 2, 2)?).ok()?;
    let minutes = i32::try_from(part(end + 2)?).ok()?;
    let offset = FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))?;
    let moment = local.and_local_timezone(offset).single()?;
    MomentHit::of(at, end + 4, moment.with_timezone(&c.zone))
}

fn iso_date(t: &Tokens<'_>, at: usize) -> Option<NaiveDate> {
    let year = t.number(at, 4, 4).filter(|_| t.opens(at))?;
    let hyphens = [at + 1, at + 3].iter().all(|at| t.is_mark(*at, '-') && t.joined(*at));
    if !(hyphens && t.joined(at + 2) && t.joined(at + 4)) {
        return None;
    }
    let (month, day) = (t.number(at + 2, 2, 2)?, t.number(at + 4, 2, 2)?);
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)
}

/// Returns the moment of `time` on the day of `date`: `tonight at 8` is 20:00.
fn joined(date: &DateHit, time: &TimeHit, c: &Context) -> Option<DateTime<Tz>> {
    let evening = date.evening && time.is_open && (1..12).contains(&time.time.hour());
    let clock = if evening { time.time + TimeDelta::hours(12) } else { time.time };
    // `tonight at midnight` is the end of the day.
    let day = match date.evening && clock == NaiveTime::MIN {
        true => date.date.succ_opt()?,
        false => date.date,
    };
    c.moment_of(day.and_time(clock))
}

/// Returns a day with its time: `tomorrow at 9`, `vendredi 6 mai à 20h30`, `31/10 14:00`.
fn day_then_time(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<MomentHit> {
    let date = date_at(t, at, c, rules).filter(|date| date.grain == Grain::Day)?;
    let mut next = date.end + usize::from(t.is_mark(date.end, ','));
    let word = t.is(next, &BETWEEN);
    let bare = t.is(next, &["at"]);
    next += usize::from(word);
    next += usize::from(word && t.is(next, &["around", "about"]));
    let time = time_at(t, next, c).or_else(|| bare_hour_at(t, next, c).filter(|_| bare))?;
    MomentHit::of(date.start, time.end, joined(&date, &time, c)?)
}

/// Returns a time with its day: `9 am tomorrow`, `à 20h demain`, `20:30 le 6 mai`.
fn time_then_day(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<MomentHit> {
    let word = usize::from(t.is(at, &["at", "a"]));
    let bare = word == 1 && t.is(at, &["at"]);
    let start = at + word;
    let time = time_at(t, start, c).or_else(|| bare_hour_at(t, start, c).filter(|_| bare))?;
    let mut next = time.end + usize::from(t.is_mark(time.end, ','));
    next += usize::from(
        t.is(next, &["on", "le", "the", "this"]) && date_at(t, next, c, rules).is_none(),
    );
    let date = date_at(t, next, c, rules).filter(|date| date.grain == Grain::Day)?;
    MomentHit::of(at, date.end, joined(&date, &time, c)?)
}

/// Returns a moment that is hours or minutes from the message: `in 3 hours`, `il y a 20 minutes`, `now`.
fn from_message(t: &Tokens<'_>, at: usize, c: &Context) -> Option<MomentHit> {
    let now = c.at.with_timezone(&c.zone);
    match t.word(at) {
        "now" | "maintenant" => return MomentHit::of(at, at + 1, now),
        "right" if t.is(at + 1, &["now"]) => return MomentHit::of(at, at + 2, now),
        _ => {}
    }
    if let Some((end, minutes)) = half_hour(t, at) {
        return MomentHit::of(at, end, now.checked_add_signed(TimeDelta::minutes(minutes))?);
    }
    let distance = distance_at(t, at, c)?;
    let moved = match distance.unit {
        Unit::Minute => TimeDelta::try_minutes(distance.n)?,
        Unit::Hour => TimeDelta::try_hours(distance.n)?,
        _ => return None,
    };
    MomentHit::of(at, distance.end, now.checked_add_signed(moved)?)
}

/// Returns `in half an hour`, `dans une demi-heure`, `half an hour ago`: one past the last token, and its minutes.
fn half_hour(t: &Tokens<'_>, at: usize) -> Option<(usize, i64)> {
    let words = |at: usize, words: &[&str]| -> bool {
        words.iter().enumerate().all(|(i, word)| t.word(at + i) == *word)
    };
    let french = |at: usize| {
        (words(at, &["une", "demi"]) && t.is_mark(at + 2, '-') && t.is(at + 3, &["heure"]))
            .then_some(at + 4)
            .or_else(|| words(at, &["une", "demi", "heure"]).then_some(at + 3))
    };
    match t.word(at) {
        "in" if words(at, &["in", "half", "an", "hour"]) => Some((at + 4, 30)),
        "half" if words(at, &["half", "an", "hour", "ago"]) => Some((at + 4, -30)),
        "dans" => Some((french(at + 1)?, 30)),
        "il" if words(at, &["il", "y", "a"]) => Some((french(at + 3)?, -30)),
        _ => None,
    }
}

/// Returns the next moment at which the clock shows a time after `at` or `à`; the last one if the past is preferred.
fn next_time(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<MomentHit> {
    if !t.is(at, &["at", "a"]) {
        return None;
    }
    let time = time_at(t, at + 1, c)?;
    let today = c.today();
    let day = match rules.prefer {
        Prefer::Past if time.time > c.now.time() => today.checked_sub_days(Days::new(1))?,
        Prefer::Past => today,
        Prefer::Nearest | Prefer::Future if time.time <= c.now.time() => today.succ_opt()?,
        Prefer::Nearest | Prefer::Future => today,
    };
    MomentHit::of(at, time.end, c.moment_of(day.and_time(time.time))?)
}
