//! Rules that need all records: counts of values, the newest time, distinct values.

use crate::{
    record_key::{DistinctKeys, Key, key_of},
    tally::Tally,
    words::{ByWord, excerpt, is_blank},
};
use botops_datasets::{ValueType, table::Row, value::Value};
use botops_text::{count, counted};
use chrono::{DateTime, Utc};
use std::time::Duration;

/// The most distinct values of a column that are counted.
const MOST_VALUES: usize = 100_000;

/// The values that are gathered over all records.
#[derive(Debug, Default)]
pub(crate) struct WholeColumns {
    pub(super) counts: Vec<ValueCounts>,
    pub(super) newest: Vec<NewestTime>,
    pub(crate) unique: Vec<Unique>,
}

/// The number of records of each value of a column.
#[derive(Debug)]
pub(super) struct ValueCounts {
    pub(super) column: usize,
    pub(super) name: String,
    /// The index of the condition under which a record counts.
    pub(super) when: Option<usize>,
    /// The slot and bound of `min_per_value`.
    pub(super) min_per_value: Option<(usize, u64)>,
    /// The slot and bound of `max_imbalance`.
    pub(super) max_imbalance: Option<(usize, f64)>,
    pub(super) counts: ByWord<u64>,
    /// Whether there are more than [`MOST_VALUES`] values.
    pub(super) is_full: bool,
}

/// The newest time of a column.
#[derive(Debug)]
pub(super) struct NewestTime {
    pub(super) column: usize,
    pub(super) name: String,
    /// The index of the condition under which a record counts.
    pub(super) when: Option<usize>,
    pub(super) slot: usize,
    pub(super) within: Duration,
    /// In milliseconds since 1970; `None`: no time yet.
    pub(super) newest: Option<i64>,
}

/// Columns whose values, taken together, must be distinct.
#[derive(Debug)]
pub(crate) struct Unique {
    pub(super) columns: Vec<usize>,
    /// The index of the condition under which a record counts.
    pub(super) when: Option<usize>,
    pub(crate) names: String,
    pub(crate) slot: usize,
    pub(crate) keys: DistinctKeys,
}

impl WholeColumns {
    /// Reports counts and times that break their rules.
    pub(crate) fn finish(&self, now: DateTime<Utc>, tally: &mut Tally) {
        for counts in &self.counts {
            counts.finish(tally);
        }
        for newest in &self.newest {
            newest.finish(now, tally);
        }
    }
}

impl ValueCounts {
    pub(super) fn add(&mut self, cell: &str) {
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

    fn finish(&self, tally: &mut Tally) {
        let name = excerpt(&self.name);
        if self.is_full {
            let slots = self.min_per_value.map(|(slot, _)| slot);
            if let Some(slot) = slots.or(self.max_imbalance.map(|(slot, _)| slot)) {
                let most = count(MOST_VALUES as u64);
                let message =
                    format!("`{name}` has more than {most} distinct values, which are not counted");
                let help = "use the rule on a column with few distinct values";
                tally.add_whole(slot, &[&self.name], (message, help.to_owned()));
            }
            return;
        }
        let mut counts: Vec<(&str, u64)> =
            self.counts.iter().map(|(value, &count)| (value.as_str(), count)).collect();
        counts.sort_unstable();
        if let Some((slot, min)) = self.min_per_value {
            for &(value, n) in counts.iter().filter(|(_, n)| *n < min) {
                let message = format!(
                    "`{}` is the `{name}` of {}: expected at least {min}",
                    excerpt(value),
                    counted(n, "record", "records")
                );
                let help = "add records, merge it with another value, or lower `min_per_value`";
                tally.add_whole(slot, &[value], (message, help.to_owned()));
            }
        }
        if let Some((slot, max)) = self.max_imbalance
            && let Some((rare, n_rare)) = counts.iter().min_by_key(|(_, n)| *n)
            && let Some((frequent, n_frequent)) = counts.iter().rev().max_by_key(|(_, n)| *n)
        {
            let ratio = *n_frequent as f64 / *n_rare as f64;
            if ratio > max {
                let message = format!(
                    "`{name}` is `{}` in {} and `{}` in {}, {ratio:.1} times as many: expected at most {max} times",
                    excerpt(frequent),
                    counted(*n_frequent, "record", "records"),
                    excerpt(rare),
                    count(*n_rare)
                );
                let help = "add records of the rare values, remove some of the frequent ones, or raise `max_imbalance`";
                tally.add_whole(slot, &[&self.name], (message, help.to_owned()));
            }
        }
    }
}

impl NewestTime {
    pub(super) fn add(&mut self, cell: &str) {
        if let Some(Value::Time(time)) = ValueType::Datetime.read(cell) {
            self.newest = self.newest.max(Some(time));
        }
    }

    fn finish(&self, now: DateTime<Utc>, tally: &mut Tally) {
        let name = excerpt(&self.name);
        let within = humantime::format_duration(self.within);
        let message = match self.newest {
            None => format!("`{name}` has no time: expected one within the last {within}"),
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
                    "the newest `{name}` is {at} (UTC), {age} ago: expected one within the last {within}"
                )
            }
        };
        let help =
            "check that the program that writes the file still runs, or raise `fresh_within`";
        tally.add_whole(self.slot, &[&self.name], (message, help.to_owned()));
    }
}

impl Unique {
    /// Returns the key of `row`; `None` when a value is missing, because missing values do not count as equal.
    pub(super) fn key(&self, row: Row<'_>) -> Option<Key> {
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
            self.columns.iter().map(|&column| format!("`{}`", excerpt(row.cell(column)))).collect();
        values.join(", ")
    }
}
