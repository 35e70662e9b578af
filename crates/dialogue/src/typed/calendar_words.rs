//! Months, days of the week and units of time, in English and French; all words folded.

use chrono::Weekday;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Fortnight,
    Month,
    Year,
}

/// Returns the month of a name such as `april` or `fevr`.
pub(crate) fn month(word: &str) -> Option<u32> {
    Some(match word {
        "january" | "jan" | "janvier" | "janv" => 1,
        "february" | "feb" | "fevrier" | "fevr" | "fev" => 2,
        "march" | "mar" | "mars" => 3,
        "april" | "apr" | "avril" | "avr" => 4,
        "may" | "mai" => 5,
        "june" | "jun" | "juin" => 6,
        "july" | "jul" | "juillet" | "juil" => 7,
        "august" | "aug" | "aout" => 8,
        "september" | "sep" | "sept" | "septembre" => 9,
        "october" | "oct" | "octobre" => 10,
        "november" | "nov" | "novembre" => 11,
        "december" | "dec" | "decembre" => 12,
        _ => return None,
    })
}

/// Returns the month of a name that means nothing else: not `may`, `mar` or `sept`.
pub(crate) fn clear_month(word: &str) -> Option<u32> {
    match word {
        "may" | "march" | "mars" | "jan" | "feb" | "mar" | "apr" | "avr" | "jun" | "jul"
        | "aug" | "sep" | "sept" | "oct" | "nov" | "dec" | "fev" => None,
        _ => month(word),
    }
}

/// Returns the day of a full name such as `friday`.
pub(crate) fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "monday" | "lundi" => Weekday::Mon,
        "tuesday" | "mardi" => Weekday::Tue,
        "wednesday" | "mercredi" => Weekday::Wed,
        "thursday" | "jeudi" => Weekday::Thu,
        "friday" | "vendredi" => Weekday::Fri,
        "saturday" | "samedi" => Weekday::Sat,
        "sunday" | "dimanche" => Weekday::Sun,
        _ => return None,
    })
}

/// Returns the day of a full or short name, such as `fri`; short names count only before a day of the month.
pub(crate) fn weekday_before_day(word: &str) -> Option<Weekday> {
    let short = match word {
        "mon" | "lun" => Some(Weekday::Mon),
        "tue" | "tues" => Some(Weekday::Tue),
        "wed" | "mer" => Some(Weekday::Wed),
        "thu" | "thur" | "thurs" | "jeu" => Some(Weekday::Thu),
        "fri" | "ven" => Some(Weekday::Fri),
        "sat" | "sam" => Some(Weekday::Sat),
        "sun" | "dim" => Some(Weekday::Sun),
        _ => None,
    };
    weekday(word).or(short)
}

/// Returns the unit of a word such as `weeks` or `jours`.
pub(crate) fn unit(word: &str) -> Option<Unit> {
    Some(match word {
        "minute" | "minutes" | "min" | "mins" | "mn" => Unit::Minute,
        "hour" | "hours" | "heure" | "heures" | "h" | "hrs" | "hr" => Unit::Hour,
        "day" | "days" | "jour" | "jours" => Unit::Day,
        "week" | "weeks" | "semaine" | "semaines" => Unit::Week,
        "fortnight" | "fortnights" => Unit::Fortnight,
        "month" | "months" | "mois" => Unit::Month,
        "year" | "years" | "an" | "ans" | "annee" | "annees" => Unit::Year,
        _ => return None,
    })
}
