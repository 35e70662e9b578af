//! Values of rules as people write them in YAML, and thresholds on the number of findings.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A value of a rule, written as in a cell: `5`, `true`, `2026-01-31` or `refund`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl de::Visitor<'_> for Written {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value: a word, a number, a date, true or false")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Scalar, E> {
                Ok(Scalar(n.to_string()))
            }
            fn visit_i64<E: de::Error>(self, n: i64) -> Result<Scalar, E> {
                Ok(Scalar(n.to_string()))
            }
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Scalar, E> {
                Ok(Scalar(n.to_string()))
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar(truth.to_string()))
            }
        }
        // The text as written: `1.50` stays `1.50`, as in the cell.
        deserializer.deserialize_str(Written)
    }
}

/// The number of findings from which a rule warns or fails: a count (`10`), or a share of the records (`1%`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// At least this many findings.
    Count(u64),
    /// Findings for at least this share of the records, in (0, 1].
    Share(f64),
}

impl Threshold {
    /// Returns whether `count` findings in `records` records reach the threshold; 0 findings never do.
    #[must_use]
    pub fn is_reached(self, count: u64, records: u64) -> bool {
        count > 0
            && match self {
                Self::Count(least) => count >= least,
                Self::Share(share) => count as f64 >= share * records as f64,
            }
    }

    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.strip_suffix('%') {
            None => text.parse().ok().filter(|&count| count > 0).map(Self::Count),
            Some(percent) => {
                let percent: f64 = percent.trim().parse().ok()?;
                (percent > 0.0 && percent <= 100.0).then_some(Self::Share(percent / 100.0))
            }
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            // Rounded, because dividing and multiplying a float by 100 may change its last digits.
            Self::Share(share) => write!(f, "{}%", (share * 1e10).round() / 1e8),
        }
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Scalar(text) = Scalar::deserialize(deserializer)?;
        Self::of(&text).ok_or_else(|| {
            let shown = botops_text::display(&text, 40);
            de::Error::custom(format!(
                "`{shown}` is neither a count of at least 1, such as 10, nor a share, such as 1%"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_count_or_a_share() {
        assert_eq!(Threshold::of("10"), Some(Threshold::Count(10)));
        assert_eq!(Threshold::of(" 0.5 % "), Some(Threshold::Share(0.005)));
        for text in ["0", "-1", "0%", "101%", "1.5", "many", ""] {
            assert_eq!(Threshold::of(text), None, "{text}");
        }
        assert_eq!(Threshold::Share(0.07).to_string(), "7%");
        assert_eq!(Threshold::Share(0.005).to_string(), "0.5%");
    }

    #[test]
    fn a_threshold_is_reached_by_its_number_and_never_by_zero() {
        assert!(Threshold::Count(10).is_reached(10, 1_000));
        assert!(!Threshold::Count(10).is_reached(9, 1_000));
        assert!(Threshold::Share(0.01).is_reached(10, 1_000));
        assert!(!Threshold::Share(0.01).is_reached(9, 1_000));
        assert!(!Threshold::Share(0.01).is_reached(0, 0));
    }
}
