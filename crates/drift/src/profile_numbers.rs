//! The quantities of a profile, and the scale in which each is sketched.

use botops_stats::sketch::Sketch;
use serde::{Deserialize, Serialize};

/// The odds that stand for a share of 1.
const CERTAIN: f64 = 1_073_741_824.0;

/// A number of a row.
///
/// A profile returns the value of a row with an error of at most
///
/// - `confidence`, `unseen_word_rate`: 1 % of p (1 - p), and one in the sixth digit; 0 and 1 are exact
/// - `length_words`, `length_chars`: 1 % and half a unit; up to 49 they are exact
/// - `oos_score`, `latency_ms`: 1 %
///
/// unless a sketch had more than 2,048 buckets, whose values span 17 orders of magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The confidence, in [0, 1].
    Confidence,
    /// The score that the model compares with the threshold of its fallback.
    OosScore,
    /// The number of words.
    LengthWords,
    /// The number of characters.
    LengthChars,
    /// The share of words unknown to the model, in [0, 1].
    UnseenWordRate,
    /// The time of the answer in milliseconds.
    LatencyMs,
}

/// The way in which a quantity is sketched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// As it is.
    Plain,
    /// As it is; values are rounded to whole numbers.
    Whole,
    /// As odds, which have as many buckets near 1 as near 0: most confidences are near 1. Six digits count, as many as the
    /// prediction log keeps.
    Share,
}

impl Quantity {
    /// Every quantity.
    pub const ALL: [Self; 6] = [
        Self::Confidence,
        Self::OosScore,
        Self::LengthWords,
        Self::LengthChars,
        Self::UnseenWordRate,
        Self::LatencyMs,
    ];

    fn scale(self) -> Scale {
        match self {
            Self::Confidence | Self::UnseenWordRate => Scale::Share,
            Self::LengthWords | Self::LengthChars => Scale::Whole,
            Self::OosScore | Self::LatencyMs => Scale::Plain,
        }
    }

    /// Returns the number that is sketched for `value`.
    pub(crate) fn scaled(self, value: f64) -> f64 {
        match self.scale() {
            Scale::Plain | Scale::Whole => value,
            Scale::Share => {
                let share = six_digits(value.clamp(0.0, 1.0));
                (share / (1.0 - share)).min(CERTAIN)
            }
        }
    }

    /// Returns the value of a number that was sketched.
    pub(crate) fn unscaled(self, number: f64) -> f64 {
        match self.scale() {
            Scale::Plain => number,
            Scale::Whole => number.round(),
            Scale::Share => six_digits(number / (1.0 + number)),
        }
    }

    /// Returns the values of a sketch with their counts, rising, each once.
    pub(crate) fn values(self, sketch: &Sketch) -> Vec<(f64, u64)> {
        let mut values: Vec<(f64, u64)> = Vec::new();
        for (number, n) in sketch.values() {
            let value = self.unscaled(number);
            match values.last_mut() {
                Some((last, count)) if *last >= value => *count += n,
                _ => values.push((value, n)),
            }
        }
        values
    }
}

fn six_digits(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}
