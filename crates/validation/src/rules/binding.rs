//! Binding: the written rules become tests of the columns of one file.

use super::{
    bound_condition::{BoundCondition, RightSide},
    cell_check::CellCheck,
    rule_set::{Rules, Test, TestKind},
    whole_columns::{NewestTime, Unique, ValueCounts, WholeColumns},
};
use crate::{
    damage_checks::DamageSlots,
    record_key::{DistinctKeys, key_of},
    tally::Tally,
    words::{ByWord, excerpt},
};
use botops_datasets::{
    Presence, ReadOptions, ValueType,
    table::{Origin, Shape, Table},
};
use botops_expectations::{
    Expectations, RuleSpec, Scalar,
    condition::{Condition, nearest_column},
};
use botops_findings::{Fault, Result};
use botops_text::{LanguageGuesser, can_be_guessed};
use regex::Regex;
use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
};

/// Returns the guesser of the rule `language_of`: one of the expected languages, or any if fewer than two of them can be
/// guessed. A guess among one language could not contradict it.
fn guesser(expectations: &Expectations) -> LanguageGuesser {
    let expected = || expectations.languages.iter().flatten().map(String::as_str);
    match expected().filter(|language| can_be_guessed(language)).count() {
        0 | 1 => LanguageGuesser::for_declared([]),
        _ => LanguageGuesser::among(expected()),
    }
}

impl Rules {
    /// Binds the rules of `expectations` to the columns of `shape`; a missing column is reported at once. Keys that do not
    /// fit into memory go to `spill`.
    ///
    /// # Errors
    /// Those of reading a referenced file.
    pub(crate) fn bind(
        expectations: &Expectations,
        shape: &Shape,
        spill: Option<&Path>,
        tally: &mut Tally,
    ) -> Result<(Self, WholeColumns)> {
        let mut binding = Binding {
            expectations,
            shape,
            spill,
            tally,
            rules: Self { tests: Vec::new(), conditions: Vec::new() },
            columns: WholeColumns::default(),
            missing: BTreeSet::new(),
        };
        for rule in &expectations.rules {
            binding.rule(rule)?;
        }
        let Binding { rules, columns, .. } = binding;
        Ok((rules, columns))
    }
}

/// The state of the binding.
struct Binding<'a> {
    expectations: &'a Expectations,
    shape: &'a Shape,
    /// The folder for keys that do not fit into memory.
    spill: Option<&'a Path>,
    tally: &'a mut Tally,
    rules: Rules,
    columns: WholeColumns,
    /// The missing columns, each reported once.
    missing: BTreeSet<String>,
}

impl Binding<'_> {
    fn column(&mut self, name: &str) -> Option<usize> {
        let column = self.shape.column(name);
        if column.is_none() && self.missing.insert(name.to_owned()) {
            let slot = self.tally.slot(
                self.expectations,
                "BOT-2200",
                Some((name.to_owned(), [None, None])),
            );
            if let Some(slot) = slot {
                let message = format!("there is no column `{}`, which a rule names", excerpt(name));
                let help = nearest_column(name, &self.shape.names);
                self.tally.add_whole(slot, &[name], (message, help));
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
            let column = bound.left;
            let kind = TestKind::Compare { slot, condition: bound, text: text.clone() };
            self.rules.tests.push(Test { column, name: condition.left, when, kind });
        }
        Ok(())
    }

    fn bound(&mut self, condition: &Condition) -> Option<BoundCondition> {
        let left = self.column(&condition.left)?;
        let column = self.shape.column(&condition.right).filter(|_| !condition.is_quoted);
        let right =
            column.map_or_else(|| RightSide::Value(condition.right.clone()), RightSide::Column);
        Some(BoundCondition { left, comparison: condition.comparison, right })
    }

    fn slot(&mut self, rule: &RuleSpec, code: &'static str, label: &str) -> Option<usize> {
        let label = rule.name.clone().unwrap_or_else(|| label.to_owned());
        self.tally.slot(self.expectations, code, Some((label, [rule.warn_if, rule.fail_if])))
    }

    fn unique(&mut self, rule: &RuleSpec, columns: Vec<usize>, names: String, when: Option<usize>) {
        if let Some(slot) = self.slot(rule, "BOT-2203", &names) {
            let keys = DistinctKeys::new(self.spill);
            self.columns.unique.push(Unique { columns, when, names, slot, keys });
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
            self.test(name, column, when, TestKind::Required(slot));
        }
        self.of_values(rule, name, column, when);
        if rule.unique {
            self.unique(rule, vec![column], name.to_owned(), when);
        }
        let min_per_value =
            rule.min_per_value.and_then(|min| Some((self.slot(rule, "BOT-2210", name)?, min)));
        let max_imbalance =
            rule.max_imbalance.and_then(|max| Some((self.slot(rule, "BOT-2211", name)?, max)));
        if min_per_value.is_some() || max_imbalance.is_some() {
            self.columns.counts.push(ValueCounts {
                column,
                name: name.to_owned(),
                when,
                min_per_value,
                max_imbalance,
                counts: ByWord::default(),
                is_full: false,
            });
        }
        if let Ok(Some(within)) = rule.freshness()
            && let Some(slot) = self.slot(rule, "BOT-2208", name)
        {
            let name = name.to_owned();
            let newest = NewestTime { column, name, when, slot, within, newest: None };
            self.columns.newest.push(newest);
        }
        if let Some(text) = &rule.language_of
            && let Some(text) = self.column(text)
            && let Some(slot) = self.slot(rule, "BOT-2214", name)
        {
            let guesser = guesser(self.expectations);
            self.cell_check(name, column, when, CellCheck::Language { slot, text, guesser });
        }
        if rule.no_damage {
            let label = rule.name.as_deref().unwrap_or(name);
            let thresholds = [rule.warn_if, rule.fail_if];
            let slots = DamageSlots::of_rule(self.tally, self.expectations, label, thresholds);
            self.cell_check(name, column, when, CellCheck::Damage(slots));
        }
        if rule.no_personal_data
            && let Some(slot) = self.slot(rule, "BOT-2216", name)
        {
            self.cell_check(name, column, when, CellCheck::Personal(slot));
        }
        if let Some(reference) = &rule.references
            && let Some(slot) = self.slot(rule, "BOT-2213", name)
        {
            let folder = self.expectations.folder.as_deref().unwrap_or_else(|| Path::new(""));
            let keys = keys(&folder.join(&reference.file), &reference.column)?;
            let column_name = format!(
                "the column `{}` of `{}`",
                excerpt(&reference.column),
                excerpt(&reference.file.display().to_string())
            );
            self.cell_check(
                name,
                column,
                when,
                CellCheck::Reference { slot, keys, column: column_name },
            );
        }
        Ok(())
    }

    /// Adds the tests of single values.
    fn of_values(&mut self, rule: &RuleSpec, name: &str, column: usize, when: Option<usize>) {
        if let Some(kind) = rule.compared_as().filter(|kind| *kind != ValueType::Text) {
            let wrong_type = self.slot(rule, "BOT-2202", name);
            let has_bounds = rule.min.is_some() || rule.max.is_some();
            let out_of_range = if has_bounds { self.slot(rule, "BOT-2205", name) } else { None };
            let bound = |bound: &Option<Scalar>| {
                bound.as_ref().and_then(|Scalar(bound)| Some((kind.read(bound)?, bound.clone())))
            };
            let (min, max) = (bound(&rule.min), bound(&rule.max));
            let test = CellCheck::Value { kind, wrong_type, out_of_range, min, max };
            self.cell_check(name, column, when, test);
        }
        let set = |values: &[Scalar]| values.iter().map(|Scalar(value)| value.clone()).collect();
        if let Some(values) = &rule.allowed
            && let Some(slot) = self.slot(rule, "BOT-2204", name)
        {
            self.cell_check(name, column, when, CellCheck::Allowed { slot, values: set(values) });
        }
        if let Some(values) = &rule.forbidden
            && let Some(slot) = self.slot(rule, "BOT-2204", name)
        {
            self.cell_check(name, column, when, CellCheck::Forbidden { slot, values: set(values) });
        }
        if (rule.min_chars.is_some() || rule.max_chars.is_some())
            && let Some(slot) = self.slot(rule, "BOT-2206", name)
        {
            let (min, max) = (rule.min_chars.unwrap_or(0), rule.max_chars.unwrap_or(usize::MAX));
            self.cell_check(name, column, when, CellCheck::Chars { slot, min, max });
        }
        for (pattern, must_match) in [(&rule.matches, true), (&rule.not_matches, false)] {
            if let Some(Ok(regex)) = pattern.as_deref().map(Regex::new)
                && let Some(slot) = self.slot(rule, "BOT-2207", name)
            {
                self.cell_check(name, column, when, CellCheck::Pattern { slot, regex, must_match });
            }
        }
    }

    fn cell_check(&mut self, name: &str, column: usize, when: Option<usize>, test: CellCheck) {
        self.test(name, column, when, TestKind::Cell(test));
    }

    fn test(&mut self, name: &str, column: usize, when: Option<usize>, kind: TestKind) {
        self.rules.tests.push(Test { column, name: name.to_owned(), when, kind });
    }
}

/// Reads the keys of the values of `column` in the file at `path`.
fn keys(path: &Path, column: &str) -> Result<HashSet<u128>> {
    let options = ReadOptions {
        text: Presence::Optional,
        intent: Presence::Optional,
        ..ReadOptions::default()
    };
    let mut table = Table::open(&Origin::of(path)?, &options)?;
    let Some(at) = table.shape().column(column) else {
        return Err(Fault::usage(
            "BOT-2101",
            format!("there is no column `{}`, to which a rule refers", excerpt(column)),
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
