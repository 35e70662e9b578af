//! One rule of the expectations: a condition on a column, on several columns, or on a record.

use crate::{
    condition::Condition,
    threshold::{Scalar, Threshold},
};
use botops_datasets::value::ValueType;
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Conditions on a column (or on each of several columns), with thresholds for warning and failing.
///
/// - `column` or `columns` names the columns; `unique_together` and `compare` need neither
/// - an empty cell breaks `required` only; the other conditions apply to cells with a value
/// - without `warn_if` and `fail_if`, each finding has the severity of its code
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSpec {
    /// The name of the rule in reports; default: the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Several columns; the rule applies to each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The type of the values.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ValueType>,
    /// Whether every record must have a value.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Whether the values must be distinct.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Columns whose values, taken together, must be distinct.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unique_together: Vec<String>,
    /// The allowed values.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<Scalar>>,
    /// The forbidden values.
    #[serde(rename = "not_in", skip_serializing_if = "Option::is_none")]
    pub forbidden: Option<Vec<Scalar>>,
    /// The smallest allowed value: a number, a day or a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Scalar>,
    /// The greatest allowed value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Scalar>,
    /// The fewest characters (code points).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_chars: Option<usize>,
    /// The most characters (code points).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_chars: Option<usize>,
    /// A regular expression that must match somewhere in each value; `^` and `$` anchor it to the whole value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// A regular expression that must not match in any value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_matches: Option<String>,
    /// The greatest age of the newest value, such as `7d`; the values are days or times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_within: Option<String>,
    /// The fewest records per value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_per_value: Option<u64>,
    /// The greatest ratio of the records of the most frequent value to those of the rarest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_imbalance: Option<f64>,
    /// A comparison that must hold in each record, such as `shipped_at >= ordered_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare: Option<String>,
    /// A column of another file that must contain each value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
    /// The text column whose language this column declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_of: Option<String>,
    /// Whether values must be free of lost, misread, invisible and decomposed characters.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_damage: bool,
    /// Whether values must be free of e-mail addresses and of telephone, card and account numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_personal_data: bool,
    /// A comparison; the rule applies only to records in which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The number of findings from which the rule warns; fewer are information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warn_if: Option<Threshold>,
    /// The number of findings from which the rule fails; fewer warn, unless `warn_if` is set.
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

/// Bounds on the number of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowBounds {
    /// The fewest records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The most records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// A mistake in a rule: its key within the rule, the message, and a hint.
pub type RuleMistake = (&'static str, String, String);

impl RuleSpec {
    /// Iterates over the columns that the rule applies to.
    pub fn subjects(&self) -> impl Iterator<Item = &String> {
        self.column.iter().chain(&self.columns)
    }

    /// Returns the type as which the values are compared: that of the rule, or else that of its bounds.
    pub fn compared_as(&self) -> Option<ValueType> {
        let has_bounds = self.bounds().next().is_some();
        self.kind.or_else(|| ValueType::of_bounds(self.bounds()).filter(|_| has_bounds))
    }

    fn bounds(&self) -> impl Iterator<Item = &str> + Clone {
        self.min.iter().chain(&self.max).map(|Scalar(bound)| bound.as_str())
    }

    /// Returns the greatest age of the newest value; `None` without `fresh_within`.
    ///
    /// # Errors
    /// The mistake in `fresh_within`.
    pub fn freshness(&self) -> Result<Option<Duration>, RuleMistake> {
        let Some(text) = &self.fresh_within else { return Ok(None) };
        humantime::parse_duration(text.trim()).map(Some).map_err(|error| {
            let shown = botops_text::display(text, 40);
            (
                "fresh_within",
                format!("`{shown}` is not a duration: {error}"),
                "write a duration such as `36h`, `7d` or `2weeks`".to_owned(),
            )
        })
    }

    /// Checks that the rule has an effect and that its parts can be read.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), RuleMistake> {
        let wrong =
            |key, message: &str, hint: &str| Err((key, message.to_owned(), hint.to_owned()));
        let has_column_conditions = self.kind.is_some()
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
        if has_column_conditions && self.subjects().next().is_none() {
            return wrong("", "the rule names no column", "add `column:`");
        }
        if !has_column_conditions && self.compare.is_none() && self.unique_together.is_empty() {
            return wrong(
                "",
                "the rule has no condition on its column",
                "add a condition, such as `required: true` or `type: integer`",
            );
        }
        if self.column.is_some() && !self.columns.is_empty() {
            return wrong("columns", "the rule has `column` and `columns`", "keep one of them");
        }
        if self.unique_together.len() == 1 {
            return wrong(
                "unique_together",
                "`unique_together` names only one column",
                "write `unique: true` beside `column:`",
            );
        }
        self.check_bounds()?;
        self.freshness()?;
        for (key, pattern) in [("matches", &self.matches), ("not_matches", &self.not_matches)] {
            if let Some(Err(error)) = pattern.as_deref().map(Regex::new) {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let message = format!("the regular expression cannot be used: {why}");
                let hint = "look-around and back-references are not supported; in YAML, single quotes keep backslashes";
                return Err((key, message, hint.to_owned()));
            }
        }
        for (key, condition) in [("compare", &self.compare), ("when", &self.when)] {
            if let Some(Err(message)) = condition.as_deref().map(Condition::parse) {
                let hint =
                    "write a comparison such as `shipped_at >= ordered_at` or `intent = refund`";
                return Err((key, message, hint.to_owned()));
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
                "`max_imbalance` must be a number of at least 1",
                "write the greatest ratio of the most frequent value to the rarest, such as `max_imbalance: 20`",
            );
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), RuleMistake> {
        if let (Some(min), Some(max)) = (self.min_chars, self.max_chars)
            && min > max
        {
            let message = format!("`min_chars` is {min}, which is more than `max_chars`, {max}");
            return Err(("min_chars", message, "exchange `min_chars` and `max_chars`".to_owned()));
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
                        "texts have no smallest and no greatest value".to_owned(),
                        "bound their lengths with `min_chars` and `max_chars`".to_owned(),
                    ));
                }
                Some(kind) if kind.read(bound).is_none() => {
                    let message = format!("`{shown}` is not {}", kind.name());
                    return Err((
                        key,
                        message,
                        "write the bound in the form of the values".to_owned(),
                    ));
                }
                Some(_) => {}
                None => {
                    return Err((
                        key,
                        "`min` and `max` are of different types".to_owned(),
                        "write two numbers, two days or two times".to_owned(),
                    ));
                }
            }
        }
        if let (Some(kind), Some(Scalar(min)), Some(Scalar(max))) = (kind, &self.min, &self.max)
            && kind.read(min) > kind.read(max)
        {
            let message = format!("`min` is {min}, which is more than `max`, {max}");
            return Err(("min", message, "exchange `min` and `max`".to_owned()));
        }
        Ok(())
    }
}
