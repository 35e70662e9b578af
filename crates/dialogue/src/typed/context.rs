//! The moment and the conventions by which a text is read.

use crate::{entity_spec::DateOrder, moment::Moment};
use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;

/// The languages whose words the parsers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    English,
    French,
    /// Another language, or none: words of both are read.
    Any,
}

/// The moment and the conventions by which a text is read.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The time of the message.
    pub(crate) at: DateTime<Utc>,
    /// The same on the clock of the dialogue.
    pub(crate) now: NaiveDateTime,
    /// The time zone of the dialogue.
    pub(crate) zone: Tz,
    /// The language of the message.
    pub(crate) words: Words,
    /// The country of the language tag in upper case, such as `US`.
    pub(crate) region: Option<String>,
}

impl Context {
    /// Returns the conventions of `moment` in `zone`.
    pub(crate) fn of(moment: &Moment<'_>, zone: Tz) -> Self {
        let tag = moment.language.unwrap_or_default().replace('_', "-");
        let mut parts = tag.split('-');
        let words = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Words::English,
            "fr" => Words::French,
            _ => Words::Any,
        };
        let is_country =
            |part: &&str| part.len() == 2 && part.chars().all(|c| c.is_ascii_alphabetic());
        Self {
            at: moment.at,
            now: zone.from_utc_datetime(&moment.at.naive_utc()).naive_local(),
            zone,
            words,
            region: parts.find(is_country).map(str::to_ascii_uppercase),
        }
    }

    /// Returns the day of the message.
    pub(crate) fn today(&self) -> NaiveDate {
        self.now.date()
    }

    /// Returns the order of day and month in 03/04, as written in the dialogue or usual in the language.
    pub(crate) fn date_order(&self, declared: Option<DateOrder>) -> DateOrder {
        declared.unwrap_or(match (self.words, self.region.as_deref()) {
            (Words::English, Some("US")) => DateOrder::MonthFirst,
            _ => DateOrder::DayFirst,
        })
    }

    /// Returns the moment at which the clock of the dialogue shows `local`.
    ///
    /// - A time that the clock shows twice, when summer time ends, is the first of the two.
    /// - A time that the clock skips, when summer time begins, is moved forwards by the skipped time: 02:30 is 03:30.
    pub(crate) fn moment_of(&self, local: NaiveDateTime) -> Option<DateTime<Tz>> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(moment, _) => Some(moment),
            MappedLocalTime::None => {
                // The offset before the gap, read a day earlier: no zone moves its clock twice in a day.
                let before = local.checked_sub_days(Days::new(1))?;
                let offset = match self.zone.offset_from_local_datetime(&before) {
                    MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => {
                        offset
                    }
                    MappedLocalTime::None => return None,
                };
                let seconds = i64::from(chrono::Offset::fix(&offset).local_minus_utc());
                let utc = local.checked_sub_signed(TimeDelta::seconds(seconds))?;
                Some(self.zone.from_utc_datetime(&utc))
            }
        }
    }
}

/// Returns `date` if its year has four digits, as in every form that is written.
pub(crate) fn in_range(date: NaiveDate) -> Option<NaiveDate> {
    (1..=9999).contains(&date.year()).then_some(date)
}
