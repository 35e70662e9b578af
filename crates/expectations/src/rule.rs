//! One rule of the expectations: what holds of a column, of several, or of a record.

use super::condition::Condition;
use crate::threshold::{Scalar, Threshold};
use botops_datasets::value::ValueType;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// What holds of a column (or of each of several), and from how many findings on that matters.
///
/// - `column` or `columns` says where; `unique_together` and `compare` need neither
/// - an empty cell breaks `required` alone: the other rules say what a value is, where there is one
/// - without `warn_if` and `fail_if`, the first finding has the severity of its code
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSpec {
    /// What to call it in reports; default: the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Several columns, of each of which the rule holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// What its values are.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ValueType>,
    /// Whether each record has a value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether no two records have the same value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Columns whose values no two records share all of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unique_together: Vec<String>,
    /// The values there are.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<Scalar>>,
    /// Values that are not to be there.
    #[serde(rename = "not_in", skip_serializing_if = "Option::is_none")]
    pub forbidden: Option<Vec<Scalar>>,
    /// The least value: a number, a day or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// The fewest characters (code points).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_chars: Option<usize>,
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<usize>,
    /// A regular expression that is found in each value; `^` and `$` make it the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// A regular expression that is found in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_matches: Option<String>,
    /// How old the newest value may be, such as `7d`; the values are days or times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_within: Option<String>,
    /// The fewest records of each value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_per_value: Option<u64>,
    /// How many times as many records the most frequent value may have as the rarest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_imbalance: Option<f64>,
    /// A comparison that holds in each record, such as `shipped_at >= ordered_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// A file and a column of it that has each value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
    /// The text column whose language (English or French) this column declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_of: Option<String>,
    /// Whether values are free of lost, misread, invisible and decomposed characters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_damage: bool,
    /// Whether values are free of addresses, telephone, card and account numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_personal_data: bool,
    /// A comparison: where it does not hold, the rule does not either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// From how many findings on the rule warns; fewer are only told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_if: Option<Threshold>,
    /// From how many findings on it fails; fewer warn, unless `warn_if` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_if: Option<Threshold>,
}

/// A column of another file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The file, relative to the expectations.
    pub file: PathBuf,
    /// Its column.
    pub column: String,
}

/// Bounds on how many records there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowBounds {
    /// The fewest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// What is wrong with a rule: the key within it, what, and what to do.
pub type Complaint = (&'static str, String, String);

impl RuleSpec {
    /// Iterates over the columns that the rule holds of.
    pub fn subjects(&self) -> impl Iterator<Item = &String> {
        self.column.iter().chain(&self.columns)
    }

    /// Returns the type its values are compared as; of bounds alone, the one that these have.
    pub fn compared_as(&self) -> Option<ValueType> {
        let has_bounds = self.bounds().next().is_some();
        self.kind.or_else(|| ValueType::of_bounds(self.bounds()).filter(|_| has_bounds))
    }

    fn bounds(&self) -> impl Iterator<Item = &str> + Clone {
        self.min.iter().chain(&self.max).map(|Scalar(bound)| bound.as_str())
    }

    /// Returns how old the newest value may be.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn freshness(&self) -> Result<Option<Duration>, Complaint> {
        let Some(text) = &self.fresh_within else { return Ok(None) };
        humantime::parse_duration(text.trim()).map(Some).map_err(|error| {
            let shown = botops_text::display(text, 40);
            (
                "fresh_within",
                format!("`{shown}` is not a duration: {error}"),
                "write one such as `36h`, `7d` or `2weeks`".to_owned(),
            )
        })
    }

    /// Checks that the rule makes sense.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self) -> Result<(), Complaint> {
        let wrong = |key, what: &str, hint: &str| Err((key, what.to_owned(), hint.to_owned()));
        let of_columns = self.kind.is_some()
            || self.required
            || self.unique
            || self.allowed.is_some()
            || self.forbidden.is_some()
            || self.min.is_some()
            || self.max.is_some()
            || self.min_chars.is_some()
            || self.max_chars.is_some()
            || self.matches.is_some()
            || self.not_matches.is_some()
            || self.fresh_within.is_some()
            || self.min_per_value.is_some()
            || self.max_imbalance.is_some()
            || self.references.is_some()
            || self.language_of.is_some()
            || self.no_damage
            || self.no_personal_data;
        if of_columns && self.subjects().next().is_none() {
            return wrong("", "the rule names no column", "add `column:`");
        }
        if !of_columns && self.compare.is_none() && self.unique_together.is_empty() {
            return wrong(
                "",
                "the rule says nothing of its column",
                "add what holds of it, such as `required: true` or `type: integer`",
            );
        }
        if self.column.is_some() && !self.columns.is_empty() {
            return wrong("columns", "the rule has `column` and `columns`", "keep one of them");
        }
        if self.unique_together.len() == 1 {
            return wrong(
                "unique_together",
                "`unique_together` names one column only",
                "write `unique: true` beside `column:`",
            );
        }
        self.check_bounds()?;
        self.freshness()?;
        for (key, pattern) in [("matches", &self.matches), ("not_matches", &self.not_matches)] {
            if let Some(Err(error)) = pattern.as_deref().map(Regex::new) {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let what = format!("the regular expression cannot be used: {why}");
                let hint = "look-around and back-references are not understood; in YAML, single quotes keep backslashes";
                return Err((key, what, hint.to_owned()));
            }
        }
        for (key, condition) in [("compare", &self.compare), ("when", &self.when)] {
            if let Some(Err(what)) = condition.as_deref().map(Condition::parse) {
                let hint = "such as `shipped_at >= ordered_at` or `intent = refund`";
                return Err((key, what, hint.to_owned()));
            }
        }
        for (key, values) in [("in", &self.allowed), ("not_in", &self.forbidden)] {
            if values.as_ref().is_some_and(Vec::is_empty) {
                return Err((key, format!("`{key}` is empty"), "name the values".to_owned()));
            }
        }
        if self.max_imbalance.is_some_and(|most| !most.is_finite() || most < 1.0) {
            return wrong(
                "max_imbalance",
                "no value is more frequent than the most frequent one",
                "write how many times as frequent it may be as the rarest, such as `max_imbalance: 20`",
            );
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), Complaint> {
        if let (Some(min), Some(max)) = (self.min_chars, self.max_chars)
            && min > max
        {
            let what = format!("no text has at least {min} and at most {max} characters");
            return Err(("min_chars", what, "exchange `min_chars` and `max_chars`".to_owned()));
        }
        if self.min.is_none() && self.max.is_none() {
            return Ok(());
        }
        let kind = self.compared_as();
        for (key, bound) in [("min", &self.min), ("max", &self.max)] {
            let Some(Scalar(bound)) = bound else { continue };
            let shown = botops_text::display(bound, 40);
            match kind {
                Some(ValueType::Text) => {
                    return Err((
                        key,
                        "texts have no least and no greatest".to_owned(),
                        "write `min_chars` or `max_chars` for their lengths".to_owned(),
                    ));
                }
                Some(kind) if kind.read(bound).is_none() => {
                    let what = format!("`{shown}` is not {}", kind.name());
                    return Err((
                        key,
                        what,
                        "write the bound as the values are written".to_owned(),
                    ));
                }
                Some(_) => {}
                None => {
                    return Err((
                        key,
                        "the bounds are not of one type".to_owned(),
                        "write two numbers, two days or two times".to_owned(),
                    ));
                }
            }
        }
        if let (Some(kind), Some(Scalar(min)), Some(Scalar(max))) = (kind, &self.min, &self.max)
            && kind.read(min) > kind.read(max)
        {
            let what = format!("no value is at least {min} and at most {max}");
            return Err(("min", what, "exchange `min` and `max`".to_owned()));
        }
        Ok(())
    }
}
