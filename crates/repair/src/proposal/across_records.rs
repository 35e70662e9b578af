//! Fixes that take all records: intents that are spelled alike, records that repeat others, texts under two intents.

use super::{Draft, Drafts};
use crate::FixAction;
use botops_datasets::column_roles::Roles;
use botops_expectations::Expectations;
use botops_labels::OOS;
use botops_text::{display, fold};
use botops_validation::file_checks::spelling;
use std::collections::{BTreeMap, HashMap};

impl Drafts<'_> {
    /// Spells intents alike that differ only in how they are written: as most records do.
    pub(crate) fn spellings(&mut self, roles: &Roles, expectations: &Expectations) {
        let (Some(column), Some(_)) = (roles.intent, expectations.severity_of("BOT-2127")) else {
            return;
        };
        let mut spelled: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        let word =
            |drafts: &Self, at| drafts.document.cell(&drafts.edits, at, column).trim().to_owned();
        for at in 0..self.document.len() {
            let intent = word(self, at);
            if !intent.is_empty() {
                *spelled.entry(spelling(&intent)).or_default().entry(intent).or_default() += 1;
            }
        }
        spelled.retain(|_, names| names.len() > 1);
        for at in 0..self.document.len() {
            let intent = word(self, at);
            let Some(names) = spelled.get(&spelling(&intent)) else { continue };
            let is_expected = |name: &String| {
                let known = expectations.intents.as_ref();
                known.is_some_and(|known| known.contains(name))
                    || *name == expectations.oos
                    || name == OOS
            };
            let expected: Vec<&String> = names.keys().filter(|name| is_expected(name)).collect();
            // Of as many records, the first by name.
            let most = names.iter().max_by_key(|(name, n)| (**n, std::cmp::Reverse(*name)));
            let target = match (expected.as_slice(), most) {
                ([only], _) => *only,
                (_, Some((most, _))) => most,
                (_, None) => continue,
            };
            if *target == intent {
                continue;
            }
            self.change(Draft {
                at,
                action: FixAction::Change,
                column,
                codes: vec!["BOT-2127".to_owned()],
                // Two that are both expected are meant by somebody.
                is_applied: expected.len() < 2,
                value: target.clone(),
                why: vec![format!(
                    "the intents `{}` and `{}` differ only in how they are written",
                    display(&intent, 60),
                    display(target, 60)
                )],
            });
        }
    }

    /// Leaves out what is there twice, as it would be with the other fixes applied.
    pub(crate) fn repeats(&mut self, roles: &Roles, expectations: &Expectations) {
        let is_wanted = |code| expectations.severity_of(code).is_some();
        let [same, alike, torn] = ["BOT-2120", "BOT-2121", "BOT-2122"].map(is_wanted);
        let document = self.document;
        let (mut first_same, mut first_alike) = (HashMap::new(), HashMap::new());
        let mut intents: HashMap<String, BTreeMap<String, Vec<usize>>> = HashMap::new();
        for at in 0..document.len() {
            let cell = |column: usize| document.cell(&self.edits, at, column);
            let text = cell(roles.text).to_owned();
            let folded = fold(&text);
            if folded.is_empty() {
                continue;
            }
            let intent = roles.intent.map_or("", cell).trim().to_owned();
            let first = *first_same.entry((text, intent.clone())).or_insert(at);
            let near = *first_alike.entry((folded.clone(), intent.clone())).or_insert(at);
            if first < at {
                if same {
                    self.repeat(at, first, roles, "BOT-2120");
                }
            } else if near < at && alike {
                self.repeat(at, near, roles, "BOT-2121");
            }
            if !intent.is_empty() && !self.edits.removed.contains(&at) {
                intents.entry(folded).or_default().entry(intent).or_default().push(at);
            }
        }
        let Some(column) = roles.intent.filter(|_| torn) else { return };
        let mut torn: Vec<_> = intents.into_values().filter(|intents| intents.len() > 1).collect();
        torn.sort_by_key(|intents| intents.values().flatten().min().copied());
        for intents in torn {
            let most = intents.values().map(Vec::len).max().unwrap_or_default();
            let mut winners = intents.iter().filter(|(_, records)| records.len() == most);
            // Where none has more records, nothing argues for one of them.
            let (Some((winner, records)), None) = (winners.next(), winners.next()) else {
                continue;
            };
            let others = intents.iter().filter(|(intent, _)| *intent != winner);
            for (at, intent) in
                others.flat_map(|(intent, all)| all.iter().map(move |at| (*at, intent)))
            {
                let other = records[0] + 1;
                self.change(Draft {
                    at,
                    action: FixAction::Change,
                    column,
                    codes: vec!["BOT-2122".to_owned()],
                    is_applied: false,
                    value: winner.clone(),
                    why: vec![format!(
                        "the text has the intent `{}` here and `{}` in record {other}, with {} in all: decide for one",
                        display(intent, 60),
                        display(winner, 60),
                        records.len()
                    )],
                });
            }
        }
    }

    /// Leaves out the record at `at`, which says the same as the one at `first`.
    fn repeat(&mut self, at: usize, first: usize, roles: &Roles, code: &str) {
        let document = self.document;
        let differs = |column: usize| {
            document.cell(&self.edits, at, column) != document.cell(&self.edits, first, column)
        };
        let others: Vec<String> = (0..document.names.len())
            .filter(|&column| column != roles.text && Some(column) != roles.intent)
            .filter(|&column| differs(column))
            .map(|column| format!("`{}`", display(&document.names[column], 40)))
            .collect();
        let is_exact = code == "BOT-2120";
        let with_role = [roles.lang, roles.entities];
        let is_applied = is_exact && !with_role.into_iter().flatten().any(differs);
        let but = if is_exact { "" } else { ", but for case and spaces" };
        let line = document.row(first).line();
        let mut why = vec![format!("the same as record {} (line {line}){but}", first + 1)];
        if !others.is_empty() {
            let verb = if others.len() == 1 { "differs" } else { "differ" };
            why.push(format!("{} {verb}", others.join(", ")));
        }
        self.remove(Draft {
            at,
            action: FixAction::Remove,
            column: roles.text,
            codes: vec![code.to_owned()],
            is_applied,
            value: String::new(),
            why,
        });
    }
}
