//! What is checked of the file as a whole: how many records, and which intents they have.

use super::{Engine, shown};
use botops_expectations::RowBounds;
use botops_findings::Result;
use botops_labels::OOS;
use std::collections::{BTreeMap, BTreeSet};

impl Engine<'_> {
    /// Announces what will be checked.
    pub(crate) fn announce_whole(&mut self) {
        if self.expectations.rows != RowBounds::default() {
            self.found.slot(self.expectations, "BOT-2209", None);
        }
        let Some((roles, _)) = &self.roles else { return };
        if roles.intent.is_some() {
            for code in ["BOT-2110", "BOT-2123", "BOT-2127"] {
                self.found.slot(self.expectations, code, None);
            }
        }
    }

    /// Checks the file of `n_records` records, once all of them were seen and compared.
    ///
    /// # Errors
    /// `BOT-1002` when what was put on disk is not given back.
    pub(crate) fn whole(&mut self, n_records: u64) -> Result<()> {
        self.rows(n_records);
        self.gathering.finish(self.now, &mut self.found);
        let Some((roles, _)) = &self.roles else { return Ok(()) };
        let has_intents = roles.intent.is_some();
        let (mut intents, languages) = self.classes.counts(&self.found.rejected(n_records))?;
        let oos = self.expectations.oos.as_str();
        if oos != OOS
            && let Some(count) = intents.remove(oos)
        {
            *intents.entry(OOS.to_owned()).or_default() += count;
        }
        if has_intents {
            self.intents(&intents);
        }
        self.spellings();
        self.counts = Some((intents, languages));
        Ok(())
    }

    fn find(&mut self, code: &'static str, content: &str, message: String, help: &str) {
        let is_ours = |slot: &crate::tally::Slot| slot.code == code && slot.rule.is_none();
        let slot = self.found.slots.iter().position(is_ours);
        if let Some(slot) = slot {
            self.found.add_whole(slot, &[content], (message, help.to_owned()));
        }
    }

    fn rows(&mut self, n_records: u64) {
        let bounds = self.expectations.rows;
        let broken = match (bounds.min, bounds.max) {
            (Some(min), _) if n_records < min => format!("at least {min} are wanted"),
            (_, Some(max)) if n_records > max => format!("at most {max} are"),
            _ => return,
        };
        self.find(
            "BOT-2209",
            "",
            format!("the file has {n_records} records, and {broken}"),
            "look whether it is whole, and the right one, or change `rows` of the expectations",
        );
    }

    /// Checks how many examples each intent has, among the accepted records.
    fn intents(&mut self, counts: &BTreeMap<String, u64>) {
        let wanted = self.expectations.min_examples_per_intent;
        let expected = self.expectations.intents.iter().flatten().map(String::as_str);
        let names: BTreeSet<&str> =
            counts.keys().map(String::as_str).chain(expected).filter(|name| *name != OOS).collect();
        for name in names {
            let count = counts.get(name).copied().unwrap_or_default();
            if count < wanted && name != self.expectations.oos {
                let examples = if count == 1 { "example" } else { "examples" };
                self.find(
                    "BOT-2123",
                    name,
                    format!("the intent `{}` has {count} {examples}, and at least {wanted} are wanted", shown(name)),
                    "add examples, merge it with another intent, or lower `min_examples_per_intent` of the expectations",
                );
            }
        }
        let mut present = counts.keys().filter(|name| *name != OOS);
        let message = match (present.next(), present.next()) {
            (None, _) => "no record has an intent that can be trained on".to_owned(),
            (Some(only), None) => format!("there is only one intent: `{}`", shown(only)),
            _ => return,
        };
        self.find(
            "BOT-2110",
            "",
            message,
            "a classifier needs at least two intents: check the intent column, or add records of another",
        );
    }

    /// Looks for intents that differ only in how they are written.
    fn spellings(&mut self) {
        let intents: BTreeSet<String> = self.classes.intents.iter().map(str::to_owned).collect();
        let mut spelled: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for intent in intents {
            spelled.entry(spelling(&intent)).or_default().push(intent);
        }
        for (plain, names) in spelled.into_iter().filter(|(_, names)| names.len() > 1) {
            let names: Vec<String> =
                names.iter().map(|name| format!("`{}`", shown(name))).collect();
            let (last, others) = names.split_last().expect("there are two at least");
            self.find(
                "BOT-2127",
                &plain,
                format!(
                    "the intents {} and {last} differ only in how they are written",
                    others.join(", ")
                ),
                "write them alike: they are learned as different intents",
            );
        }
    }
}

/// Returns what intents have in common that differ only in how they are written.
pub fn spelling(intent: &str) -> String {
    botops_text::fold(intent).replace([' ', '-'], "_")
}
