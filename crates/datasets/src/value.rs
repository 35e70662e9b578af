//! Values of cells: numbers, booleans and times.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde::{Deserialize, Serialize};

/// The type of the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// Any text.
    Text,
    /// Digits, with an optional sign: `-12`.
    Integer,
    /// A finite number in decimal notation: `1.5`, `2e-3`.
    Number,
    /// `true` or `false`, in any case; `1` or `0`.
    Boolean,
    /// A date: `2026-11-20`.
    Date,
    /// A time: RFC 3339, with a space for `T`, without seconds, or without a zone (UTC). A date is its midnight.
    Datetime,
}

/// A value that can be compared with others of its type.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Value {
    /// A number; a boolean is 0 or 1.
    Number(f64),
    /// Milliseconds since 1970, UTC.
    Time(i64),
}

impl ValueType {
    /// Returns the name with its article, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Date => "a day such as 2026-11-20",
            Self::Datetime => "a time such as 2026-11-20T10:15:00Z",
        }
    }

    /// Returns its key in expectations.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Datetime => "datetime",
        }
    }

    /// Reads `cell`; `None` if it is of another type. Every text is 0, because texts are not compared.
    #[inline]
    #[must_use]
    pub fn read(self, cell: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::Number(0.0)),
            Self::Integer => {
                let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
                let is_integer = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                is_integer.then(|| Value::Number(cell.parse().unwrap_or(f64::MAX)))
            }
            Self::Number => {
                cell.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Number)
            }
            Self::Boolean => {
                let is = |word: &str| cell.eq_ignore_ascii_case(word);
                match () {
                    () if is("true") || cell == "1" => Some(Value::Number(1.0)),
                    () if is("false") || cell == "0" => Some(Value::Number(0.0)),
                    () => None,
                }
            }
            Self::Date => date(cell).map(midnight),
            Self::Datetime => datetime(cell),
        }
    }

    /// Returns the narrowest comparable type of all `bounds`; `None` if they have none in common.
    pub fn of_bounds<'a>(bounds: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        [Self::Number, Self::Date, Self::Datetime]
            .into_iter()
            .find(|kind| bounds.clone().all(|bound| kind.read(bound).is_some()))
    }
}

fn date(cell: &str) -> Option<NaiveDate> {
    let bytes = cell.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    NaiveDate::from_ymd_opt(number(0..4)?.cast_signed(), number(5..7)?, number(8..10)?)
}

fn midnight(date: NaiveDate) -> Value {
    Value::Time(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}

fn datetime(cell: &str) -> Option<Value> {
    if let Some(date) = date(cell) {
        return Some(midnight(date));
    }
    let bytes = cell.as_bytes();
    if bytes.len() < 16 || !bytes.is_ascii() || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(cell) {
        return Some(Value::Time(time.timestamp_millis()));
    }
    let (day, time) = (date(&cell[..10])?, &cell[11..]);
    let time = time.strip_suffix(['Z', 'z']).unwrap_or(time);
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"))
        .ok()?;
    Some(Value::Time(NaiveDateTime::new(day, time).and_utc().timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_read_by_type() {
        use ValueType::{Boolean, Date, Datetime, Integer, Number};
        for (kind, good, bad) in [
            (Integer, vec!["0", "-12", "+7", "007"], vec!["", "-", "1.0", "1e3", " 1", "１"]),
            (Number, vec!["1.5", "-2e-3", ".5"], vec!["nan", "inf", "1,5", "", "1 000", "1e999"]),
            (Boolean, vec!["true", "FALSE", "1"], vec!["yes", "", "2"]),
            (
                Date,
                vec!["2024-02-29"],
                vec!["2023-02-29", "2024-2-9", "29/02/2024", "2024-02-30T00:00"],
            ),
            (
                Datetime,
                vec![
                    "2024-02-29",
                    "2024-02-29T10:00:00Z",
                    "2024-02-29 10:00",
                    "2024-02-29T10:00:00+02:00",
                    "2024-02-29 10:00:00.123",
                ],
                vec!["2024-02-29T25:00", "2024-02-29T", "10:00", "2024-02-29é10:00"],
            ),
        ] {
            for cell in good {
                assert!(kind.read(cell).is_some(), "{kind:?} {cell}");
            }
            for cell in bad {
                assert!(kind.read(cell).is_none(), "{kind:?} {cell}");
            }
        }
    }

    #[test]
    fn times_are_compared_in_one_zone() {
        let read = |cell| ValueType::Datetime.read(cell).unwrap();
        assert_eq!(read("2024-02-29T10:00:00+02:00"), read("2024-02-29 08:00"));
        assert!(read("2024-02-29") < read("2024-02-29T00:00:01Z"));
        // `date -u -d 2024-02-29 +%s` prints 1709164800.
        assert_eq!(read("2024-02-29"), Value::Time(1_709_164_800_000));
    }

    #[test]
    fn bounds_have_the_narrowest_common_type() {
        let of = |bounds: &[&str]| ValueType::of_bounds(bounds.iter().copied());
        assert_eq!(of(&["1", "2.5"]), Some(ValueType::Number));
        assert_eq!(of(&["2024-01-01", "2024-12-31"]), Some(ValueType::Date));
        assert_eq!(of(&["2024-01-01", "2024-12-31T10:00"]), Some(ValueType::Datetime));
        assert_eq!(of(&["1", "2024-01-01"]), None);
    }
}
