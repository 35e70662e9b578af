//! A first expectations file, inferred from a data set that is known to be good.

use crate::column_summary::Column;
use botops_datasets::{
    Presence, ReadOptions,
    table::{Origin, Row, Shape, Table},
    value::{Value, ValueType},
};
use botops_expectations::Expectations;
use botops_findings::Result;
use botops_labels::OOS;
use botops_text::LanguageGuesser;
use bytes::Bytes;
use chrono::{DateTime, Datelike as _, Utc};
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

/// The fewest records per value, on average, in a column that counts as a set of values.
const PER_VALUE: u64 = 10;
/// The fewest records from which a column without a repeated value counts as unique.
const MIN_FOR_UNIQUE: u64 = 50;

/// An inferred expectations file.
#[derive(Debug)]
pub struct Inferred {
    /// The file, as YAML.
    pub yaml: String,
    /// The number of records it was inferred from.
    pub n_records: u64,
    /// The number of its rules.
    pub n_rules: usize,
}

/// Infers expectations that the file at `path` meets, with a margin for later data.
///
/// - sizes may halve, lengths may double, ranges may grow by half of their width on each side, and the share of empty
///   cells may double
/// - personal data that half of the records or more have may warn, and never fails
/// - a column of texts with few distinct values, each of them repeated, gets `in`; numbers, days and texts with digits do
///   not, because later data have others; a column of many short values without a repeat gets `unique`
/// - times get the first day of their earliest year as `min`, and no `max` or `fresh_within`
///
/// # Errors
/// Those of reading.
pub fn infer(path: &Path, read: &ReadOptions) -> Result<Inferred> {
    infer_from(&Origin::of(path)?, read)
}

/// Infers expectations from a file of these `bytes`, called `name`, whose extension says its format.
///
/// # Errors
/// Those of reading.
pub fn infer_bytes(bytes: Bytes, name: &str, read: &ReadOptions) -> Result<Inferred> {
    infer_from(&Origin::held(bytes, name), read)
}

fn infer_from(origin: &Origin, read: &ReadOptions) -> Result<Inferred> {
    let options =
        ReadOptions { text: Presence::Optional, intent: Presence::Optional, ..read.clone() };
    let mut table = Table::open(origin, &options)?;
    let mut columns: Vec<Column> = table.shape().names.iter().map(|_| Column::new()).collect();
    let (mut n_records, mut n_other_language) = (0_u64, 0_u64);
    while let Some(batch) = table.next()? {
        for row in batch.rows() {
            n_records += 1;
            for (at, column) in columns.iter_mut().enumerate() {
                column.add(row.cell(at));
            }
            n_other_language += u64::from(is_other_language(table.shape(), row));
        }
    }
    let summary = Summary { shape: table.shape(), columns: &columns, n_records, n_other_language };
    let (yaml, n_rules) = summary.render();
    Ok(Inferred { yaml, n_records, n_rules })
}

/// Returns whether the text looks like another language than the declared one.
fn is_other_language(shape: &Shape, row: Row<'_>) -> bool {
    let Some((text, lang)) = shape.roles.as_ref().and_then(|roles| Some((roles.text, roles.lang?)))
    else {
        return false;
    };
    LanguageGuesser::any().contradiction(row.cell(text), row.cell(lang)).is_some()
}

impl Column {
    /// Returns the values with their counts, if they are few and occur often, as labels do.
    fn labels(&self) -> Option<&BTreeMap<String, u64>> {
        self.values
            .as_ref()
            .filter(|values| values.len() > 1 && self.filled >= PER_VALUE * values.len() as u64)
    }

    /// Returns the values with their counts, if the column is a closed set of words.
    ///
    /// Later data have other days, numbers and counters (`3/11/2026`, `batch-12`), and new values beside one that occurs
    /// only once.
    fn set(&self) -> Option<&BTreeMap<String, u64>> {
        let has_digit = |value: &&String| value.contains(|c: char| c.is_numeric());
        self.labels().filter(|values| {
            self.kind().is_none()
                && values.values().all(|count| *count > 1)
                && 2 * values.keys().filter(has_digit).count() < values.len()
        })
    }

    fn is_identifier(&self) -> bool {
        self.is_unique()
            && self.missing == 0
            && self.filled >= MIN_FOR_UNIQUE
            && !self.is_phrase
            && !matches!(
                self.kind(),
                Some(ValueType::Number | ValueType::Date | ValueType::Datetime)
            )
    }
}

/// The summaries from which expectations are inferred.
struct Summary<'a> {
    shape: &'a Shape,
    columns: &'a [Column],
    n_records: u64,
    n_other_language: u64,
}

impl Summary<'_> {
    fn render(&self) -> (String, usize) {
        let mut yaml = format!(
            "# Inferred from {} records: a first suite, to be read and corrected.\nversion: 1\n",
            self.n_records
        );
        let roles = self.shape.roles.as_ref();
        let named = |column: usize| scalar(&self.shape.names[column]);
        let mut taken = Vec::new();
        if let Some(roles) = roles {
            let mut columns = vec![format!("text: {}", named(roles.text))];
            columns.extend(roles.intent.map(|column| format!("intent: {}", named(column))));
            columns.extend(roles.lang.map(|column| format!("lang: {}", named(column))));
            line(&mut yaml, format!("columns: {{ {} }}", columns.join(", ")));
            taken.push(roles.text);
            taken.extend(roles.entities);
            self.labels(&mut yaml, &mut taken);
            let text = &self.columns[roles.text];
            if text.filled > 0 {
                let (min, max) = lengths(text);
                line(&mut yaml, format!("text: {{ min_chars: {min}, max_chars: {max} }}"));
            }
        }
        line(&mut yaml, format!("rows: {{ min: {} }}", (self.n_records / 2).max(1)));
        let mut rules = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            if column.filled > 0 && !taken.contains(&at) && !self.shape.names[at].is_empty() {
                rules.push(format!("{{ column: {}{} }}", named(at), self.rule(column)));
            }
            if column.personal > 0 && !self.shape.names[at].is_empty() {
                rules.push(format!(
                    "{{ column: {}, no_personal_data: true, {} }}",
                    named(at),
                    thresholds(column.personal, self.n_records)
                ));
            }
        }
        if let Some(roles) = roles {
            let text = named(roles.text);
            if self.columns[roles.text].personal == 0 {
                rules.push(format!("{{ column: {text}, no_personal_data: true, warn_if: 1 }}"));
            }
            if let Some(lang) = roles.lang {
                let most =
                    share(self.n_other_language.max(self.n_records / 50), self.n_records, 2.0);
                rules.push(format!(
                    "{{ column: {}, language_of: {text}, warn_if: {most} }}",
                    named(lang)
                ));
            }
        }
        if !rules.is_empty() {
            line(&mut yaml, "rules:".to_owned());
        }
        for rule in &rules {
            line(&mut yaml, format!("  - {rule}"));
        }
        (yaml, rules.len())
    }

    /// Writes the intents and the languages to `yaml`, and adds their columns to `taken`.
    fn labels(&self, yaml: &mut String, taken: &mut Vec<usize>) {
        let Some(roles) = &self.shape.roles else { return };
        let list = |values: &BTreeMap<String, u64>| {
            let values: Vec<String> =
                values.keys().filter(|value| *value != OOS).map(|value| scalar(value)).collect();
            values.join(", ")
        };
        let of = |column: Option<usize>| Some((column?, self.columns[column?].labels()?));
        if let Some((column, intents)) = of(roles.intent) {
            taken.push(column);
            line(yaml, format!("intents: [{}]", list(intents)));
            let counts = intents.iter().filter(|(value, _)| *value != OOS);
            let fewest = counts.map(|(_, count)| *count).min().unwrap_or(0) / 2;
            let default = Expectations::default().min_examples_per_intent;
            line(yaml, format!("min_examples_per_intent: {}", fewest.max(default.min(fewest + 1))));
        }
        if let Some((column, languages)) = of(roles.lang) {
            taken.push(column);
            line(yaml, format!("languages: [{}]", list(languages)));
        }
    }

    /// Returns the conditions that `column` meets, each after a comma.
    fn rule(&self, column: &Column) -> String {
        let mut rule = String::new();
        let mut add = |part: String| {
            let _ = write!(rule, ", {part}");
        };
        let set = column.set();
        if let Some(values) = set {
            let values: Vec<String> = values.keys().map(|value| scalar(value)).collect();
            add(format!("in: [{}]", values.join(", ")));
        } else if let Some(kind) = column.kind() {
            add(format!("type: {}", kind.key()));
            for (key, bound) in bounds(kind, column, self.n_records) {
                add(format!("{key}: {bound}"));
            }
        } else {
            let (min, max) = lengths(column);
            add(format!("min_chars: {min}, max_chars: {max}"));
        }
        if set.is_none() && column.is_identifier() {
            add("unique: true".to_owned());
        }
        match column.missing {
            0 => add("required: true".to_owned()),
            missing if missing * 2 < self.n_records => {
                add(format!("required: true, {}", thresholds(missing, self.n_records)));
            }
            _ => {}
        }
        rule
    }
}

fn line(yaml: &mut String, text: String) {
    yaml.push_str(&text);
    yaml.push('\n');
}

/// Returns bounds on the length of values, with a margin.
fn lengths(column: &Column) -> (usize, usize) {
    ((column.shortest / 2).max(1), column.longest.saturating_mul(2))
}

/// Returns the bounds of a range, with a margin of half its width on both sides; times have no upper bound.
fn bounds(kind: ValueType, column: &Column, n_records: u64) -> Vec<(&'static str, String)> {
    match (column.low, column.high) {
        (Some(Value::Number(low)), Some(Value::Number(high)))
            if kind != ValueType::Boolean
                && n_records >= MIN_FOR_UNIQUE
                && !column.is_identifier() =>
        {
            let margin = (high - low) / 2.0;
            let least = if low >= 0.0 { (low - margin).max(0.0) } else { low - margin };
            // A number of many digits is an identifier or a sum, and floats do not represent its bounds exactly.
            if high.abs().max(low.abs()) > 1e12 {
                return Vec::new();
            }
            vec![("min", number(least.floor())), ("max", number((high + margin).ceil()))]
        }
        (Some(Value::Time(low)), _) => DateTime::<Utc>::from_timestamp_millis(low)
            .filter(|time| (1..10_000).contains(&time.year()))
            .map(|time| ("min", format!("{:04}-01-01", time.year())))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

fn number(value: f64) -> String {
    // Adding 0 turns minus zero into zero.
    format!("{:.0}", value + 0.0)
}

/// Returns thresholds above the share of `count` in `n` records: twice the share warns, four times the share fails.
///
/// A finding in half of the records or more fails at no number: the threshold would be 100 %, which they reach if all have it.
fn thresholds(count: u64, n: u64) -> String {
    let warn = format!("warn_if: {}", share(count, n, 2.0));
    match count.saturating_mul(2) < n {
        true => format!("{warn}, fail_if: {}", share(count, n, 4.0)),
        false => warn,
    }
}

/// Returns `times` the share of `count` in `n` as a threshold in percent.
fn share(count: u64, n: u64, times: f64) -> String {
    let percent = (100.0 * times * count as f64 / n.max(1) as f64).clamp(0.01, 100.0);
    format!("{}%", (percent * 100.0).ceil() / 100.0)
}

/// Returns `text` as a YAML string.
fn scalar(text: &str) -> String {
    const NOT_STRINGS: [&str; 10] =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let is_plain = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        && !NOT_STRINGS.contains(&text.to_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    let json = serde_json::to_string(text).expect("a string is valid JSON");
    // JSON leaves characters as they are that YAML refuses, or takes for the end of a line.
    let is_escaped = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    json.chars().fold(String::new(), |mut yaml, c| {
        match is_escaped(c) {
            true => yaml.push_str(&format!("\\u{:04X}", u32::from(c))),
            false => yaml.push(c),
        }
        yaml
    })
}
