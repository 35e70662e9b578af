//! What a data set is made of: classes, lengths, languages, columns.
//!
//! In: the rows of a file, once. Out: a [`Profile`], whose size and whose making do not grow with the file.

use super::{
    Dataset, ReadOptions,
    columns::Roles,
    expectations::value::Value,
    survey::Column,
    table::{Origin, Row, Shape},
    validation::{RecordRows, Source, TableRows},
};
use crate::{
    digest::Digest,
    findings::Result,
    text::{self, detect_language, utterance},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::ControlFlow,
    path::Path,
};

/// Utterances shown of an intent.
const SAMPLES: usize = 3;
/// Values shown of a column.
const TOP: usize = 5;
/// The longest value shown.
const MOST_CHARS: usize = 120;
/// Lengths from here on are counted as this one.
const LONGEST: u64 = 100_000;
/// Intents and languages that are told apart; what comes after them is counted together.
const MOST_CLASSES: usize = 10_000;
/// What the classes beyond [`MOST_CLASSES`] are counted as.
const BEYOND: &str = "(more)";
/// The language of a text that does not tell its own, or of a record that declares none.
pub const UNTOLD: &str = "untold";

/// The upper edges of the bins of words a text; the last bin has none.
const WORDS: [u64; 25] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 50, 75, 100, 150, 200, 500];
/// The upper edges of the bins of characters a text.
const CHARS: [u64; 22] = [
    5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 125, 150, 200, 250, 300, 500, 1_000, 2_000,
    5_000,
];

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
    /// Words a text, as [`text::words`] parts them; of texts that are not empty.
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

/// A profile in the making.
#[derive(Debug)]
pub(super) struct Profiler {
    shape: Shape,
    records: u64,
    columns: Vec<Column>,
    words: Counted,
    chars: Counted,
    empty: u64,
    unlabelled: u64,
    intents: BTreeMap<String, Intent>,
    languages: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Debug, Default)]
struct Intent {
    records: u64,
    languages: BTreeMap<String, u64>,
    words: Counted,
    /// Those of the least digests: a draw that does not depend on the order of the file.
    samples: BTreeSet<(Digest, String)>,
}

impl Intent {
    /// Takes the records of `other`.
    fn take(&mut self, other: Self) {
        self.records += other.records;
        self.words.take(other.words);
        add_up(&mut self.languages, other.languages);
        self.samples.extend(other.samples);
        while self.samples.len() > SAMPLES {
            self.samples.pop_last();
        }
    }
}

impl Profiler {
    /// Begins with columns of this `shape`.
    pub(super) fn new(shape: &Shape) -> Self {
        Self {
            shape: shape.clone(),
            records: 0,
            columns: shape.names.iter().map(|_| Column::new()).collect(),
            words: Counted::default(),
            chars: Counted::default(),
            empty: 0,
            unlabelled: 0,
            intents: BTreeMap::new(),
            languages: BTreeMap::new(),
        }
    }

    /// Takes the next record.
    pub(super) fn add(&mut self, row: Row<'_>) {
        self.records += 1;
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.add(row.cell(at));
        }
        if let Some(roles) = self.shape.roles.clone() {
            self.add_text(&roles, row);
        }
    }

    fn add_text(&mut self, roles: &Roles, row: Row<'_>) {
        let filled = |column: Option<usize>| {
            column.map(|column| row.cell(column).trim()).filter(|cell| !cell.is_empty())
        };
        let text = row.cell(roles.text).trim();
        let n_words = text::words(text).count() as u64;
        if text.is_empty() {
            self.empty += 1;
        } else {
            self.words.add(n_words);
            self.chars.add(text.chars().count() as u64);
        }
        let declared = filled(roles.lang);
        let detected = detect_language(text);
        let of_declared = class(&mut self.languages, declared.unwrap_or(UNTOLD));
        *class(of_declared, detected.unwrap_or(UNTOLD)) += 1;
        let Some(name) = filled(roles.intent) else {
            self.unlabelled += u64::from(roles.intent.is_some());
            return;
        };
        let intent = class(&mut self.intents, name);
        intent.records += 1;
        *class(&mut intent.languages, declared.or(detected).unwrap_or(UNTOLD)) += 1;
        if text.is_empty() {
            return;
        }
        intent.words.add(n_words);
        let digest = Digest::of(text.as_bytes());
        if intent.samples.len() < SAMPLES
            || intent.samples.last().is_some_and(|(last, _)| digest < *last)
        {
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            intent.samples.insert((digest, utterance(&one_line, MOST_CHARS)));
            if intent.samples.len() > SAMPLES {
                intent.samples.pop_last();
            }
        }
    }

    /// Returns the profile of what was taken, which is called `name`; classes whose names are equal without personal data
    /// are one.
    pub(super) fn finish(mut self, name: &str) -> Profile {
        self.languages = named(self.languages, add_up);
        self.intents = named(self.intents, Intent::take);
        for intent in self.intents.values_mut() {
            intent.languages = named(std::mem::take(&mut intent.languages), |n, more| *n += more);
        }
        let Self { shape, columns, records, .. } = &self;
        let roles = shape.roles.as_ref();
        let role_of = |at: usize| {
            let roles = roles?;
            let all = [
                ("text", Some(roles.text)),
                ("intent", roles.intent),
                ("lang", roles.lang),
                ("entities", roles.entities),
            ];
            all.into_iter().find(|(_, column)| *column == Some(at)).map(|(role, _)| role.to_owned())
        };
        let columns = columns.iter().zip(&shape.names).enumerate();
        let columns = columns.map(|(at, (column, name))| summary(column, name, role_of(at)));
        Profile {
            schema: "botops.profile/1".to_owned(),
            name: name.to_owned(),
            records: *records,
            columns: columns.collect(),
            text: roles.is_some().then(|| self.text()),
        }
    }

    fn text(&self) -> TextProfile {
        let intents = self.intents.iter().map(|(name, intent)| {
            let profile = IntentProfile {
                records: intent.records,
                languages: intent.languages.clone(),
                median_words: intent.words.quantile(0.5),
                samples: intent.samples.iter().map(|(_, text)| text.clone()).collect(),
            };
            (name.clone(), profile)
        });
        let sizes = self.intents.iter().filter(|(name, _)| *name != crate::labels::OOS);
        TextProfile {
            words: self.words.lengths(&WORDS),
            chars: self.chars.lengths(&CHARS),
            empty: self.empty,
            unlabelled: self.unlabelled,
            balance: balance(sizes.map(|(_, intent)| intent.records)),
            intents: intents.collect(),
            languages: self.languages.clone(),
        }
    }
}

/// Returns the entry of `name`, or the one for all that came too late to have their own.
fn class<'a, T: Default>(classes: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    if !classes.contains_key(name) {
        let name = if classes.len() < MOST_CLASSES { name } else { BEYOND };
        return classes.entry(name.to_owned()).or_default();
    }
    classes.get_mut(name).expect("it was just looked up")
}

/// Returns `classes` by their names without personal data; `add` makes one of those whose names are then equal.
fn named<T>(classes: BTreeMap<String, T>, add: impl Fn(&mut T, T)) -> BTreeMap<String, T> {
    let mut out = BTreeMap::new();
    for (name, class) in classes {
        match out.entry(text::redact(&name)) {
            Entry::Vacant(place) => drop(place.insert(class)),
            Entry::Occupied(mut place) => add(place.get_mut(), class),
        }
    }
    out
}

/// Adds the counts of `more` to those `there`.
fn add_up(there: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (name, n) in more {
        *there.entry(name).or_default() += n;
    }
}

fn balance(sizes: impl Iterator<Item = u64>) -> Option<Balance> {
    let sizes: Vec<f64> = sizes.map(|n| n as f64).collect();
    if sizes.len() < 2 {
        return None;
    }
    let total: f64 = sizes.iter().sum();
    let entropy: f64 = sizes.iter().map(|n| -(n / total) * (n / total).ln()).sum();
    let most = sizes.iter().copied().fold(0.0, f64::max);
    let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    Some(Balance { intents: sizes.len() as u64, ratio: most / least, effective: entropy.exp() })
}

fn summary(column: &Column, name: &str, role: Option<String>) -> ColumnProfile {
    let mut top: Vec<(&String, u64)> =
        column.values.iter().flatten().map(|(value, n)| (value, *n)).collect();
    top.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    // A column of different values all over has none that is frequent.
    let is_set = top.first().is_some_and(|(_, n)| *n > 1);
    let top = top.into_iter().take(if is_set { TOP } else { 0 });
    ColumnProfile {
        name: text::redact(name),
        role,
        filled: column.filled,
        empty: column.missing,
        kind: column.kind().map_or("text", |kind| kind.key()).to_owned(),
        distinct: column.values.as_ref().map(|values| values.len() as u64),
        unique: column.is_unique(),
        min: column.low.map(shown),
        max: column.high.map(shown),
        shortest: if column.filled > 0 { column.shortest as u64 } else { 0 },
        longest: column.longest as u64,
        top: top.map(|(value, n)| (utterance(value, MOST_CHARS), n)).collect(),
        personal: column.personal,
    }
}

/// Returns a bound of numbers or times as people write it.
fn shown(value: Value) -> String {
    match value {
        // Minus zero is zero.
        Value::Number(number) => (number + 0.0).to_string(),
        Value::Time(milliseconds) => DateTime::<Utc>::from_timestamp_millis(milliseconds)
            .map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
    }
}

/// How often each length was met.
#[derive(Debug, Default)]
struct Counted {
    counts: BTreeMap<u64, u64>,
    n: u64,
    sum: u64,
    max: u64,
}

impl Counted {
    fn take(&mut self, other: Self) {
        for (length, n) in other.counts {
            *self.counts.entry(length).or_default() += n;
        }
        self.n += other.n;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    fn add(&mut self, length: u64) {
        *self.counts.entry(length.min(LONGEST)).or_default() += 1;
        self.n += 1;
        self.sum = self.sum.saturating_add(length);
        self.max = self.max.max(length);
    }

    /// Returns the length at `position` from 0 of all lengths in order.
    fn at(&self, position: u64) -> f64 {
        let mut before = 0;
        for (&length, &n) in &self.counts {
            before += n;
            if position < before {
                return length as f64;
            }
        }
        0.0
    }

    fn quantile(&self, q: f64) -> f64 {
        let Some(last) = self.n.checked_sub(1) else { return 0.0 };
        let position = last as f64 * q;
        let (below, part) = (position.floor(), position.fract());
        let low = self.at(below as u64);
        let high = self.at((below as u64 + 1).min(last));
        low + (high - low) * part
    }

    fn lengths(&self, edges: &[u64]) -> Lengths {
        let mut from = 0;
        let ends = edges.iter().map(|&edge| Some(edge)).chain([None]);
        let bins = ends.map(|to| {
            let n = match to {
                Some(to) => self.counts.range(from..=to).map(|(_, n)| n).sum(),
                None => self.counts.range(from..).map(|(_, n)| n).sum(),
            };
            let bin = LengthBin { from, to, n };
            from = to.map_or(from, |to| to + 1);
            bin
        });
        Lengths {
            bins: bins.collect(),
            min: self.quantile(0.0),
            p05: self.quantile(0.05),
            median: self.quantile(0.5),
            p95: self.quantile(0.95),
            max: self.max as f64,
            mean: if self.n > 0 { self.sum as f64 / self.n as f64 } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiled(csv: &str) -> Profile {
        let read = ReadOptions {
            intent: crate::datasets::Presence::Optional,
            text: crate::datasets::Presence::Optional,
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
