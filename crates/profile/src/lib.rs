//! What a data set is made of: classes, lengths, languages, columns.
//!
//! In: the rows of a file, once. Out: a [`Profile`], whose size and whose making do not grow with the file.

mod column_summary;
mod inference;
mod profiler;

pub use inference::{Inferred, infer, infer_bytes};
pub use profiler::Profiler;

use botops_datasets::{Dataset, ReadOptions, RecordRows, Source, TableRows, table::Origin};
use botops_findings::Result;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    path::Path,
};

/// The language of a text that does not tell its own, or of a record that declares none.
pub const UNTOLD: &str = "untold";

/// What a data set is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// `botops.profile/1`.
    pub schema: String,
    /// The file, as the user named it.
    pub name: String,
    /// How many records there are.
    pub records: u64,
    /// The texts and their labels; `None` where no column holds a text.
    pub text: Option<TextProfile>,
    /// Every column, in the order of the file.
    pub columns: Vec<ColumnProfile>,
}

/// The texts of a data set, and what they are labelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextProfile {
    /// Words a text, as [`botops_text::words`] parts them; of texts that are not empty.
    pub words: Lengths,
    /// Code points a text; of texts that are not empty.
    pub chars: Lengths,
    /// Texts that are empty.
    pub empty: u64,
    /// By intent, whose name is without personal data.
    pub intents: BTreeMap<String, IntentProfile>,
    /// Records without an intent, where the data has a column of them.
    pub unlabelled: u64,
    /// How evenly records are spread over the intents, out of scope not counted; `None` for fewer than two.
    pub balance: Option<Balance>,
    /// Records by the language that is declared (without personal data) and the one that is detected; [`UNTOLD`] where there is none.
    pub languages: BTreeMap<String, BTreeMap<String, u64>>,
}

/// One intent of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IntentProfile {
    /// Its records.
    pub records: u64,
    /// By language: declared, else detected, else [`UNTOLD`].
    pub languages: BTreeMap<String, u64>,
    /// Median of the words a text; 0 when all are empty.
    pub median_words: f64,
    /// A few of its texts, drawn by their digests, without personal data.
    pub samples: Vec<String>,
}

/// How evenly records are spread over intents.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// Intents with a record.
    pub intents: u64,
    /// Records of the largest over those of the smallest; 1 is even.
    pub ratio: f64,
    /// e to the entropy of their shares, in nats: that many intents of one size would be spread as widely (Hill number
    /// of order 1; Hill, Ecology 1973).
    pub effective: f64,
}

/// How long texts are: quantiles by linear interpolation (type 7 of Hyndman and Fan, as numpy's default).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// The shortest.
    pub min: f64,
    /// The quantile 0.05.
    pub p05: f64,
    /// The median.
    pub median: f64,
    /// The quantile 0.95.
    pub p95: f64,
    /// The longest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// How many texts are of which length; the edges are the same for every data set, so that two can be compared.
    pub bins: Vec<LengthBin>,
}

/// Texts of `from` to `to` words or code points, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LengthBin {
    /// The shortest.
    pub from: u64,
    /// The longest; `None` for the last bin, which has no end.
    pub to: Option<u64>,
    /// How many there are.
    pub n: u64,
}

/// One column of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name, without personal data.
    pub name: String,
    /// `text`, `intent`, `lang` or `entities`, where it has such a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Cells with something in them.
    pub filled: u64,
    /// Empty ones.
    pub empty: u64,
    /// The narrowest type all its values have: `boolean`, `integer`, `number`, `date`, `datetime`, else `text`.
    pub kind: String,
    /// How many different values it has; `None`: more than 200.
    pub distinct: Option<u64>,
    /// Whether no value was there twice, as far as was looked (200,000 values).
    pub unique: bool,
    /// The least value of numbers and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The greatest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// The fewest characters of a value.
    pub shortest: u64,
    /// The most.
    pub longest: u64,
    /// The most frequent values, where there are few different ones, without personal data.
    pub top: Vec<(String, u64)>,
    /// Values that hold personal data.
    pub personal: u64,
}

/// Two profiles that are held against each other: what was read and what was accepted, or what was and what is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileChange {
    /// What was.
    pub before: Profile,
    /// What is.
    pub after: Profile,
}

impl TextProfile {
    /// Returns the intents of this and of what was `before`, each with its records then and now: those with the most now
    /// first, then by name.
    #[must_use]
    pub fn intents_beside<'a>(&'a self, before: Option<&'a Self>) -> Vec<(&'a str, [u64; 2])> {
        let mut records: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (side, text) in [(0, before), (1, Some(self))] {
            for (name, intent) in text.into_iter().flat_map(|text| &text.intents) {
                records.entry(name).or_default()[side] = intent.records;
            }
        }
        let mut records: Vec<_> = records.into_iter().collect();
        // Stable, so that those of one size stay in the order of their names.
        records.sort_by_key(|(_, [_, now])| std::cmp::Reverse(*now));
        records
    }

    /// Returns the languages that records with an intent are in, at most `most`: the most frequent first, then by name.
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

    /// Returns every language that a text reads as, with [`UNTOLD`] where one does not tell.
    #[must_use]
    pub fn detected(&self) -> BTreeSet<&str> {
        self.languages.values().flat_map(BTreeMap::keys).map(String::as_str).collect()
    }
}

/// Profiles the file at `path`, or the files that it names as a pattern.
///
/// # Errors
/// Those of reading.
pub fn profile(path: &Path, read: &ReadOptions) -> Result<Profile> {
    of(TableRows::open(Origin::of(path)?, read, None)?)
}

/// As [`profile`], from a file of these `bytes` called `name`, whose ending says its format.
///
/// # Errors
/// Those of reading.
pub fn profile_bytes(bytes: Bytes, name: &str, read: &ReadOptions) -> Result<Profile> {
    of(TableRows::open(Origin::held(bytes, name), read, None)?)
}

/// Profiles records in memory: the columns that have a role.
///
/// # Panics
/// Never: they were read before.
#[must_use]
pub fn profile_records(data: &Dataset) -> Profile {
    of(RecordRows::new(data)).expect("records that were read are read again from memory")
}

fn of(mut source: impl Source) -> Result<Profile> {
    let mut profiler = Profiler::new(source.shape());
    source.each(&mut |row| {
        profiler.add(row);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(profiler.finish(source.name()))
}

#[cfg(test)]
mod tests {
    use super::{profiler::balance, *};

    fn profiled(csv: &str) -> Profile {
        let read = ReadOptions {
            intent: botops_datasets::Presence::Optional,
            text: botops_datasets::Presence::Optional,
            ..ReadOptions::default()
        };
        profile_bytes(Bytes::copy_from_slice(csv.as_bytes()), "a.csv", &read).unwrap()
    }

    #[test]
    fn classes_lengths_and_languages_agree_with_counting_by_hand() {
        let profile = profiled(
            "text,intent,lang,n\nab,a,en,1\nabcd,a,fr,2\n\"where is my order, please\",b,fr,-3\n\
             0123456789,b,,\n,,en,2\nwhat is it,oos,en,2\n",
        );
        assert_eq!(profile.records, 6);
        let text = profile.text.unwrap();
        // Quantiles: numpy 2.3 `np.quantile([2, 4, 25, 10, 10], [0, .05, .5, .95, 1])`.
        let chars = &text.chars;
        assert_eq!((chars.min, chars.median, chars.max, chars.mean), (2.0, 10.0, 25.0, 10.2));
        assert!((chars.p05 - 2.4).abs() < 1e-12 && (chars.p95 - 22.0).abs() < 1e-12, "{chars:?}");
        let bins: Vec<_> = chars.bins.iter().filter(|bin| bin.n > 0).collect();
        assert_eq!(
            bins.iter().map(|bin| (bin.from, bin.n)).collect::<Vec<_>>(),
            [(0, 2), (6, 2), (21, 1)]
        );
        assert_eq!((text.empty, text.unlabelled, text.words.max), (1, 1, 5.0));
        assert_eq!((text.intents["a"].records, text.intents["a"].languages["fr"]), (2, 1));
        assert_eq!(text.intents["b"].languages.keys().collect::<Vec<_>>(), ["fr", UNTOLD]);
        assert_eq!(text.intents["b"].samples.len(), 2);
        assert_eq!(text.languages["fr"]["en"], 1, "declared fr, and English: {:?}", text.languages);
        // Out of scope is no class: two intents of two records each.
        let balance = text.balance.unwrap();
        assert_eq!((balance.intents, balance.ratio), (2, 1.0));
        assert!((balance.effective - 2.0).abs() < 1e-12);
        let n = &profile.columns[3];
        assert_eq!((n.kind.as_str(), n.filled, n.empty, n.distinct), ("integer", 5, 1, Some(3)));
        assert_eq!((n.min.as_deref(), n.max.as_deref()), (Some("-3"), Some("2")));
        assert_eq!(n.top[0], ("2".to_owned(), 3));
        assert_eq!(profile.columns[1].role.as_deref(), Some("intent"));
    }

    #[test]
    fn what_is_shown_is_without_personal_data_whatever_the_order_of_the_file() {
        let lines = ["write to me@example.org,a", "b,a", "c,a", "d,a", "e,a"];
        let forward = profiled(&format!("text,intent\n{}\n", lines.join("\n")));
        let backward: Vec<&str> = lines.iter().rev().copied().collect();
        let backward = profiled(&format!("text,intent\n{}\n", backward.join("\n")));
        assert_eq!(forward, backward);
        assert_eq!(forward.columns[0].personal, 1);
        assert!(!serde_json::to_string(&forward).unwrap().contains("me@example.org"));
        let one = profiled("text,intent\nwrite to me@example.org,a\n");
        assert_eq!(one.text.unwrap().intents["a"].samples, ["write to [email]"]);
    }

    #[test]
    fn names_are_without_personal_data_and_add_up() {
        let profile = profiled(
            "text,intent,lang,me@example.org\na b,me@example.org,a@example.org,1\n\
             a b c d,you@example.org,b@example.org,2\na,c,en,3\n",
        );
        assert!(!serde_json::to_string(&profile).unwrap().contains("@example.org"));
        assert_eq!(profile.columns[3].name, "[email]");
        let text = profile.text.unwrap();
        let one = &text.intents["[email]"];
        assert_eq!((one.records, one.median_words, one.samples.len()), (2, 3.0, 2));
        assert_eq!(one.languages, BTreeMap::from([("[email]".to_owned(), 2)]));
        assert_eq!(text.languages["[email]"].values().sum::<u64>(), 2);
        assert_eq!(text.balance.unwrap().intents, 2);
    }

    #[test]
    fn a_table_without_texts_has_a_profile_too() {
        let bare = profiled("n,m\n1,2\n");
        assert_eq!((bare.records, bare.text.is_none(), bare.columns.len()), (1, true, 2));
        let empty = profiled("text,intent\n,a\n").text.unwrap();
        assert_eq!((empty.chars.max, empty.words.median, empty.balance), (0.0, 0.0, None));
    }

    #[test]
    fn balance_is_that_of_the_shares() {
        // exp(-(0.75 ln 0.75 + 0.25 ln 0.25)), by hand.
        let uneven = balance([30, 10].into_iter()).unwrap();
        assert_eq!(uneven.ratio, 3.0);
        assert!((uneven.effective - 1.754_765_350_603_323_4).abs() < 1e-12, "{uneven:?}");
        assert_eq!(balance([3].into_iter()), None);
    }
}
