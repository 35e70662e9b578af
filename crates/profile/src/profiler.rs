//! The profiler: rows go in one by one, the profile comes out. Its memory does not grow with the number of rows.

use crate::{
    column_summary::Column,
    results::{
        Balance, ColumnProfile, IntentProfile, LengthBin, Lengths, Profile, TextProfile, UNTOLD,
    },
};
use botops_datasets::{
    column_roles::Roles,
    table::{Row, Shape},
    value::Value,
};
use botops_digest::Digest;
use botops_text::{
    self as text, GuessedLanguage, LanguageGuesser, base_language, can_be_guessed, utterance,
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

/// The most utterances shown per intent.
const SAMPLES: usize = 3;
/// The most values shown per column.
const TOP: usize = 5;
/// The most characters shown of a value.
const MOST_CHARS: usize = 120;
/// The longest length that is counted; longer ones count as this length.
const LONGEST: u64 = 100_000;
/// The most intents, and the most languages, that are counted separately; later ones are counted together.
const MOST_CLASSES: usize = 10_000;
/// The name under which the classes beyond [`MOST_CLASSES`] are counted.
const BEYOND: &str = "(more)";
/// The mark of a guessed language, after its code.
const GUESSED: &str = " (guessed)";
/// The upper edges of the bins of words per text; the last bin has none.
const WORDS: [u64; 25] =
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30, 35, 40, 50, 75, 100, 150, 200, 500];
/// The upper edges of the bins of characters per text.
const CHARS: [u64; 22] = [
    5, 10, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90, 100, 125, 150, 200, 250, 300, 500, 1_000, 2_000,
    5_000,
];

/// Builds a [`Profile`] from rows.
#[derive(Debug)]
pub struct Profiler {
    shape: Shape,
    records: u64,
    columns: Vec<Column>,
    words: LengthCounts,
    chars: LengthCounts,
    empty: u64,
    unlabelled: u64,
    intents: BTreeMap<String, Intent>,
    languages: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Debug, Default)]
struct Intent {
    records: u64,
    languages: BTreeMap<String, u64>,
    words: LengthCounts,
    /// The texts with the smallest digests: a choice that does not depend on the order of the file.
    samples: BTreeSet<(Digest, String)>,
}

impl Intent {
    /// Adds the records of `other`.
    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.words.merge(other.words);
        add_up(&mut self.languages, other.languages);
        self.samples.extend(other.samples);
        while self.samples.len() > SAMPLES {
            self.samples.pop_last();
        }
    }
}

impl Profiler {
    /// Begins a profile of rows with these columns.
    pub fn new(shape: &Shape) -> Self {
        Self {
            shape: shape.clone(),
            records: 0,
            columns: shape.names.iter().map(|_| Column::new()).collect(),
            words: LengthCounts::default(),
            chars: LengthCounts::default(),
            empty: 0,
            unlabelled: 0,
            intents: BTreeMap::new(),
            languages: BTreeMap::new(),
        }
    }

    /// Adds a record.
    pub fn add(&mut self, row: Row<'_>) {
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
        let any = LanguageGuesser::any();
        let guess = match declared {
            Some(declared) => any.reads_as(text, declared),
            None => any.guess(text),
        };
        let guess = guess.map(GuessedLanguage::code);
        let of_declared = class(&mut self.languages, declared.unwrap_or(UNTOLD));
        *class(of_declared, guess.unwrap_or(UNTOLD)) += 1;
        let Some(name) = filled(roles.intent) else {
            self.unlabelled += u64::from(roles.intent.is_some());
            return;
        };
        let intent = class(&mut self.intents, name);
        intent.records += 1;
        let language = match (declared, guess) {
            (Some(declared), _) => declared,
            (None, Some(guess)) => &marked(guess),
            (None, None) => UNTOLD,
        };
        *class(&mut intent.languages, language) += 1;
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

    /// Drops guesses of languages that no record declares, if at least two known languages are declared.
    fn keep_declared_guesses(&mut self) {
        let declared: BTreeSet<String> = self
            .languages
            .keys()
            .filter(|name| can_be_guessed(name))
            .map(|name| base_language(name).to_owned())
            .collect();
        if declared.len() < 2 {
            return;
        }
        for guesses in self.languages.values_mut() {
            merge_into_untold(guesses, |guess| declared.contains(guess));
        }
        let marked: BTreeSet<String> = declared.iter().map(|name| marked(name)).collect();
        for intent in self.intents.values_mut() {
            merge_into_untold(&mut intent.languages, |name| {
                !name.ends_with(GUESSED) || marked.contains(name)
            });
        }
    }

    /// Returns the profile of the records, with `name` as the name of the data set.
    ///
    /// Personal data are removed from the names of classes; classes whose names are then equal are merged.
    pub fn finish(mut self, name: &str) -> Profile {
        self.keep_declared_guesses();
        self.languages = named(self.languages, add_up);
        self.intents = named(self.intents, Intent::merge);
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
        let sizes = self.intents.iter().filter(|(name, _)| *name != botops_labels::OOS);
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

/// Returns the entry of `name`, or the shared one if there are [`MOST_CLASSES`] classes already.
fn class<'a, T: Default>(classes: &'a mut BTreeMap<String, T>, name: &str) -> &'a mut T {
    if !classes.contains_key(name) {
        let name = if classes.len() < MOST_CLASSES { name } else { BEYOND };
        return classes.entry(name.to_owned()).or_default();
    }
    classes.get_mut(name).expect("the map has the name")
}

/// Returns the name of a guessed language, marked as such.
fn marked(guess: &str) -> String {
    format!("{guess}{GUESSED}")
}

/// Counts the names that are not kept as [`UNTOLD`].
fn merge_into_untold(counts: &mut BTreeMap<String, u64>, keep: impl Fn(&str) -> bool) {
    let dropped: Vec<String> =
        counts.keys().filter(|name| *name != UNTOLD && !keep(name)).cloned().collect();
    for name in dropped {
        let n = counts.remove(&name).unwrap_or(0);
        *counts.entry(UNTOLD.to_owned()).or_default() += n;
    }
}

/// Returns `classes` by their names without personal data; `add` merges those whose names are then equal.
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

/// Adds the counts of `more` to `counts`.
fn add_up(counts: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (name, n) in more {
        *counts.entry(name).or_default() += n;
    }
}

/// Returns the balance of intents with these `sizes`, in records; `None` for fewer than two intents.
pub(crate) fn balance(sizes: impl Iterator<Item = u64>) -> Option<Balance> {
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
    // A column of distinct values has no frequent one.
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

/// Returns a number or time as people write it.
fn shown(value: Value) -> String {
    match value {
        // Adding 0 turns minus zero into zero.
        Value::Number(number) => (number + 0.0).to_string(),
        Value::Time(milliseconds) => DateTime::<Utc>::from_timestamp_millis(milliseconds)
            .map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
    }
}

/// The number of texts of each length.
#[derive(Debug, Default)]
struct LengthCounts {
    counts: BTreeMap<u64, u64>,
    n: u64,
    sum: u64,
    max: u64,
}

impl LengthCounts {
    fn merge(&mut self, other: Self) {
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

    /// Returns the length at `position`, from 0, in the sorted lengths.
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
