//! The profile of a data set, as it is stored and shown: sizes, texts, intents, languages and columns.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The language of a text that does not tell its language, or of a record that declares none.
pub const UNTOLD: &str = "untold";

/// The content of a data set in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The format: `botops.profile/1`.
    pub schema: String,
    /// The file, as the user named it.
    pub name: String,
    /// The number of records.
    pub records: u64,
    /// The texts and their labels; `None` without a text column.
    pub text: Option<TextProfile>,
    /// Every column, in the order of the file.
    pub columns: Vec<ColumnProfile>,
}

/// The texts of a data set and their labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextProfile {
    /// Words per text, as [`botops_text::words`] splits them; empty texts do not count.
    pub words: Lengths,
    /// Code points per text; empty texts do not count.
    pub chars: Lengths,
    /// The number of empty texts.
    pub empty: u64,
    /// The intents by name, without personal data.
    pub intents: BTreeMap<String, IntentProfile>,
    /// Records without an intent; 0 without an intent column.
    pub unlabelled: u64,
    /// The balance of the intents, out-of-scope records excluded; `None` for fewer than two intents.
    pub balance: Option<Balance>,
    /// Records by declared language (without personal data), then by guessed language; [`UNTOLD`] stands for none. If at least two known
    /// languages are declared, only these are guessed.
    pub languages: BTreeMap<String, BTreeMap<String, u64>>,
}

/// One intent of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IntentProfile {
    /// The number of records.
    pub records: u64,
    /// Records by language: the declared one, or else the guessed one (`en (guessed)`), or else [`UNTOLD`].
    pub languages: BTreeMap<String, u64>,
    /// The median number of words per text; 0 when all texts are empty.
    pub median_words: f64,
    /// A few of its texts, chosen by their digests, without personal data.
    pub samples: Vec<String>,
}

/// The balance of the intents: how evenly the records are spread over them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// The number of intents with a record.
    pub intents: u64,
    /// The records of the largest intent divided by those of the smallest; 1 is even.
    pub ratio: f64,
    /// The effective number of intents: exp(entropy of their shares, in nats), the number of intents of equal size with
    /// the same entropy (Hill number of order 1; Hill, Ecology 1973).
    pub effective: f64,
}

/// The lengths of texts: quantiles by linear interpolation (type 7 of Hyndman and Fan, the default of numpy).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// The shortest.
    pub min: f64,
    /// The 0.05 quantile.
    pub p05: f64,
    /// The median.
    pub median: f64,
    /// The 0.95 quantile.
    pub p95: f64,
    /// The longest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The number of texts by length; the edges are the same for every data set, so that two can be compared.
    pub bins: Vec<LengthBin>,
}

/// The number of texts of `from` to `to` words or code points, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthBin {
    /// The shortest length.
    pub from: u64,
    /// The longest length; `None` for the last bin, which has no upper edge.
    pub to: Option<u64>,
    /// The number of texts.
    pub n: u64,
}

/// One column of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// The name, without personal data.
    pub name: String,
    /// The role: `text`, `intent`, `lang` or `entities`; `None` for another column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Cells with a value.
    pub filled: u64,
    /// Empty cells.
    pub empty: u64,
    /// The narrowest type of all values: `boolean`, `integer`, `number`, `date`, `datetime`, else `text`.
    pub kind: String,
    /// The number of distinct values; `None`: more than 200.
    pub distinct: Option<u64>,
    /// Whether no value occurs twice; `false` for a column of more than 200,000 values, which are not all compared.
    pub unique: bool,
    /// The smallest number or time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest number or time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The length of the shortest value, in characters.
    pub shortest: u64,
    /// The length of the longest value, in characters.
    pub longest: u64,
    /// The most frequent values, without personal data; empty if there are too many distinct values.
    pub top: Vec<(String, u64)>,
    /// The number of values with personal data.
    pub personal: u64,
}

/// Two profiles to compare: of the records read and of those accepted, or of an earlier and a later data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileChange {
    /// The profile before.
    pub before: Profile,
    /// The profile after.
    pub after: Profile,
}

impl TextProfile {
    /// Returns the intents of this profile and of the one `before`, each with its records there and here: by most records
    /// here, then by name.
    #[must_use]
    pub fn intents_beside<'a>(&'a self, before: Option<&'a Self>) -> Vec<(&'a str, [u64; 2])> {
        let mut records: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (side, text) in [(0, before), (1, Some(self))] {
            for (name, intent) in text.into_iter().flat_map(|text| &text.intents) {
                records.entry(name).or_default()[side] = intent.records;
            }
        }
        let mut records: Vec<_> = records.into_iter().collect();
        // The sort is stable: intents of one size stay in the order of their names.
        records.sort_by_key(|(_, [_, after])| std::cmp::Reverse(*after));
        records
    }

    /// Returns the languages of the records with an intent, at most `most` of them: by frequency, then by name.
    #[must_use]
    pub fn frequent_languages(&self, most: usize) -> Vec<&str> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (language, n) in self.intents.values().flat_map(|intent| &intent.languages) {
            *counts.entry(language).or_default() += n;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        counts.into_iter().take(most).map(|(language, _)| language).collect()
    }

    /// Returns every guessed language, with [`UNTOLD`] if some text does not tell.
    #[must_use]
    pub fn guessed(&self) -> BTreeSet<&str> {
        self.languages.values().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }
}
