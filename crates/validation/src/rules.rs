//! The rules of the expectations, bound to the columns of one file.

mod binding;

use super::{ByWord, WordSet, is_blank, shown};
use crate::{
    repeats::{Comparing, Key},
    tally::{At, Found, Sink, Told},
    utterance_checks::DamageSlots,
};
use botops_datasets::{ValueType, table::Row, value::Value};
use botops_digest::Digest;
use botops_expectations::condition::Comparison;
use botops_findings::Result;
use botops_spec::nearest;
use chrono::{DateTime, Utc};
use regex::Regex;
use std::{cmp::Ordering, collections::HashSet, time::Duration};

/// Different values of a column counted at most; one that has more is no class.
const MOST_VALUES: usize = 100_000;

/// The tests of one record, in the order of the rules.
#[derive(Debug)]
pub(crate) struct Rules {
    tests: Vec<Test>,
    conditions: Vec<Bound>,
}

/// What is gathered over all records.
#[derive(Debug)]
pub(crate) struct Gathering {
    counted: Vec<Counted>,
    newest: Vec<Newest>,
    pub(crate) unique: Vec<Unique>,
}

#[derive(Debug)]
struct Test {
    column: usize,
    name: String,
    /// Which of the conditions has to hold.
    when: Option<usize>,
    what: What,
}

#[derive(Debug)]
enum What {
    Required(usize),
    Value {
        kind: ValueType,
        wrong: Option<usize>,
        outside: Option<usize>,
        min: Option<(Value, String)>,
        max: Option<(Value, String)>,
    },
    Allowed {
        slot: usize,
        values: WordSet,
    },
    Forbidden {
        slot: usize,
        values: WordSet,
    },
    Chars {
        slot: usize,
        min: usize,
        max: usize,
    },
    Pattern {
        slot: usize,
        regex: Regex,
        is_wanted: bool,
    },
    Damage(DamageSlots),
    Personal(usize),
    Language {
        slot: usize,
        text: usize,
    },
    Compare {
        slot: usize,
        bound: Bound,
        text: String,
    },
    Reference {
        slot: usize,
        keys: HashSet<u128>,
        there: String,
    },
}

/// A comparison whose columns were found.
#[derive(Debug, Clone)]
struct Bound {
    left: usize,
    comparison: Comparison,
    right: Side,
}

#[derive(Debug, Clone)]
enum Side {
    Column(usize),
    Value(String),
}

/// How often each value of a column is there.
#[derive(Debug)]
struct Counted {
    column: usize,
    name: String,
    when: Option<usize>,
    fewest: Option<(usize, u64)>,
    imbalance: Option<(usize, f64)>,
    counts: ByWord<u64>,
    is_full: bool,
}

/// The newest time of a column.
#[derive(Debug)]
struct Newest {
    column: usize,
    name: String,
    when: Option<usize>,
    slot: usize,
    within: Duration,
    newest: Option<i64>,
}

/// Columns whose values are compared over all records.
#[derive(Debug)]
pub(crate) struct Unique {
    columns: Vec<usize>,
    when: Option<usize>,
    pub(crate) names: String,
    pub(crate) slot: usize,
    pub(crate) entries: Comparing,
}

impl Rules {
    /// Checks `row`.
    pub(crate) fn check(&self, row: Row<'_>, at: At, sink: &mut impl Sink) {
        for test in &self.tests {
            if !self.applies(test.when, row) {
                continue;
            }
            let cell = row.cell(test.column);
            let is_missing = is_blank(cell);
            match &test.what {
                What::Required(slot) if is_missing => {
                    sink.add(*slot, at, &[&test.name], || {
                        let help = "fill it in, or remove the record";
                        (format!("`{}` has no value", shown(&test.name)), help.to_owned())
                    });
                }
                What::Compare { slot, bound, text } => {
                    if let Some(why) = bound.broken(row) {
                        sink.add(*slot, at, &[row.cell(bound.left), bound.right(row)], || {
                            (
                                format!("`{}` does not hold: {why}", shown(text)),
                                "correct one of the two, or remove the record".to_owned(),
                            )
                        });
                    }
                }
                _ if is_missing => {}
                what => what.check(&test.name, cell, row, at, sink),
            }
        }
    }

    fn applies(&self, when: Option<usize>, row: Row<'_>) -> bool {
        when.is_none_or(|when| self.conditions[when].holds(row) == Some(true))
    }

    /// Adds `row` to what is gathered.
    ///
    /// # Errors
    /// `BOT-1002` when what does not fit into memory cannot be put on disk.
    pub(crate) fn gather(&self, row: Row<'_>, at: At, gathering: &mut Gathering) -> Result<()> {
        for counted in &mut gathering.counted {
            if self.applies(counted.when, row) {
                counted.add(row.cell(counted.column));
            }
        }
        for newest in &mut gathering.newest {
            if self.applies(newest.when, row)
                && let Some(Value::Time(time)) = ValueType::Datetime.read(row.cell(newest.column))
            {
                newest.newest = newest.newest.max(Some(time));
            }
        }
        for unique in &mut gathering.unique {
            if self.applies(unique.when, row)
                && let Some(key) = unique.key(row)
            {
                unique.entries.add(key, at)?;
            }
        }
        Ok(())
    }
}

impl What {
    fn check(&self, name: &str, cell: &str, row: Row<'_>, at: At, sink: &mut impl Sink) {
        let said = |message: String, help: &str| -> Told { (message, help.to_owned()) };
        match self {
            Self::Required(_) | Self::Compare { .. } => {}
            Self::Value { kind, wrong, outside, min, max } => {
                let Some(value) = kind.read(cell) else {
                    if let Some(slot) = *wrong {
                        sink.add(slot, at, &[cell], || {
                            said(
                                format!(
                                    "`{}` is `{}`, and {} is wanted",
                                    shown(name),
                                    shown(cell),
                                    kind.name()
                                ),
                                "correct it, or change `type` of the rule",
                            )
                        });
                    }
                    return;
                };
                let broken = match (min, max) {
                    (Some((min, bound)), _) if value < *min => Some(("least", bound)),
                    (_, Some((max, bound))) if value > *max => Some(("most", bound)),
                    _ => None,
                };
                if let (Some((which, bound)), Some(slot)) = (broken, *outside) {
                    sink.add(slot, at, &[cell], || {
                        said(
                            format!(
                                "`{}` is `{}`, and at {which} `{}` is wanted",
                                shown(name),
                                shown(cell),
                                shown(bound)
                            ),
                            "correct it, or move the bound of the rule",
                        )
                    });
                }
            }
            Self::Allowed { slot, values } if !values.contains(cell) => {
                sink.add(*slot, at, &[cell], || {
                    let mut known: Vec<&str> = values.iter().map(String::as_str).collect();
                    known.sort_unstable();
                    let help = match nearest(cell, known) {
                        Some(near) => format!("did you mean `{}`?", shown(near)),
                        None => "correct it, or add it to `in` of the rule".to_owned(),
                    };
                    (format!("`{}` is `{}`, which is not expected", shown(name), shown(cell)), help)
                });
            }
            Self::Forbidden { slot, values } if values.contains(cell) => {
                sink.add(*slot, at, &[cell], || {
                    said(
                        format!("`{}` is `{}`, which is not to be there", shown(name), shown(cell)),
                        "correct it, or remove the record",
                    )
                });
            }
            Self::Chars { slot, min, max } => {
                // A character is one byte to four: most lengths need no counting.
                if cell.len() >= min.saturating_mul(4) && cell.len() <= *max {
                    return;
                }
                let chars = cell.chars().count();
                if chars < *min || chars > *max {
                    sink.add(*slot, at, &[cell], || {
                        let bound = if chars < *min {
                            format!("at least {min} are wanted")
                        } else {
                            format!("at most {max} are allowed")
                        };
                        said(
                            format!(
                                "`{}` is `{}`, of {chars} characters, and {bound}",
                                shown(name),
                                shown(cell)
                            ),
                            "correct it, or move the bound of the rule",
                        )
                    });
                }
            }
            Self::Pattern { slot, regex, is_wanted } => {
                if regex.is_match(cell) != *is_wanted {
                    sink.add(*slot, at, &[cell], || {
                        let matches = if *is_wanted { "does not match" } else { "matches" };
                        said(
                            format!(
                                "`{}` is `{}`, which {matches} `{}`",
                                shown(name),
                                shown(cell),
                                shown(regex.as_str())
                            ),
                            "correct it, or change the pattern of the rule",
                        )
                    });
                }
            }
            Self::Damage(slots) => slots.check(&format!("`{}`", shown(name)), cell, at, sink),
            Self::Personal(slot) => {
                let kinds = botops_text::personal_data(cell);
                if !kinds.is_empty() {
                    sink.add(*slot, at, &[cell], || {
                        said(
                            format!("`{}` holds {}: `{}`", shown(name), kinds.join(", "), shown(cell)),
                            "replace it by a placeholder such as `[email]` before anything is trained on it",
                        )
                    });
                }
            }
            Self::Language { slot, text } => {
                let declared =
                    cell.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
                // Nothing but English and French is told apart: of other languages nothing is said.
                if !matches!(declared.as_str(), "en" | "fr") {
                    return;
                }
                let text = row.cell(*text);
                if let Some(detected) =
                    botops_text::detect_language(text).filter(|there| *there != declared)
                {
                    sink.add(*slot, at, &[text, cell], || {
                        let named = |code: &str| if code == "fr" { "French" } else { "English" };
                        said(
                            format!(
                                "the text `{}` reads as {}, and `{}` says `{}`",
                                shown(text),
                                named(detected),
                                shown(name),
                                shown(cell)
                            ),
                            "correct the language, or leave it if the words are borrowed: short texts mislead",
                        )
                    });
                }
            }
            Self::Reference { slot, keys, there } if !keys.contains(&key_of(&[cell])) => {
                sink.add(*slot, at, &[cell], || {
                    said(
                        format!("`{}` is `{}`, which is not in {there}", shown(name), shown(cell)),
                        "correct it, or add it there",
                    )
                });
            }
            Self::Allowed { .. } | Self::Forbidden { .. } | Self::Reference { .. } => {}
        }
    }
}

/// Returns 128 bits of the SHA-256 of `cells`, each with its length, so that none runs into the next.
pub(crate) fn key_of(cells: &[&str]) -> u128 {
    let digest = match cells {
        [one] => Digest::of(one.as_bytes()),
        several => {
            let mut bytes = Vec::with_capacity(several.iter().map(|cell| cell.len() + 8).sum());
            for cell in several {
                bytes.extend_from_slice(&(cell.len() as u64).to_le_bytes());
                bytes.extend_from_slice(cell.as_bytes());
            }
            Digest::of(&bytes)
        }
    };
    let mut half = [0; 16];
    half.copy_from_slice(&digest.as_bytes()[..16]);
    u128::from_be_bytes(half)
}

impl Unique {
    /// Returns what `row` is compared by; `None` when one of the values is missing, which is like no other.
    fn key(&self, row: Row<'_>) -> Option<Key> {
        match self.columns.as_slice() {
            [column] => {
                let cell = row.cell(*column);
                (!is_blank(cell)).then(|| Key::of(cell))
            }
            columns => {
                let cells: Vec<&str> = columns.iter().map(|&column| row.cell(column)).collect();
                cells.iter().all(|cell| !is_blank(cell)).then(|| Key::Digest(key_of(&cells)))
            }
        }
    }

    /// Returns the values of `row`, for messages.
    pub(crate) fn values(&self, row: Row<'_>) -> String {
        let values: Vec<String> =
            self.columns.iter().map(|&column| format!("`{}`", shown(row.cell(column)))).collect();
        values.join(", ")
    }
}

impl Counted {
    fn add(&mut self, cell: &str) {
        if is_blank(cell) || self.is_full {
            return;
        }
        if let Some(count) = self.counts.get_mut(cell) {
            *count += 1;
        } else if self.counts.len() < MOST_VALUES {
            self.counts.insert(cell.to_owned(), 1);
        } else {
            self.is_full = true;
            self.counts = ByWord::default();
        }
    }
}

impl Gathering {
    /// Finds what is wrong with the counts and the times.
    pub(crate) fn finish(&self, now: DateTime<Utc>, found: &mut Found) {
        for counted in &self.counted {
            counted.finish(found);
        }
        for newest in &self.newest {
            newest.finish(now, found);
        }
    }
}

impl Counted {
    fn finish(&self, found: &mut Found) {
        let name = shown(&self.name);
        if self.is_full {
            let slot = self.fewest.map(|(slot, _)| slot).or(self.imbalance.map(|(slot, _)| slot));
            if let Some(slot) = slot {
                let message = format!(
                    "`{name}` has more than {MOST_VALUES} different values, and they are not counted"
                );
                found.add_whole(
                    slot,
                    &[&self.name],
                    (message, "count a column of classes".to_owned()),
                );
            }
            return;
        }
        let mut counts: Vec<(&str, u64)> =
            self.counts.iter().map(|(value, &count)| (value.as_str(), count)).collect();
        counts.sort_unstable();
        if let Some((slot, fewest)) = self.fewest {
            for &(value, count) in counts.iter().filter(|(_, count)| *count < fewest) {
                let records = if count == 1 { "record" } else { "records" };
                let message = format!(
                    "`{}` is the `{name}` of {count} {records}, and at least {fewest} are wanted",
                    shown(value)
                );
                let help = "add records, merge it with another value, or lower `min_per_value`";
                found.add_whole(slot, &[value], (message, help.to_owned()));
            }
        }
        if let Some((slot, most)) = self.imbalance
            && let Some(rarest) = counts.iter().min_by_key(|(_, count)| *count)
            && let Some(frequent) = counts.iter().rev().max_by_key(|(_, count)| *count)
        {
            let ratio = frequent.1 as f64 / rarest.1 as f64;
            if ratio > most {
                let message = format!(
                    "`{name}` is `{}` {} times and `{}` {} times: {ratio:.1} times as often, and at most {most} is wanted",
                    shown(frequent.0),
                    frequent.1,
                    shown(rarest.0),
                    rarest.1
                );
                let help = "add records of the rare values, take some of the frequent ones, or raise `max_imbalance`";
                found.add_whole(slot, &[&self.name], (message, help.to_owned()));
            }
        }
    }
}

impl Newest {
    fn finish(&self, now: DateTime<Utc>, found: &mut Found) {
        let name = shown(&self.name);
        let within = humantime::format_duration(self.within);
        let message = match self.newest {
            None => format!("`{name}` has no time in it, and one of the last {within} is wanted"),
            Some(newest) => {
                let age = now.timestamp_millis().saturating_sub(newest);
                if age <= i64::try_from(self.within.as_millis()).unwrap_or(i64::MAX) {
                    return;
                }
                let at = DateTime::<Utc>::from_timestamp_millis(newest)
                    .map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M").to_string());
                let days = age / 86_400_000;
                let age = if days > 1 {
                    format!("{days} days")
                } else {
                    format!("{} hours", age / 3_600_000)
                };
                format!(
                    "the newest `{name}` is {at} (UTC), {age} ago, and one of the last {within} is wanted"
                )
            }
        };
        let help = "look whether what writes the file still runs, or raise `fresh_within`";
        found.add_whole(self.slot, &[&self.name], (message, help.to_owned()));
    }
}

impl Bound {
    fn right<'a>(&'a self, row: Row<'a>) -> &'a str {
        match &self.right {
            Side::Column(column) => row.cell(*column),
            Side::Value(value) => value,
        }
    }

    /// Returns whether it holds; `None` when the two cannot be compared.
    fn holds(&self, row: Row<'_>) -> Option<bool> {
        let (left, right) = (row.cell(self.left), self.right(row));
        match order(left, right) {
            Some(order) => Some(self.comparison.holds(order)),
            None if self.comparison.orders() => None,
            None => Some(self.comparison.holds(left.cmp(right))),
        }
    }

    /// Returns why it does not hold; `None` when it does, or a cell is empty.
    fn broken(&self, row: Row<'_>) -> Option<String> {
        let (left, right) = (row.cell(self.left), self.right(row));
        let is_column = matches!(self.right, Side::Column(_));
        if left.trim().is_empty() || is_column && right.trim().is_empty() {
            return None;
        }
        let (left, right) = (shown(left), shown(right));
        match self.holds(row) {
            Some(true) => None,
            Some(false) => Some(format!("`{left}` and `{right}`")),
            None => Some(format!("`{left}` and `{right}` are not both numbers, nor both times")),
        }
    }
}

/// Compares two cells as numbers, else as times.
fn order(left: &str, right: &str) -> Option<Ordering> {
    [ValueType::Number, ValueType::Datetime]
        .into_iter()
        .find_map(|kind| kind.read(left)?.partial_cmp(&kind.read(right)?))
}
