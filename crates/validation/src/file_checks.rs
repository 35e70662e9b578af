//! Checks of the file as a whole: the number of records, and the intents of the accepted ones.

use crate::{
    class_counts::{Classes, Counts},
    record_set::RecordSet,
    tally::Tally,
    words::excerpt,
};
use botops_expectations::{Expectations, RowBounds};
use botops_findings::Result;
use botops_labels::{OOS, undeclared_oos};
use botops_text::counted;
use std::collections::{BTreeMap, BTreeSet};

/// The checks of the file, with a slot each; `None` for a check that is silenced or does not apply.
pub(crate) struct FileChecks<'a> {
    expectations: &'a Expectations,
    rows: Option<usize>,
    /// Fewer than two intents.
    few_intents: Option<usize>,
    few_examples: Option<usize>,
    spellings: Option<usize>,
}

impl<'a> FileChecks<'a> {
    /// Prepares the checks.
    pub(crate) fn new(
        expectations: &'a Expectations,
        has_intents: bool,
        tally: &mut Tally,
    ) -> Self {
        let mut slot = |code, applies: bool| {
            if applies { tally.slot(expectations, code, None) } else { None }
        };
        Self {
            expectations,
            rows: slot("BOT-2209", expectations.rows != RowBounds::default()),
            few_intents: slot("BOT-2110", has_intents),
            few_examples: slot("BOT-2123", has_intents),
            spellings: slot("BOT-2127", has_intents),
        }
    }

    /// Checks the number of records.
    pub(crate) fn check_rows(&self, n_records: u64, tally: &mut Tally) {
        let bounds = self.expectations.rows;
        let expected = match (bounds.min, bounds.max) {
            (Some(min), _) if n_records < min => format!("at least {min}"),
            (_, Some(max)) if n_records > max => format!("at most {max}"),
            _ => return,
        };
        add(
            tally,
            self.rows,
            "",
            format!(
                "the file has {}: expected {expected}",
                counted(n_records, "record", "records")
            ),
            "check that the file is complete and the right one, or change `rows` in the expectations",
        );
    }

    /// Checks the intents of the records that are not `rejected`; returns these records by intent and by language.
    ///
    /// # Errors
    /// `BOT-1002` when the disk cannot be read.
    pub(crate) fn check_intents(
        &self,
        classes: &Classes,
        rejected: &RecordSet,
        tally: &mut Tally,
    ) -> Result<Counts> {
        let (mut intents, languages) = classes.counts(rejected)?;
        let declared = self.expectations.oos_labels.iter().chain([&self.expectations.oos]);
        for oos in declared.filter(|oos| *oos != OOS) {
            if let Some(count) = intents.remove(oos) {
                *intents.entry(OOS.to_owned()).or_default() += count;
            }
        }
        self.check_examples(&intents, tally);
        self.check_oos_labels(&intents, tally);
        self.check_spellings(classes, tally);
        Ok((intents, languages))
    }

    /// Checks the number of intents, and the number of examples of each.
    fn check_examples(&self, counts: &BTreeMap<String, u64>, tally: &mut Tally) {
        let min = self.expectations.min_examples_per_intent;
        let expected = self.expectations.intents.iter().flatten().map(String::as_str);
        let names: BTreeSet<&str> =
            counts.keys().map(String::as_str).chain(expected).filter(|name| *name != OOS).collect();
        for name in names {
            let count = counts.get(name).copied().unwrap_or_default();
            if count < min && !self.expectations.is_oos(name) {
                let message = format!(
                    "the intent `{}` has {}: expected at least {min}",
                    excerpt(name),
                    counted(count, "example", "examples")
                );
                let help = "add examples, merge it with another intent, or lower `min_examples_per_intent` in the expectations";
                add(tally, self.few_examples, name, message, help);
            }
        }
        let mut present = counts.keys().filter(|name| *name != OOS);
        let message = match (present.next(), present.next()) {
            (None, _) => "no accepted record has an intent to train on".to_owned(),
            (Some(only), None) => format!("there is only one intent: `{}`", excerpt(only)),
            _ => return,
        };
        let help = "a classifier needs at least two intents: check the intent column, or add records of another";
        add(tally, self.few_intents, "", message, help);
    }

    /// Reports labels that look like out of scope, and are declared neither so nor as intents. The check is listed only
    /// if it finds some.
    fn check_oos_labels(&self, counts: &BTreeMap<String, u64>, tally: &mut Tally) {
        let is_intent = |label: &String| {
            self.expectations.intents.as_ref().is_some_and(|intents| intents.contains(label))
        };
        let undeclared = counts.iter().filter(|(label, _)| !is_intent(label));
        let counts = undeclared.map(|(label, n)| (label.as_str(), *n));
        let found = undeclared_oos(counts, "", |labels| {
            let labels: Vec<String> = labels.iter().map(|label| excerpt(label)).collect();
            format!(
                "if it means out of scope, add `oos_labels: [{}]` to the expectations",
                labels.join(", ")
            )
        });
        if let Some(found) = found {
            let slot = tally.slot(self.expectations, "BOT-2255", None);
            add(tally, slot, "", found.message, &found.help);
        }
    }

    /// Reports intents that differ only in spelling.
    fn check_spellings(&self, classes: &Classes, tally: &mut Tally) {
        let intents: BTreeSet<&str> = classes.intents.iter().collect();
        let mut by_spelling: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for intent in intents {
            by_spelling.entry(intent_spelling(intent)).or_default().push(intent);
        }
        for (spelling, names) in by_spelling.into_iter().filter(|(_, names)| names.len() > 1) {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{}`", excerpt(name))).collect();
            let (last, others) = names.split_last().expect("there are at least two names");
            let message =
                format!("the intents {} and {last} differ only in spelling", others.join(", "));
            let help = "use one spelling: a model learns them as different intents";
            add(tally, self.spellings, &spelling, message, help);
        }
    }
}

/// Adds a finding about the file, identified by `content`, unless its check is silenced.
fn add(tally: &mut Tally, slot: Option<usize>, content: &str, message: String, help: &str) {
    if let Some(slot) = slot {
        tally.add_whole(slot, &[content], (message, help.to_owned()));
    }
}

/// Returns the form in which intents are equal that differ only in spelling: folded, with `_` for spaces and hyphens.
pub fn intent_spelling(intent: &str) -> String {
    botops_text::fold(intent).replace([' ', '-'], "_")
}
