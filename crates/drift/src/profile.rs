//! Profiles: the rows and columns of one side as counts, of a size that does not grow with the rows.

use crate::{
    checks::missing_check,
    column::{Column, Role},
    profile_names::Names,
    profile_numbers::Quantity,
    row::Row,
};
use botops_stats::sketch::Sketch;
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most columns whose missing values a profile counts. Of more it keeps none.
const MOST_COLUMNS: usize = 1_000;

/// A category of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The predicted intent, or `fallback`.
    Intent,
    /// The intent of the data.
    IntentDeclared,
    /// The declared language.
    Language,
    /// The language guessed from the text.
    LanguageGuessed,
    /// `answered` or `fallback`.
    Fallback,
    /// The kinds of entities of a row, such as `email + order_number`, or `none`.
    Entities,
}

/// The cells without a value of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The name of the column; of the parts of a merged profile, the first in the order of characters.
    pub column: String,
    /// The number of rows.
    pub n_rows: u64,
    /// The number of these without a value.
    pub n_missing: u64,
}

/// The rows and columns of one side as counts.
///
/// - [`Self::merge`] adds counts, so the result and its JSON are the same in every order and grouping, and those of one pass
/// - memory: at most 10,000 names a category ([`Names`]), 2,048 buckets a quantity ([`Sketch`]), 1,000 columns
/// - no text of a row is kept
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    n_rows: u64,
    /// The count of each name, for the categories that some row has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<Category, Names>,
    /// The values of the quantities that some row has, each in the scale of its [`Quantity`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    numbers: BTreeMap<Quantity, Sketch>,
    /// The missing values of each column, by the name of their check; `None` if there were too many columns.
    #[serde(default = "no_columns", skip_serializing_if = "Option::is_none")]
    missing: Option<BTreeMap<String, Missing>>,
}

fn no_columns() -> Option<BTreeMap<String, Missing>> {
    None
}

impl Default for Profile {
    fn default() -> Self {
        Self::new()
    }
}

impl Profile {
    /// Makes a profile without rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            n_rows: 0,
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
            missing: Some(BTreeMap::new()),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row<'_>) {
        self.n_rows += 1;
        let kinds = row.entity_kinds();
        for (category, name) in [
            (Category::Intent, row.intent),
            (Category::Language, row.lang),
            (Category::LanguageGuessed, row.guessed),
            (Category::Fallback, row.decision()),
            (Category::Entities, kinds.as_deref()),
        ] {
            if let Some(name) = name {
                self.add_name(category, name);
            }
        }
        let n_words = (!row.lacks_text()).then(|| text::words(row.text).count() as f64);
        for (quantity, value) in [
            (Quantity::Confidence, row.confidence),
            (Quantity::OosScore, row.oos_score),
            (Quantity::LengthWords, n_words),
            (Quantity::LengthChars, Some(row.length_chars())),
            (Quantity::UnseenWordRate, row.unseen_word_rate),
            (Quantity::LatencyMs, row.latency_ms),
        ] {
            if let Some(value) = value {
                self.add_number(quantity, value);
            }
        }
    }

    /// Adds one name of `category`, apart from a row.
    pub fn add_name(&mut self, category: Category, name: &str) {
        self.names.entry(category).or_default().add(name, 1);
    }

    /// Adds one value of `quantity`, apart from a row; a value that is not finite does not count.
    pub fn add_number(&mut self, quantity: Quantity, value: f64) {
        if value.is_finite() {
            self.numbers.entry(quantity).or_default().add(quantity.scaled(value));
        }
    }

    /// Adds the intents of the data and the cells without a value of `columns`, except entities.
    ///
    /// The values of columns without a role are not kept: their types are only known once all rows were read, and they may
    /// be personal data.
    pub fn add_columns(&mut self, columns: &[Column]) {
        for column in columns.iter().filter(|column| column.role != Role::Entities) {
            if column.role == Role::Intent
                && let Some(names) = column.names()
            {
                let all = self.names.entry(Category::IntentDeclared).or_default();
                names.into_iter().for_each(|(name, n)| all.add(name, n));
            }
            let missing = Missing {
                column: column.name.clone(),
                n_rows: column.n_rows,
                n_missing: column.n_empty,
            };
            self.add_missing(missing_check(column), &missing);
        }
        self.names.retain(|_, names| names.n() > 0);
    }

    fn add_missing(&mut self, check: String, missing: &Missing) {
        let Some(known) = &mut self.missing else { return };
        if known.len() == MOST_COLUMNS && !known.contains_key(&check) {
            self.missing = None;
            return;
        }
        let sum = known.entry(check).or_default();
        if sum.column.is_empty() || missing.column < sum.column {
            sum.column.clone_from(&missing.column);
        }
        sum.n_rows += missing.n_rows;
        sum.n_missing += missing.n_missing;
    }

    /// Adds the rows and columns of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.n_rows = self.n_rows.saturating_add(other.n_rows);
        for (category, names) in &other.names {
            self.names.entry(*category).or_default().merge(names);
        }
        for (quantity, sketch) in &other.numbers {
            self.numbers.entry(*quantity).or_default().merge(sketch);
        }
        match &other.missing {
            None => self.missing = None,
            Some(missing) => {
                missing.iter().for_each(|(check, n)| self.add_missing(check.clone(), n));
            }
        }
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Returns the names of `category`; `None` if no row has one.
    #[must_use]
    pub fn names(&self, category: Category) -> Option<&Names> {
        self.names.get(&category)
    }

    /// Returns the values of `quantity` with their counts, rising; none if no row has one.
    ///
    /// Each is within the error of the quantity ([`Quantity`]).
    #[must_use]
    pub fn values(&self, quantity: Quantity) -> Vec<(f64, u64)> {
        self.numbers.get(&quantity).map_or_else(Vec::new, |sketch| quantity.values(sketch))
    }

    /// Returns the number of values of `quantity`.
    #[must_use]
    pub fn n_values(&self, quantity: Quantity) -> u64 {
        self.numbers.get(&quantity).map_or(0, Sketch::n)
    }

    /// Returns the value of `quantity` with the share `q` in [0, 1] of the rows at or below it; `None` if no row has one.
    #[must_use]
    pub fn quantile(&self, quantity: Quantity, q: f64) -> Option<f64> {
        let value = self.numbers.get(&quantity)?.quantile(q)?;
        Some(quantity.unscaled(value))
    }

    /// Returns the missing values by the name of their check, such as `intent_missing`; `None` if there were too many
    /// columns.
    #[must_use]
    pub fn missing(&self) -> Option<&BTreeMap<String, Missing>> {
        self.missing.as_ref()
    }

    /// Returns whether every count is possible, as those of a profile that was read have to be.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let names = self.names.values().all(Names::is_consistent);
        let of_rows =
            self.names.iter().filter(|(category, _)| **category != Category::IntentDeclared);
        let few_names = of_rows.map(|(_, names)| names.n()).all(|n| n <= self.n_rows);
        let few_numbers = self.numbers.values().all(|sketch| sketch.n() <= self.n_rows);
        let missing = self.missing.iter().flat_map(BTreeMap::values);
        let few_missing = missing.clone().all(|missing| missing.n_missing <= missing.n_rows);
        names && few_names && few_numbers && few_missing && missing.count() <= MOST_COLUMNS
    }
}
