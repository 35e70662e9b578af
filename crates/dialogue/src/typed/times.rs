//! Times of day: `20:30`, `8.30 pm`, `20h30`, `huit heures et demie`, `noon`.

use super::{
    context::{Context, Words},
    numerals::words_at,
    tokens::Tokens,
};
use chrono::NaiveTime;

/// A time of day in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeHit {
    /// One past the last token.
    pub(crate) end: usize,
    pub(crate) time: NaiveTime,
    /// Whether it was a bare hour or a 12-hour time without its half of the day, so that `tonight` makes it later.
    pub(crate) is_open: bool,
}

/// A half of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    Morning,
    Later,
}

/// Words before a number of hours that is a duration: `sous 24h`, `for 2 hours`.
const BEFORE_DURATION: [&str; 20] = [
    "sous", "dans", "in", "within", "depuis", "pendant", "for", "durant", "ici", "every", "chaque",
    "toutes", "les", "en", "of", "il", "y", "after", "environ", "delai",
];

/// Returns the time that starts at `at`.
pub(crate) fn time_at(t: &Tokens<'_>, at: usize, c: &Context) -> Option<TimeHit> {
    if t.digits(at).is_some() {
        return with_colon(t, at).or_else(|| french_hour(t, at, c)).or_else(|| with_half(t, at));
    }
    if !t.is_word(at) {
        return None;
    }
    named(t, at).or_else(|| past_the_hour(t, at, c)).or_else(|| in_words(t, at, c))
}

/// Returns the bare hour at `at`, as after `at` in English: `at 9`.
pub(crate) fn bare_hour_at(t: &Tokens<'_>, at: usize, c: &Context) -> Option<TimeHit> {
    let (hour, end) = match t.number(at, 1, 2) {
        Some(hour) => (hour, at + 1),
        None => {
            let numeral = words_at(t, at, c.words)?;
            (numeral.whole()?, numeral.end)
        }
    };
    let is_more =
        !t.closes(end) || t.is_mark(end, '%') || t.is_mark(end, '€') || t.is_mark(end, '/');
    let time = NaiveTime::from_hms_opt(hour, 0, 0).filter(|_| t.opens(at) && !is_more)?;
    Some(TimeHit { end, time, is_open: hour < 12 })
}

/// Returns the half of the day at `at`, such as `pm` or `du soir`, and one past its last token.
fn half_at(t: &Tokens<'_>, at: usize) -> Option<(Half, usize)> {
    let part = |at: usize| match t.word(at) {
        "morning" | "matin" => Some(Half::Morning),
        "evening" | "afternoon" | "soir" | "midi" => Some(Half::Later),
        _ => None,
    };
    match t.word(at) {
        "am" => Some((Half::Morning, at + 1)),
        "pm" => Some((Half::Later, at + 1)),
        letter @ ("a" | "p") if t.is_mark(at + 1, '.') && t.is(at + 2, &["m"]) => {
            let half = if letter == "a" { Half::Morning } else { Half::Later };
            let dot = t.is_mark(at + 3, '.') && t.joined(at + 3);
            Some((half, at + 3 + usize::from(dot)))
        }
        "in" if t.is(at + 1, &["the"]) => Some((part(at + 2)?, at + 3)),
        "du" => Some((part(at + 1)?, at + 2)),
        "de" if t.is(at + 1, &["l"]) && t.is(at + 3, &["apres"]) => {
            // `de l'après-midi`, with or without its hyphen.
            let hyphen = usize::from(t.is_mark(at + 4, '-'));
            t.is(at + 4 + hyphen, &["midi"]).then_some((Half::Later, at + 5 + hyphen))
        }
        "at" if t.is(at + 1, &["night"]) => Some((Half::Later, at + 2)),
        _ => None,
    }
}

/// Returns the time at `hour` and `minute`, in the half of the day that follows at `end`, if one does.
fn finished(t: &Tokens<'_>, end: usize, hour: u32, minute: u32, second: u32) -> Option<TimeHit> {
    let half = half_at(t, end).filter(|_| (1..=12).contains(&hour));
    let (hour_24, end) = match half {
        Some((Half::Morning, end)) => (hour % 12, end),
        Some((Half::Later, end)) => (hour % 12 + 12, end),
        None => (hour, end),
    };
    let time = NaiveTime::from_hms_opt(hour_24, minute, second)?;
    Some(TimeHit { end, time, is_open: half.is_none() && hour < 12 })
}

/// Returns a time such as `20:30`, `8:30 pm` or `20:30:15`.
fn with_colon(t: &Tokens<'_>, at: usize) -> Option<TimeHit> {
    let hour = t.number(at, 1, 2)?;
    if !(t.opens(at) && t.is_mark(at + 1, ':') && t.joined(at + 1) && t.joined(at + 2)) {
        return None;
    }
    let minute = t.number(at + 2, 2, 2)?;
    let seconds = t.is_mark(at + 3, ':') && t.joined(at + 3) && t.joined(at + 4);
    let (second, end) = match t.number(at + 4, 2, 2).filter(|_| seconds) {
        Some(second) => (second, at + 5),
        None => (0, at + 3),
    };
    let closes = t.closes(end) || half_at(t, end).is_some();
    closes.then(|| finished(t, end, hour, minute, second))?
}

/// Returns a time such as `8 pm` or `8.30pm`.
fn with_half(t: &Tokens<'_>, at: usize) -> Option<TimeHit> {
    let hour = t.number(at, 1, 2).filter(|hour| (1..=12).contains(hour) && t.opens(at))?;
    let (minute, end) = match t.number(at + 2, 2, 2) {
        Some(minute) if t.is_mark(at + 1, '.') && t.joined(at + 1) && t.joined(at + 2) => {
            (minute, at + 3)
        }
        _ => (0, at + 1),
    };
    let clock = t.is(end, &["o"]) && t.is_mark(end + 1, '\'') && t.is(end + 2, &["clock"]);
    if clock {
        return finished(t, end + 3, hour, minute, 0);
    }
    half_at(t, end)?;
    finished(t, end, hour, minute, 0)
}

/// Returns a French time such as `20h30`, `8 h`, `8 heures du soir` or `8 heures et quart`.
fn french_hour(t: &Tokens<'_>, at: usize, c: &Context) -> Option<TimeHit> {
    let hour = t.number(at, 1, 2).filter(|_| t.opens(at))?;
    let word = t.is(at + 1, &["heure", "heures"]);
    if !(word || t.is(at + 1, &["h"])) {
        return None;
    }
    after_hours(t, at, at + 2, hour, word, c)
}

/// Returns the time whose hour, with its unit, ends before `end`; it started at `start`.
fn after_hours(
    t: &Tokens<'_>,
    start: usize,
    end: usize,
    hour: u32,
    in_full: bool,
    c: &Context,
) -> Option<TimeHit> {
    let minutes = t.number(end, 2, 2).filter(|minute| *minute < 60 && t.closes(end + 1));
    let minutes = minutes.filter(|_| in_full || t.joined(end) || !t.joined(end - 1));
    if let Some(minute) = minutes {
        let unit = usize::from(t.is(end + 1, &["min", "mn", "minutes"]));
        return finished(t, end + 1 + unit, hour, minute, 0);
    }
    if t.joined(end) && !t.closes(end) {
        return None;
    }
    if start > 0 && t.is(start - 1, &BEFORE_DURATION) {
        return None;
    }
    // `24h/24`, `2 heures de retard`, `48 heures`: no times.
    if t.is_mark(end, '/') || (t.is(end, &["de", "d"]) && half_at(t, end).is_none()) {
        return None;
    }
    if t.is(end, &["et"]) {
        match t.word(end + 1) {
            "demi" | "demie" => return finished(t, end + 2, hour, 30, 0),
            "quart" => return finished(t, end + 2, hour, 15, 0),
            _ => {}
        }
    }
    if t.is(end, &["moins"]) {
        let le = usize::from(t.is(end + 1, &["le"]));
        let minutes = match t.number(end + 1, 1, 2) {
            Some(minutes) => Some((minutes, end + 2)),
            None if t.is(end + 1 + le, &["quart"]) => Some((15, end + 2 + le)),
            None => words_at(t, end + 1, c.words).and_then(|n| Some((n.whole()?, n.end))),
        };
        if let Some((minutes, end)) = minutes.filter(|(minutes, _)| (1..60).contains(minutes)) {
            return finished(t, end, (hour + 23) % 24, 60 - minutes, 0);
        }
    }
    if let Some(minutes) = words_at(t, end, c.words).filter(|_| in_full) {
        let minute = minutes.whole().filter(|minute| (1..60).contains(minute));
        if let Some(minute) = minute {
            return finished(t, minutes.end, hour, minute, 0);
        }
    }
    finished(t, end, hour, 0, 0)
}

/// Returns `noon`, `midnight`, `midi` or `minuit`, with its half hour.
fn named(t: &Tokens<'_>, at: usize) -> Option<TimeHit> {
    let hour = match t.word(at) {
        "noon" | "midday" => 12,
        // `l'après-midi` is no noon.
        "midi" if at == 0 || !(t.is(at - 1, &["apres"]) || t.is_mark(at - 1, '-')) => 12,
        "midnight" | "minuit" => 0,
        _ => return None,
    };
    let half = t.is(at + 1, &["et"]) && t.is(at + 2, &["demi", "demie"]);
    let (minute, end) = if half { (30, at + 3) } else { (0, at + 1) };
    let time = NaiveTime::from_hms_opt(hour, minute, 0)?;
    Some(TimeHit { end, time, is_open: false })
}

/// Returns an English time such as `half past eight` or `quarter to 9`.
fn past_the_hour(t: &Tokens<'_>, at: usize, c: &Context) -> Option<TimeHit> {
    let at = at + usize::from(t.is(at, &["a"]));
    let minutes: i32 = match (t.word(at), t.word(at + 1)) {
        ("half", "past") => 30,
        ("quarter", "past") => 15,
        ("quarter", "to") => -15,
        _ => return None,
    };
    let TimeHit { end, time, .. } = bare_hour_at(t, at + 2, c)?;
    let hour = chrono::Timelike::hour(&time);
    let (hour, minute) = match minutes {
        -15 => (if hour <= 1 { hour + 11 } else { hour - 1 }, 45),
        15 => (hour, 15),
        _ => (hour, 30),
    };
    finished(t, end, hour, minute, 0)
}

/// Returns a time with its hour in words: `huit heures`, `eight o'clock`, `eight pm`.
fn in_words(t: &Tokens<'_>, at: usize, c: &Context) -> Option<TimeHit> {
    let numeral = words_at(t, at, c.words)?;
    let hour = numeral.whole().filter(|hour| *hour < 24)?;
    let end = numeral.end;
    if t.is(end, &["heure", "heures"]) && c.words != Words::English {
        // `une heure` is a duration more often than a time.
        let clear = hour > 1 || (at > 0 && t.is(at - 1, &["a", "vers", "des"]));
        return clear.then(|| after_hours(t, at, end + 1, hour, true, c))?;
    }
    let clock = t.is(end, &["o"]) && t.is_mark(end + 1, '\'') && t.is(end + 2, &["clock"]);
    if clock {
        return finished(t, end + 3, hour, 0, 0);
    }
    half_at(t, end).filter(|_| (1..=12).contains(&hour) && !t.is(end, &["in", "du", "de"]))?;
    finished(t, end, hour, 0, 0)
}
