//! Days relative to the message: `tomorrow`, `in 3 days`, `la semaine prochaine`, `end of the month`.

use super::{
    calendar_words::{Unit, clear_month, month, unit, weekday},
    context::{Context, Words},
    date_hit::{DateHit, Grain},
    numerals::count_at,
    tokens::Tokens,
};
use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

/// The side of the message on which a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Last,
    This,
    Next,
}

/// Returns the relative date that starts at `at`.
pub(crate) fn at(t: &Tokens<'_>, at: usize, c: &Context) -> Option<DateHit> {
    named_day(t, at, c)
        .or_else(|| end_of(t, at, c))
        .or_else(|| distance(t, at, c))
        .or_else(|| directed(t, at, c))
}

/// Returns the direction of the word at `at` before a noun: `next week`, `ce vendredi`.
pub(crate) fn direction_before(t: &Tokens<'_>, at: usize) -> Option<Direction> {
    match t.word(at) {
        "next" | "coming" | "following" => Some(Direction::Next),
        "last" | "previous" | "past" => Some(Direction::Last),
        "this" | "ce" | "cet" | "cette" => Some(Direction::This),
        _ => None,
    }
}

/// Returns the direction of the words at `at` after a noun, such as `prochain`, and one past the last of them.
pub(crate) fn direction_after(t: &Tokens<'_>, at: usize) -> Option<(Direction, usize)> {
    match t.word(at) {
        "prochain" | "prochaine" | "suivant" | "suivante" => Some((Direction::Next, at + 1)),
        "dernier" | "derniere" | "passe" | "passee" => Some((Direction::Last, at + 1)),
        _ => None,
    }
}

/// Returns the nearest `day` of the week before or after `today`; never today, except with [`Direction::This`].
pub(crate) fn coming(today: NaiveDate, day: Weekday, direction: Direction) -> Option<NaiveDate> {
    let days = u64::from(day.days_since(today.weekday()));
    let week_if_zero = |days: u64| if days == 0 { 7 } else { days };
    match direction {
        Direction::This => today.checked_add_days(Days::new(days)),
        Direction::Next => today.checked_add_days(Days::new(week_if_zero(days))),
        Direction::Last => {
            let back = u64::from(today.weekday().days_since(day));
            today.checked_sub_days(Days::new(week_if_zero(back)))
        }
    }
}

/// Returns the first day of the month of `date`.
pub(crate) fn first_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)
}

/// Returns `day` of the month that is `months` after that of `today`; `None` if it has no such day.
pub(crate) fn day_of_month(today: NaiveDate, months: i32, day: u32) -> Option<NaiveDate> {
    add_months(first_of_month(today)?, months)?.with_day(day)
}

fn add_months(date: NaiveDate, months: i32) -> Option<NaiveDate> {
    let n = Months::new(months.unsigned_abs());
    if months < 0 { date.checked_sub_months(n) } else { date.checked_add_months(n) }
}

fn add_days(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    let n = Days::new(days.unsigned_abs());
    if days < 0 { date.checked_sub_days(n) } else { date.checked_add_days(n) }
}

/// Returns whether the words from `at` are `words`; `'` and `-` are marks.
fn follows(t: &Tokens<'_>, at: usize, words: &[&str]) -> bool {
    words.iter().enumerate().all(|(i, word)| match *word {
        "'" => t.is_mark(at + i, '\''),
        "-" => t.is_mark(at + i, '-'),
        word => t.word(at + i) == word,
    })
}

/// Names of days: their words and their distance in days.
const NAMED: [(&[&str], i64); 17] = [
    (&["the", "day", "after", "tomorrow"], 2),
    (&["day", "after", "tomorrow"], 2),
    (&["the", "day", "before", "yesterday"], -2),
    (&["day", "before", "yesterday"], -2),
    (&["apres", "-", "demain"], 2),
    (&["apres", "demain"], 2),
    (&["avant", "-", "hier"], -2),
    (&["avant", "hier"], -2),
    (&["aujourd", "'", "hui"], 0),
    (&["aujourdhui"], 0),
    (&["today"], 0),
    (&["tomorrow"], 1),
    (&["tmrw"], 1),
    (&["yesterday"], -1),
    (&["demain"], 1),
    (&["hier"], -1),
    (&["last", "night"], -1),
];

/// Evenings and nights of the day of the message.
const EVENINGS: [&[&str]; 5] =
    [&["tonight"], &["this", "evening"], &["ce", "soir"], &["cette", "nuit"], &["tonite"]];

fn named_day(t: &Tokens<'_>, at: usize, c: &Context) -> Option<DateHit> {
    if let Some((words, days)) = NAMED.iter().find(|(words, _)| follows(t, at, words)) {
        return DateHit::day(at, at + words.len(), add_days(c.today(), *days)?);
    }
    let words = EVENINGS.iter().find(|words| follows(t, at, words))?;
    let hit = DateHit::day(at, at + words.len(), c.today())?;
    Some(DateHit { evening: true, ..hit })
}

/// Returns the last day of a week, month or year (the first one after `beginning of`): `end of the month`, `fin novembre`.
fn end_of(t: &Tokens<'_>, at: usize, c: &Context) -> Option<DateHit> {
    let (is_end, mut next) = match t.word(at) {
        "end" if t.is(at + 1, &["of"]) => (true, at + 2),
        "beginning" | "start" if t.is(at + 1, &["of"]) => (false, at + 2),
        "month" | "year" | "week" if t.is(at + 1, &["end"]) => (true, at),
        "fin" => (true, at + 1),
        "debut" => (false, at + 1),
        _ => return None,
    };
    next += usize::from(t.is(next, &["the", "du", "de", "d"]));
    next += usize::from(t.is_mark(next, '\''));
    next += usize::from(t.is(next, &["la", "l"]));
    next += usize::from(t.is_mark(next, '\''));
    let before = direction_before(t, next);
    next += usize::from(before.is_some());
    if let Some(number) = clear_month(t.word(next)).or_else(|| {
        let is_french = c.words != Words::English;
        month(t.word(next))
            .filter(|_| is_french && t.is(next, &["mars"]) || t.is(next, &["may", "march"]))
    }) {
        let today = c.today();
        let year = t.number(next + 1, 4, 4).and_then(|year| i32::try_from(year).ok());
        let end = next + 1 + usize::from(year.is_some());
        let first = match year {
            Some(year) => NaiveDate::from_ymd_opt(year, number, 1)?,
            None => (-1..=1)
                .filter_map(|years| NaiveDate::from_ymd_opt(today.year() + years, number, 1))
                .min_by_key(|date| (*date - today).num_days().abs())?,
        };
        return DateHit::day(at, end, edge(first, Unit::Month, is_end)?);
    }
    let unit = match t.word(next) {
        "week" | "semaine" => Unit::Week,
        "month" | "mois" => Unit::Month,
        "year" | "annee" | "an" => Unit::Year,
        _ => return None,
    };
    let end = if t.is(next + 1, &["end"]) && next == at { next + 2 } else { next + 1 };
    let (direction, end) = match (before, direction_after(t, end)) {
        (Some(direction), _) => (direction, end),
        (None, Some((direction, end))) => (direction, end),
        (None, None) => (Direction::This, end),
    };
    DateHit::day(at, end, edge(shifted(c.today(), unit, direction)?, unit, is_end)?)
}

/// Returns the first or last day of the unit that starts on `first`.
fn edge(first: NaiveDate, unit: Unit, last: bool) -> Option<NaiveDate> {
    if !last {
        return Some(first);
    }
    let next = match unit {
        Unit::Week => add_days(first, 7),
        Unit::Year => add_months(first, 12),
        _ => add_months(first, 1),
    };
    next?.pred_opt()
}

/// Returns the first day of the last, this or next week, month or year.
fn shifted(today: NaiveDate, unit: Unit, direction: Direction) -> Option<NaiveDate> {
    let n = match direction {
        Direction::Last => -1,
        Direction::This => 0,
        Direction::Next => 1,
    };
    match unit {
        Unit::Week => {
            let monday = add_days(today, -i64::from(today.weekday().num_days_from_monday()))?;
            add_days(monday, i64::from(n) * 7)
        }
        Unit::Month => add_months(first_of_month(today)?, n),
        Unit::Year => NaiveDate::from_ymd_opt(today.year() + n, 1, 1),
        Unit::Minute | Unit::Hour | Unit::Day | Unit::Fortnight => None,
    }
}

/// Returns the day that is `n` units after `date`. A month that has no such day ends on its last.
fn moved(date: NaiveDate, unit: Unit, n: i64) -> Option<NaiveDate> {
    match unit {
        Unit::Day => add_days(date, n),
        Unit::Week => add_days(date, n.checked_mul(7)?),
        Unit::Fortnight => add_days(date, n.checked_mul(14)?),
        Unit::Month => add_months(date, i32::try_from(n).ok()?),
        Unit::Year => add_months(date, i32::try_from(n.checked_mul(12)?).ok()?),
        Unit::Minute | Unit::Hour => None,
    }
}

/// A distance from the message: `in 3 days`, `il y a deux semaines`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Distance {
    /// One past the last token.
    pub(crate) end: usize,
    /// The number of units; negative before the message.
    pub(crate) n: i64,
    pub(crate) unit: Unit,
}

/// Returns the distance that starts at `at`, in any unit.
pub(crate) fn distance_at(t: &Tokens<'_>, at: usize, c: &Context) -> Option<Distance> {
    let before = match t.word(at) {
        "in" if c.words != Words::French => Some((1, at + 1)),
        "dans" => Some((1, at + 1)),
        "d" if follows(t, at, &["d", "'", "ici"]) => Some((1, at + 3)),
        "il" if follows(t, at, &["il", "y", "a"]) => Some((-1, at + 3)),
        "y" if follows(t, at, &["y", "a"]) => Some((-1, at + 2)),
        _ => None,
    };
    let (sign, start) = before.unwrap_or((0, at));
    let start = start + usize::from(sign < 0 && t.is(start, &["environ"]));
    // `an hour ago` starts at its article, `dans l'heure` has no number.
    let count = count_at(t, start, c.words)?;
    let unit = unit(t.word(count.end))?;
    let mut end = count.end + 1;
    let sign = match sign {
        0 if t.is(end, &["ago"]) => {
            end += 1;
            -1
        }
        0 if follows(t, end, &["from", "now"]) => {
            end += 2;
            1
        }
        0 => return None,
        sign => sign,
    };
    Some(Distance { end, n: sign * i64::from(count.whole()?), unit })
}

fn distance(t: &Tokens<'_>, at: usize, c: &Context) -> Option<DateHit> {
    let Distance { end, n, unit } = distance_at(t, at, c)?;
    DateHit::day(at, end, moved(c.today(), unit, n)?)
}

/// Returns the week at `at`, such as `next week`, `of next week` or `de la semaine prochaine`: its Monday, and one past its
/// last token.
pub(crate) fn week_after(t: &Tokens<'_>, at: usize, c: &Context) -> Option<(NaiveDate, usize)> {
    let mut at = at + usize::from(t.is(at, &["of", "de"]));
    at += usize::from(t.is(at, &["la", "the"]));
    let hit = directed(t, at, c).filter(|hit| hit.grain == Grain::Week)?;
    Some((hit.date, hit.end))
}

/// Returns a date in a direction: `next Friday`, `last month`, `cette semaine`, `année prochaine`.
fn directed(t: &Tokens<'_>, at: usize, c: &Context) -> Option<DateHit> {
    let noun = |word: &str| match word {
        "week" | "semaine" => Some((Unit::Week, Grain::Week)),
        "month" | "mois" => Some((Unit::Month, Grain::Month)),
        "year" | "annee" | "an" => Some((Unit::Year, Grain::Year)),
        _ => None,
    };
    let today = c.today();
    if let Some(direction) = direction_before(t, at) {
        if let Some(day) = weekday(t.word(at + 1)) {
            // `ce mardi dernier`.
            let (direction, end) = direction_after(t, at + 2).unwrap_or((direction, at + 2));
            return DateHit::day(at, end, coming(today, day, direction)?);
        }
        if let Some((unit, grain)) = noun(t.word(at + 1)) {
            // `ce mois-ci`.
            let ci = t.is_mark(at + 2, '-') && t.joined(at + 2) && t.is(at + 3, &["ci"]);
            let end = at + 2 + if ci { 2 } else { 0 };
            return DateHit::new(at, end, shifted(today, unit, direction)?, grain);
        }
        return None;
    }
    let (unit, grain) = noun(t.word(at))?;
    let (direction, end) = direction_after(t, at + 1)?;
    DateHit::new(at, end, shifted(today, unit, direction)?, grain)
}
