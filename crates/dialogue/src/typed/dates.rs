//! Days written with numbers, names of months and names of days: `31/10`, `1er mai`, `Friday 6 May 2027`.

use super::{
    calendar_words::{clear_month, month, weekday, weekday_before_day},
    context::{Context, Words},
    date_hit::{DateHit, Grain},
    relative_dates::{self, Direction, coming, direction_after, direction_before},
    tokens::Tokens,
};
use crate::entity_spec::{DateOrder, Prefer};
use chrono::{Datelike, NaiveDate, Weekday};
use std::cmp::Reverse;

/// The conventions of a date entity.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DateRules {
    /// The order of day and month, if it is declared.
    pub(crate) order: Option<DateOrder>,
    /// The choice among several years or weeks.
    pub(crate) prefer: Prefer,
    /// Whether only days of the calendar and of the week are found.
    pub(crate) absolute: bool,
}

/// Returns the date that starts at `at`, the longest one.
pub(crate) fn date_at(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    let relative = if rules.absolute { None } else { relative_dates::at(t, at, c) };
    let found = if t.digits(at).is_some() {
        [
            in_numbers(t, at, c, rules),
            day_then_month(t, at, c, rules, None),
            relative,
            day_alone(t, at, c, rules),
            year_alone(t, at),
        ]
    } else if t.is_word(at) {
        [
            after_weekday(t, at, c, rules),
            month_first(t, at, c, rules),
            relative,
            ordinal_alone(t, at, c, rules),
            None,
        ]
    } else {
        return None;
    };
    // The first of the longest.
    found.into_iter().flatten().min_by_key(|hit| Reverse(hit.end))
}

/// Returns a date such as `2026-10-31`, `31/10/2026`, `31.10.26` or `31/10`.
fn in_numbers(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    if !t.opens(at) {
        return None;
    }
    let separator = t.mark(at + 1).filter(|mark| matches!(mark, '/' | '.' | '-'))?;
    if !(t.joined(at + 1) && t.joined(at + 2)) {
        return None;
    }
    let third = t.is_mark(at + 3, separator) && t.joined(at + 3) && t.joined(at + 4);
    let third = third && t.digits(at + 4).is_some();
    if let (Some(year), true) = (t.number(at, 4, 4), third) {
        let (month, day) = (t.number(at + 2, 1, 2)?, t.number(at + 4, 1, 2)?);
        let closes = t.closes(at + 5) || t.word(at + 5) == "t";
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        return closes.then(|| DateHit::day(at, at + 5, date))?;
    }
    let (first, second) = (t.number(at, 1, 2)?, t.number(at + 2, 1, 2)?);
    let pairs = match c.date_order(rules.order) {
        DateOrder::DayFirst => [(first, second), (second, first)],
        DateOrder::MonthFirst => [(second, first), (first, second)],
    };
    if third {
        let year = match t.number(at + 4, 4, 4) {
            Some(year) => i32::try_from(year).ok()?,
            None => century(t.number(at + 4, 2, 2)?, c.today().year())?,
        };
        let mut dates =
            pairs.into_iter().filter_map(|(day, month)| NaiveDate::from_ymd_opt(year, month, day));
        let date = dates.next()?;
        return t.closes(at + 5).then(|| DateHit::day(at, at + 5, date))?;
    }
    // `7.2` and `3-4` are other things more often than dates, and 24/7 and 7/7 mean always.
    let is_other = separator != '/' || matches!((first, second), (24 | 7, 7));
    if is_other || !t.closes(at + 3) || t.is_mark(at + 3, '€') || t.is_mark(at + 3, '%') {
        return None;
    }
    let mut dates =
        pairs.into_iter().filter_map(|(day, month)| nearest_year(day, month, None, c, rules));
    DateHit::day(at, at + 3, dates.next()?)
}

/// Returns the year of two digits that is at most 79 years before and 20 years after `now`.
fn century(two_digits: u32, now: i32) -> Option<i32> {
    let year = now - now.rem_euclid(100) + i32::try_from(two_digits).ok()?;
    [year - 100, year, year + 100].into_iter().find(|year| (now - 79..=now + 20).contains(year))
}

/// Returns the day and month in the year that `rules` prefer; with a day of the week, in a year in which they agree, if one
/// of the nearest five is such a year.
fn nearest_year(
    day: u32,
    month: u32,
    weekday: Option<Weekday>,
    c: &Context,
    rules: DateRules,
) -> Option<NaiveDate> {
    let today = c.today();
    // Eight years hold a 29 February, also around a year such as 2100 that has none.
    let candidates: Vec<NaiveDate> = (-8..=8)
        .filter_map(|years| NaiveDate::from_ymd_opt(today.year() + years, month, day))
        .collect();
    let near = |date: &&NaiveDate| (date.year() - today.year()).abs() <= 2;
    let agree: Vec<NaiveDate> = candidates
        .iter()
        .filter(near)
        .copied()
        .filter(|date| weekday.is_some_and(|weekday| date.weekday() == weekday))
        .collect();
    preferred(if agree.is_empty() { &candidates } else { &agree }, today, rules.prefer)
}

/// Returns the date that is nearest to `today` on the preferred side, else on the other one; of two that are as near, the
/// later one.
fn preferred(dates: &[NaiveDate], today: NaiveDate, prefer: Prefer) -> Option<NaiveDate> {
    dates.iter().copied().min_by_key(|date| {
        let days = (*date - today).num_days();
        let other_side = match prefer {
            Prefer::Nearest => false,
            Prefer::Future => days < 0,
            Prefer::Past => days > 0,
        };
        (other_side, days.abs(), Reverse(days))
    })
}

/// Returns the day of the month at `at`, such as `1er`, `31st` or `6`, and one past its last token.
fn day_of_month(t: &Tokens<'_>, at: usize) -> Option<(u32, usize)> {
    let day = t.number(at, 1, 2).filter(|day| (1..=31).contains(day))?;
    let suffix = t.joined(at + 1) && t.is(at + 1, &["st", "nd", "rd", "th", "er", "e", "eme"]);
    if suffix { Some((day, at + 2)) } else { t.closes(at + 1).then_some((day, at + 1)) }
}

/// Returns a year of four digits at `at`, after a comma if there is one, and one past its last token.
fn year_at(t: &Tokens<'_>, at: usize) -> Option<(i32, usize)> {
    let at = at + usize::from(t.is_mark(at, ',') || t.is(at, &["of", "de"]));
    let year = t.number(at, 4, 4).filter(|year| (1000..=2999).contains(year))?;
    (t.opens(at) && t.closes(at + 1)).then_some((i32::try_from(year).ok()?, at + 1))
}

/// Returns a date such as `1er mai` or `6th of May, 2027`; a `weekday` before it must agree, if a year allows.
fn day_then_month(
    t: &Tokens<'_>,
    at: usize,
    c: &Context,
    rules: DateRules,
    weekday: Option<Weekday>,
) -> Option<DateHit> {
    if !t.opens(at) {
        return None;
    }
    let (day, mut next) = day_of_month(t, at)?;
    next += usize::from(t.is(next, &["of", "de", "du"]));
    next += usize::from(t.is_mark(next, '-') && t.joined(next));
    let month = month(t.word(next)).filter(|_| t.closes(next + 1) || t.is_mark(next + 1, '-'))?;
    let end = next + 1;
    // `12 nov. 2026`.
    let dot = usize::from(t.is_mark(end, '.') && t.joined(end) && year_at(t, end + 1).is_some());
    if let Some((year, end)) = year_at(t, end + dot) {
        return DateHit::day(at, end, NaiveDate::from_ymd_opt(year, month, day)?);
    }
    DateHit::day(at, end, nearest_year(day, month, weekday, c, rules)?)
}

/// Returns a date that starts with the name of a day: `Friday`, `vendredi 6 mai`, `mardi dernier`, `Monday next week`.
fn after_weekday(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    let short = weekday_before_day(t.word(at))?;
    let dot =
        usize::from(weekday(t.word(at)).is_none() && t.is_mark(at + 1, '.') && t.joined(at + 1));
    let mut next = at + 1 + dot;
    next += usize::from(t.is_mark(next, ','));
    next += usize::from(t.is(next, &["the", "le"]));
    if let Some(hit) = day_then_month(t, next, c, rules, Some(short)) {
        return Some(DateHit { start: at, ..hit });
    }
    if let Some(hit) = month_first(t, next, c, rules).filter(|hit| hit.grain == Grain::Day) {
        return Some(DateHit { start: at, ..hit });
    }
    if let Some(hit) = in_numbers(t, next, c, rules) {
        return Some(DateHit { start: at, ..hit });
    }
    let day_name = weekday(t.word(at))?;
    let today = c.today();
    // `vendredi 6`: the nearest such day.
    if let Some((day, end)) = day_of_month(t, next).filter(|_| t.opens(next)) {
        let months = (-12..=12).filter_map(|n| relative_dates::day_of_month(today, n, day));
        let days: Vec<NaiveDate> = months.filter(|date| date.weekday() == day_name).collect();
        // `Friday 20h`, `vendredi 3 colis`: the number is no day.
        let is_day = !t.is_word(end) || t.is(end, &AFTER_DAY);
        if let Some(date) = preferred(&days, today, rules.prefer).filter(|_| is_day) {
            return DateHit::day(at, end, date);
        }
    }
    if let Some((direction, end)) = direction_after(t, at + 1) {
        return DateHit::day(at, end, coming(today, day_name, direction)?);
    }
    if let Some((monday, end)) = relative_dates::week_after(t, at + 1, c) {
        let days = u64::from(day_name.num_days_from_monday());
        return DateHit::day(at, end, monday.checked_add_days(chrono::Days::new(days))?);
    }
    let before = at.checked_sub(1);
    // A sale, and no day.
    if before.is_some_and(|before| t.is(before, &["black", "cyber"])) {
        return None;
    }
    let direction = match (before.and_then(|at| direction_before(t, at)), rules.prefer) {
        (Some(direction), _) => direction,
        (None, Prefer::Past) => Direction::Last,
        (None, Prefer::Nearest | Prefer::Future) => Direction::Next,
    };
    DateHit::day(at, at + 1, coming(today, day_name, direction)?)
}

/// Returns a date that starts with the name of a month: `May 6th, 2027`, `mai 2027`, `October`; after `next` and the like
/// the month in that direction.
fn month_first(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    let number = month(t.word(at))?;
    let next = at + 1 + usize::from(t.is_mark(at + 1, '.') && t.joined(at + 1));
    // In French the day is first: `en mai 6 personnes`.
    let day = if c.words == Words::French { None } else { day_of_month(t, next) };
    if let Some((day, end)) = day.filter(|_| t.opens(next)) {
        if let Some((year, end)) = year_at(t, end) {
            return DateHit::day(at, end, NaiveDate::from_ymd_opt(year, number, day)?);
        }
        if !t.is_word(end) || t.is(end, &AFTER_DAY) {
            return DateHit::day(at, end, nearest_year(day, number, None, c, rules)?);
        }
    }
    if let Some((year, end)) = year_at(t, next) {
        return DateHit::new(at, end, NaiveDate::from_ymd_opt(year, number, 1)?, Grain::Month);
    }
    // `may` and `march` are verbs, `mars` a planet: they need a word that a date follows.
    let is_clear = clear_month(t.word(at)).is_some()
        || (at > 0 && t.is(at - 1, &BEFORE_MONTH) && t.word(at).len() > 2)
        || (c.words == Words::French && t.is(at, &["mars"]))
            && at > 0
            && t.is(at - 1, &["de", "en", "debut", "fin", "mi", "depuis"]);
    if !is_clear {
        return None;
    }
    let today = c.today();
    let directed = direction_after(t, at + 1).or_else(|| {
        at.checked_sub(1).and_then(|before| Some((direction_before(t, before)?, at + 1)))
    });
    let (prefer, end) = match directed {
        Some((Direction::Last, end)) => (Prefer::Past, end),
        Some((Direction::Next, end)) => (Prefer::Future, end),
        Some((Direction::This, end)) => (Prefer::Nearest, end),
        None => (rules.prefer, at + 1),
    };
    let months: Vec<NaiveDate> = (-1..=1)
        .filter_map(|years| NaiveDate::from_ymd_opt(today.year() + years, number, 1))
        .filter(|date| {
            directed.is_none() || date.month() != today.month() || date.year() != today.year()
        })
        .collect();
    let first = relative_dates::first_of_month(today)?;
    DateHit::new(at, end, preferred(&months, first, prefer)?, Grain::Month)
}

/// Words before a month that may be a verb.
const BEFORE_MONTH: [&str; 14] = [
    "in", "of", "since", "until", "by", "last", "next", "this", "early", "late", "en", "mid",
    "from", "before",
];

/// Words that may follow a day of the month; after others, the number counts something.
const AFTER_DAY: [&str; 26] = [
    "a", "at", "et", "and", "ou", "or", "au", "to", "until", "jusqu", "pour", "for", "mais", "but",
    "je", "i", "on", "nous", "il", "elle", "dernier", "prochain", "vers", "avec", "j", "because",
];

/// Returns a French day without month after `le`, `du` or `au`, such as the 15 of `le 15`.
fn day_alone(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    let after = at > 0 && !t.joined(at) && t.is(at - 1, &["le", "du", "au"]);
    let (day, end) = day_of_month(t, at).filter(|_| after && c.words != Words::English)?;
    let more = t.is_mark(end, '%') || t.is_mark(end, '€') || t.is_mark(end, '/');
    if more || t.digits(end).is_some() || (t.is_word(end) && !t.is(end, &AFTER_DAY)) {
        return None;
    }
    DateHit::day(at, end, nearest_month(day, c, rules)?)
}

/// Returns an English day without month, such as `the 10th`.
fn ordinal_alone(t: &Tokens<'_>, at: usize, c: &Context, rules: DateRules) -> Option<DateHit> {
    let ordinal = t.is(at, &["the"]) && t.joined(at + 2) && t.is_word(at + 2);
    let (day, end) = day_of_month(t, at + 1).filter(|_| ordinal)?;
    if let Some(hit) = day_then_month(t, at + 1, c, rules, None) {
        return Some(hit);
    }
    let noun = t.is_word(end) && !t.is(end, &AFTER_DAY);
    (end == at + 3 && !noun).then(|| DateHit::day(at, end, nearest_month(day, c, rules)?))?
}

/// Returns the day of the month that is nearest on the preferred side.
fn nearest_month(day: u32, c: &Context, rules: DateRules) -> Option<NaiveDate> {
    let today = c.today();
    let months = (-2..=2).filter_map(|n| relative_dates::day_of_month(today, n, day));
    preferred(&months.collect::<Vec<_>>(), today, rules.prefer)
}

/// Words before a year alone.
const BEFORE_YEAR: [&str; 11] =
    ["in", "since", "en", "depuis", "year", "annee", "around", "vers", "of", "from", "de"];

/// Returns a year after `in`, `since`, `en` or `depuis`.
fn year_alone(t: &Tokens<'_>, at: usize) -> Option<DateHit> {
    let after = at > 0
        && !t.joined(at)
        && t.is(at - 1, &BEFORE_YEAR)
        && !t.is(at + 1, &["euro", "euros", "eur", "dollars", "pounds", "w", "watts", "mah", "km"]);
    let year = t.number(at, 4, 4).filter(|year| after && (1900..=2100).contains(year))?;
    if !t.closes(at + 1) || t.is_mark(at + 1, '€') || t.is_mark(at + 1, '%') {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?;
    DateHit::new(at, at + 1, date, Grain::Year)
}
