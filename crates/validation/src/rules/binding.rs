//! From the rules as written to tests of the columns of one file.

use super::{Bound, Counted, Gathering, Newest, Rules, Side, Test, Unique, What, key_of};
use crate::{ByWord, repeats::Comparing, shown, tally::Found, utterance_checks::DamageSlots};
use botops_datasets::{
    Presence, ReadOptions, ValueType,
    table::{Origin, Shape, Table},
};
use botops_expectations::{
    Expectations, RuleSpec, Scalar,
    condition::{Condition, nearest_column},
};
use botops_findings::Result;
use regex::Regex;
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

impl Rules {
    /// Binds the rules of `expectations` to the columns of `shape`; a column that is not there is found at once. What is
    /// compared and does not fit into memory goes to `spill`.
    ///
    /// # Errors
    /// Those of a file that is referred to.
    pub(crate) fn bind(
        expectations: &Expectations,
        shape: &Shape,
        spill: Option<&Path>,
        found: &mut Found,
    ) -> Result<(Self, Gathering)> {
        let mut binding = Binding {
            expectations,
            shape,
            spill,
            found,
            rules: Self { tests: Vec::new(), conditions: Vec::new() },
            gathering: Gathering { counted: Vec::new(), newest: Vec::new(), unique: Vec::new() },
            missing: BTreeSet::new(),
        };
        for rule in &expectations.rules {
            binding.rule(rule)?;
        }
        let Binding { rules, gathering, .. } = binding;
        Ok((rules, gathering))
    }
}

/// Rules being bound to columns.
struct Binding<'a> {
    expectations: &'a Expectations,
    shape: &'a Shape,
    /// Where entries are put that do not fit into memory.
    spill: Option<&'a Path>,
    found: &'a mut Found,
    rules: Rules,
    gathering: Gathering,
    /// Columns that are not there, each told once.
    missing: BTreeSet<String>,
}

impl Binding<'_> {
    fn column(&mut self, name: &str) -> Option<usize> {
        let column = self.shape.column(name);
        if column.is_none() && self.missing.insert(name.to_owned()) {
            let slot = self.found.slot(
                self.expectations,
                "BOT-2200",
                Some((name.to_owned(), [None, None])),
            );
            if let Some(slot) = slot {
                let message =
                    format!("there is no column `{}`, and a rule is about it", shown(name));
                let help = nearest_column(name, &self.shape.names);
                self.found.add_whole(slot, &[name], (message, help));
            }
        }
        column
    }

    fn rule(&mut self, rule: &RuleSpec) -> Result<()> {
        let when = match rule.when.as_deref().and_then(|text| Condition::parse(text).ok()) {
            Some(condition) => {
                let Some(bound) = self.bound(&condition) else { return Ok(()) };
                self.rules.conditions.push(bound);
                Some(self.rules.conditions.len() - 1)
            }
            None => None,
        };
        for name in rule.subjects() {
            if let Some(column) = self.column(name) {
                self.of_column(rule, name, column, when)?;
            }
        }
        if !rule.unique_together.is_empty() {
            let columns: Vec<Option<usize>> =
                rule.unique_together.iter().map(|name| self.column(name)).collect();
            if let Some(columns) = columns.into_iter().collect::<Option<Vec<usize>>>() {
                let names = rule.unique_together.join(", ");
                self.unique(rule, columns, names, when);
            }
        }
        if let Some(text) = &rule.compare
            && let Ok(condition) = Condition::parse(text)
            && let Some(bound) = self.bound(&condition)
            && let Some(slot) = self.slot(rule, "BOT-2212", text)
        {
            let what = What::Compare { slot, bound: bound.clone(), text: text.clone() };
            self.rules.tests.push(Test { column: bound.left, name: condition.left, when, what });
        }
        Ok(())
    }

    fn bound(&mut self, condition: &Condition) -> Option<Bound> {
        let left = self.column(&condition.left)?;
        let column = self.shape.column(&condition.right).filter(|_| !condition.is_quoted);
        let right = column.map_or_else(|| Side::Value(condition.right.clone()), Side::Column);
        Some(Bound { left, comparison: condition.comparison, right })
    }

    fn slot(&mut self, rule: &RuleSpec, code: &'static str, label: &str) -> Option<usize> {
        let label = rule.name.clone().unwrap_or_else(|| label.to_owned());
        self.found.slot(self.expectations, code, Some((label, [rule.warn_if, rule.fail_if])))
    }

    fn unique(&mut self, rule: &RuleSpec, columns: Vec<usize>, names: String, when: Option<usize>) {
        if let Some(slot) = self.slot(rule, "BOT-2203", &names) {
            let entries = Comparing::new(self.spill);
            self.gathering.unique.push(Unique { columns, when, names, slot, entries });
        }
    }

    fn of_column(
        &mut self,
        rule: &RuleSpec,
        name: &str,
        column: usize,
        when: Option<usize>,
    ) -> Result<()> {
        if rule.required
            && let Some(slot) = self.slot(rule, "BOT-2201", name)
        {
            self.test(name, column, when, What::Required(slot));
        }
        self.of_values(rule, name, column, when);
        if rule.unique {
            self.unique(rule, vec![column], name.to_owned(), when);
        }
        let fewest = rule
            .min_per_value
            .and_then(|fewest| Some((self.slot(rule, "BOT-2210", name)?, fewest)));
        let imbalance =
            rule.max_imbalance.and_then(|most| Some((self.slot(rule, "BOT-2211", name)?, most)));
        if fewest.is_some() || imbalance.is_some() {
            self.gathering.counted.push(Counted {
                column,
                name: name.to_owned(),
                when,
                fewest,
                imbalance,
                counts: ByWord::default(),
                is_full: false,
            });
        }
        if let Ok(Some(within)) = rule.freshness()
            && let Some(slot) = self.slot(rule, "BOT-2208", name)
        {
            let name = name.to_owned();
            self.gathering.newest.push(Newest { column, name, when, slot, within, newest: None });
        }
        if let Some(text) = &rule.language_of
            && let Some(text) = self.column(text)
            && let Some(slot) = self.slot(rule, "BOT-2214", name)
        {
            self.test(name, column, when, What::Language { slot, text });
        }
        if rule.no_damage {
            let label = rule.name.as_deref().unwrap_or(name);
            let thresholds = [rule.warn_if, rule.fail_if];
            let slots = DamageSlots::of_rule(self.found, self.expectations, label, thresholds);
            self.test(name, column, when, What::Damage(slots));
        }
        if rule.no_personal_data
            && let Some(slot) = self.slot(rule, "BOT-2216", name)
        {
            self.test(name, column, when, What::Personal(slot));
        }
        if let Some(reference) = &rule.references
            && let Some(slot) = self.slot(rule, "BOT-2213", name)
        {
            let folder = self.expectations.folder.as_deref().unwrap_or_else(|| Path::new(""));
            let keys = keys(&folder.join(&reference.file), &reference.column)?;
            let there = format!(
                "the column `{}` of `{}`",
                shown(&reference.column),
                shown(&reference.file.display().to_string())
            );
            self.test(name, column, when, What::Reference { slot, keys, there });
        }
        Ok(())
    }

    /// Adds the tests of a value by itself.
    fn of_values(&mut self, rule: &RuleSpec, name: &str, column: usize, when: Option<usize>) {
        if let Some(kind) = rule.compared_as().filter(|kind| *kind != ValueType::Text) {
            let wrong = self.slot(rule, "BOT-2202", name);
            let has_bounds = rule.min.is_some() || rule.max.is_some();
            let outside = if has_bounds { self.slot(rule, "BOT-2205", name) } else { None };
            let bound = |bound: &Option<Scalar>| {
                bound.as_ref().and_then(|Scalar(bound)| Some((kind.read(bound)?, bound.clone())))
            };
            let (min, max) = (bound(&rule.min), bound(&rule.max));
            self.test(name, column, when, What::Value { kind, wrong, outside, min, max });
        }
        let set = |values: &[Scalar]| values.iter().map(|Scalar(value)| value.clone()).collect();
        if let Some(values) = &rule.allowed
            && let Some(slot) = self.slot(rule, "BOT-2204", name)
        {
            self.test(name, column, when, What::Allowed { slot, values: set(values) });
        }
        if let Some(values) = &rule.forbidden
            && let Some(slot) = self.slot(rule, "BOT-2204", name)
        {
            self.test(name, column, when, What::Forbidden { slot, values: set(values) });
        }
        if (rule.min_chars.is_some() || rule.max_chars.is_some())
            && let Some(slot) = self.slot(rule, "BOT-2206", name)
        {
            let (min, max) = (rule.min_chars.unwrap_or(0), rule.max_chars.unwrap_or(usize::MAX));
            self.test(name, column, when, What::Chars { slot, min, max });
        }
        for (pattern, is_wanted) in [(&rule.matches, true), (&rule.not_matches, false)] {
            if let Some(Ok(regex)) = pattern.as_deref().map(Regex::new)
                && let Some(slot) = self.slot(rule, "BOT-2207", name)
            {
                self.test(name, column, when, What::Pattern { slot, regex, is_wanted });
            }
        }
    }

    fn test(&mut self, name: &str, column: usize, when: Option<usize>, what: What) {
        self.rules.tests.push(Test { column, name: name.to_owned(), when, what });
    }
}

/// Reads what the values of `column` in the file at `path` are compared by.
fn keys(path: &Path, column: &str) -> Result<HashSet<u128>> {
    let options = ReadOptions {
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let mut table = Table::open(&Origin::of(path)?, &options)?;
    let Some(at) = table.shape().column(column) else {
        return Err(botops_findings::Fault::usage(
            "BOT-2101",
            format!("there is no column `{}`, and a rule refers to it", shown(column)),
        )
        .file(path)
        .hint(nearest_column(column, &table.shape().names)));
    };
    let mut keys = HashSet::new();
    while let Some(batch) = table.next()? {
        keys.extend(batch.rows().map(|row| key_of(&[row.cell(at)])));
    }
    Ok(keys)
}
