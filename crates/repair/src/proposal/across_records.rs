//! Fixes that compare records: spellings of one intent, repeated records, texts under two intents.

use super::drafts::{Draft, Drafts};
use crate::fix::FixAction;
use botops_datasets::column_roles::Roles;
use botops_expectations::Expectations;
use botops_labels::OOS;
use botops_text::{counted, display, fold};
use botops_validation::intent_spelling;
use std::collections::{BTreeMap, HashMap};

impl Drafts<'_> {
    /// Gives intents that differ only in spelling the expected spelling, or else the most frequent one.
    pub(super) fn unify_spellings(&mut self, roles: &Roles, expectations: &Expectations) {
        let (Some(column), Some(_)) = (roles.intent, expectations.severity_of("BOT-2127")) else {
            return;
        };
        let mut by_spelling: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        let word =
            |drafts: &Self, at| drafts.document.cell(&drafts.edits, at, column).trim().to_owned();
        for at in 0..self.document.len() {
            let intent = word(self, at);
            if !intent.is_empty() {
                *by_spelling
                    .entry(intent_spelling(&intent))
                    .or_default()
                    .entry(intent)
                    .or_default() += 1;
            }
        }
        by_spelling.retain(|_, names| names.len() > 1);
        for at in 0..self.document.len() {
            let intent = word(self, at);
            let Some(names) = by_spelling.get(&intent_spelling(&intent)) else { continue };
            let is_expected = |name: &String| {
                let known = expectations.intents.as_ref();
                known.is_some_and(|known| known.contains(name))
                    || expectations.is_oos(name)
                    || name == OOS
            };
            let expected: Vec<&String> = names.keys().filter(|name| is_expected(name)).collect();
            // Between spellings with as many records, the first by name.
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
                // Two expected spellings may be two intents, so a person decides.
                is_applied: expected.len() < 2,
                value: target.clone(),
                why: vec![format!(
                    "the intents `{}` and `{}` differ only in spelling",
                    display(&intent, 60),
                    display(target, 60)
                )],
            });
        }
    }

    /// Removes repeats, as they are with the other fixes applied, and proposes one intent for texts under several.
    pub(super) fn remove_repeats(&mut self, roles: &Roles, expectations: &Expectations) {
        let is_checked = |code| expectations.severity_of(code).is_some();
        let [exact, folded_repeats, conflicts] =
            ["BOT-2120", "BOT-2121", "BOT-2122"].map(is_checked);
        let document = self.document;
        let (mut first_exact, mut first_folded) = (HashMap::new(), HashMap::new());
        let mut intents: HashMap<String, BTreeMap<String, Vec<usize>>> = HashMap::new();
        for at in 0..document.len() {
            let cell = |column: usize| document.cell(&self.edits, at, column);
            let text = cell(roles.text).to_owned();
            let folded = fold(&text);
            if folded.is_empty() {
                continue;
            }
            let intent = roles.intent.map_or("", cell).trim().to_owned();
            let first = *first_exact.entry((text, intent.clone())).or_insert(at);
            let near = *first_folded.entry((folded.clone(), intent.clone())).or_insert(at);
            if first < at {
                if exact {
                    self.remove_repeat(at, first, roles, "BOT-2120");
                }
            } else if near < at && folded_repeats {
                self.remove_repeat(at, near, roles, "BOT-2121");
            }
            if !intent.is_empty() && !self.edits.removed.contains(&at) {
                intents.entry(folded).or_default().entry(intent).or_default().push(at);
            }
        }
        let Some(column) = roles.intent.filter(|_| conflicts) else { return };
        let mut conflicts: Vec<_> =
            intents.into_values().filter(|intents| intents.len() > 1).collect();
        conflicts.sort_by_key(|intents| intents.values().flatten().min().copied());
        for intents in conflicts {
            let most = intents.values().map(Vec::len).max().unwrap_or_default();
            let mut winners = intents.iter().filter(|(_, records)| records.len() == most);
            // If two intents have the most records, there is no reason to prefer one.
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
                        "the text has the intent `{}` here and `{}` in record {other}, which {} have: choose one",
                        display(intent, 60),
                        display(winner, 60),
                        counted(records.len() as u64, "record", "records")
                    )],
                });
            }
        }
    }

    /// Drafts the removal of the record at `at`, which repeats the one at `first`.
    fn remove_repeat(&mut self, at: usize, first: usize, roles: &Roles, code: &str) {
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
