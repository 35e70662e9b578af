//! Fixes are proposed: those that are safe as to be applied, those that a person has to decide as not.

pub(crate) mod across_records;

use super::{Complaints, Document, Fix, FixAction, Repaired, document::Edits, shown_beside};
use crate::entity_spans::Moved;
use botops_datasets::{ReadOptions, column_roles::Roles, entities};
use botops_expectations::Expectations;
use botops_findings::{Finding, Place, Result};
use botops_spec::nearest;
use botops_text::{detect_language, display, for_people, leaning, redact, spreadsheet_safe};
use botops_validation::{
    Keep, Mark, ValidateOptions, Validation,
    damage::{Undone, undo},
    file_checks::spelling,
    validate_bytes,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
};

/// How far the words of a text have to lean to a language before what is declared is changed: three words of it more than
/// of the other; see [`leaning`].
const SURE: i32 = 6;

/// The most times that the data are looked at again with what was fixed.
const ROUNDS: usize = 4;

/// Fixes, and what would come of those that are to be applied.
#[derive(Debug, Clone, Serialize)]
pub struct Proposal {
    /// The data file.
    pub file: String,
    /// Records read.
    pub records_in: u64,
    /// Records that would come out.
    pub records_out: u64,
    /// Fixes that are to be applied unless somebody says no.
    pub to_apply: u64,
    /// Fixes, in the order of the file.
    pub fixes: Vec<Fix>,
    /// What would be found then.
    #[serde(skip)]
    pub remaining: Validation,
}

/// An intent that somebody or something suggests for a record: of `botops data label-issues`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SuggestedIntent {
    /// The record, from 1.
    pub record: u64,
    /// The intent it has.
    pub intent: String,
    /// The one that fits better.
    pub suggested: String,
    /// The probability that the label is wrong.
    pub score: f64,
}

/// Proposes fixes for the file at `path`, checked against `expectations`, and for the labels that `suggested` doubts.
///
/// To be applied are those that change nothing that anybody meant: damage of encodings undone ([`undo`]), white space
/// around a text, an intent or language spelled as no other is, exact repeats, spans of entities whose value stands once in
/// the text, a language that the text clearly contradicts. The others (repeats but for case, texts under two intents,
/// personal data, empty texts, suggested intents) are proposed as not to be applied.
///
/// # Errors
/// `BOT-2220` (exit 2) for what cannot be repaired; `BOT-2222` (exit 5) when `suggested` is of other data; those of
/// [`validate_bytes`].
pub fn propose(
    path: &Path,
    read: &ReadOptions,
    expectations: &Expectations,
    options: &ValidateOptions<'_>,
    suggested: &[SuggestedIntent],
) -> Result<Proposal> {
    let document = Document::read(path, read)?;
    let mut drafts = Drafts {
        document: &document,
        edits: Edits::default(),
        drafts: Vec::new(),
        by_cell: HashMap::new(),
        removals: HashSet::new(),
    };
    // What one fix uncovers (a text that tells its language once it is read aright) is found in the next round. Records
    // keep their numbers until repeats are looked for.
    for _ in 0..ROUNDS {
        let before = drafts.edits.cells.clone();
        drafts.round(expectations, options)?;
        if drafts.edits.cells == before {
            break;
        }
    }
    if let Some(roles) = &document.roles {
        drafts.suggested(roles, suggested)?;
        drafts.spellings(roles, expectations);
        drafts.repeats(roles, expectations);
    }
    let repaired = Repaired {
        bytes: document.render(&drafts.edits)?,
        format: document.format,
        read: document.options().clone(),
    };
    let remaining = repaired.validate(&document.name, expectations, options)?;
    let fixes = drafts.fixes();
    Ok(Proposal {
        file: document.name.clone(),
        records_in: document.len() as u64,
        records_out: remaining.records_in,
        to_apply: fixes.iter().filter(|fix| fix.is_applied).count() as u64,
        fixes,
        remaining,
    })
}

/// One fix, before it is written down.
struct Draft {
    at: usize,
    action: FixAction,
    column: usize,
    codes: Vec<String>,
    is_applied: bool,
    value: String,
    why: Vec<String>,
}

/// Fixes that were thought of, and what comes of those that are to be applied.
struct Drafts<'a> {
    document: &'a Document,
    edits: Edits,
    drafts: Vec<Draft>,
    /// The changes of each cell, by their place among the drafts.
    by_cell: HashMap<(usize, usize), Vec<usize>>,
    /// The records of which a removal is among the drafts.
    removals: HashSet<usize>,
}

/// What is undone in a cell, the codes it cures, and why.
#[derive(Default)]
struct Damaged {
    undone: Undone,
    codes: Vec<String>,
    why: Vec<String>,
}

impl Damaged {
    fn add(&mut self, finding: &Finding) {
        match finding.code.as_str() {
            "BOT-2118" => self.undone.misread = true,
            "BOT-2119" => self.undone.invisible = true,
            "BOT-2215" => self.undone.decomposed = true,
            _ => return,
        }
        if !self.codes.contains(&finding.code) {
            self.codes.push(finding.code.clone());
            self.why.push(finding.message.clone());
        }
    }
}

impl Drafts<'_> {
    /// Looks at all records, as they would be with what is to be applied.
    fn round(&mut self, expectations: &Expectations, options: &ValidateOptions<'_>) -> Result<()> {
        let document = self.document;
        let found = validate_bytes(
            document.render(&self.edits)?,
            &document.name,
            document.options(),
            expectations,
            &ValidateOptions { samples: usize::MAX, ..*options },
            Keep::Counts,
        )?;
        let mut by_record: BTreeMap<usize, Vec<(&Finding, &Mark)>> = BTreeMap::new();
        for (finding, mark) in found.findings.iter().zip(&found.marks) {
            let at = finding.place.record.and_then(|record| usize::try_from(record).ok());
            if let Some(at) = at.and_then(|record| record.checked_sub(1)) {
                by_record.entry(at).or_default().push((finding, mark));
            }
        }
        for at in 0..document.len() {
            let found = by_record.remove(&at).unwrap_or_default();
            self.of_record(at, &found, expectations)?;
        }
        Ok(())
    }

    /// Returns a cell as it would be with what is to be applied.
    fn cell(&self, at: usize, column: usize) -> &str {
        self.document.cell(&self.edits, at, column)
    }

    /// Adds the change of a cell. What is to be applied goes on from what was so far; of two that are not, the same one is
    /// added once.
    fn change(&mut self, draft: Draft) {
        let key = (draft.at, draft.column);
        let original = self.document.row(draft.at).cell(draft.column);
        if draft.value == self.cell(draft.at, draft.column) {
            return;
        }
        let is_told = draft.codes.iter().any(|code| code == "BOT-2216")
            || shown_beside(&draft.value, original).is_some();
        if !is_told || self.document.as_read(draft.at, draft.column, &draft.value).is_err() {
            return;
        }
        if draft.is_applied {
            self.edits.cells.insert(key, draft.value.clone());
        }
        let known = self.by_cell.entry(key).or_default();
        let same = known.iter().copied().find(|&known| {
            let known = &self.drafts[known];
            known.value == draft.value || known.is_applied && draft.is_applied
        });
        match same.map(|same| &mut self.drafts[same]) {
            Some(known) => {
                known.value = draft.value;
                known.is_applied |= draft.is_applied;
                for (code, why) in draft.codes.into_iter().zip(draft.why) {
                    if !known.codes.contains(&code) {
                        known.codes.push(code);
                        known.why.push(why);
                    }
                }
            }
            None => {
                known.push(self.drafts.len());
                self.drafts.push(draft);
            }
        }
    }

    /// Adds the removal of a record, unless it is removed already.
    fn remove(&mut self, draft: Draft) {
        if !self.removals.insert(draft.at) {
            return;
        }
        if draft.is_applied {
            self.edits.removed.insert(draft.at);
        }
        self.drafts.push(draft);
    }

    fn of_record(
        &mut self,
        at: usize,
        found: &[(&Finding, &Mark)],
        expectations: &Expectations,
    ) -> Result<()> {
        let document = self.document;
        let mut damaged: BTreeMap<usize, Damaged> = BTreeMap::new();
        let text = document.roles.as_ref().map(|roles| roles.text);
        for (finding, mark) in found {
            match &mark.rule {
                None => {
                    if let Some(text) = text {
                        damaged.entry(text).or_default().add(finding);
                    }
                }
                Some(label) => {
                    for column in self.columns(expectations, label, |rule| rule.no_damage) {
                        damaged.entry(column).or_default().add(finding);
                    }
                }
            }
        }
        if let Some(roles) = &document.roles {
            let damaged = damaged.remove(&roles.text).unwrap_or_default();
            self.text(at, roles, damaged, found)?;
            self.labels(at, roles, found, expectations);
        }
        for (column, Damaged { undone, codes, why }) in damaged {
            let value = undo(self.cell(at, column), undone);
            let action = FixAction::Change;
            self.change(Draft { at, action, column, codes, is_applied: true, value, why });
        }
        for (finding, mark) in found {
            let Some(label) = &mark.rule else { continue };
            match finding.code.as_str() {
                "BOT-2214" => self.language(at, finding, label, expectations),
                "BOT-2216" => self.personal_data(at, finding, label, expectations),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the columns that the rules called `label` are about, of those that `is_wanted` holds of.
    fn columns(
        &self,
        expectations: &Expectations,
        label: &str,
        is_wanted: impl Fn(&botops_expectations::RuleSpec) -> bool,
    ) -> BTreeSet<usize> {
        let rules = expectations.rules.iter().filter(|rule| is_wanted(rule));
        rules
            .flat_map(|rule| rule.subjects().map(move |name| (rule, name)))
            .filter(|(rule, name)| rule.name.as_deref().unwrap_or(name) == label)
            .filter_map(|(_, name)| self.document.column(name))
            .collect()
    }

    /// Undoes damage of the text and takes off the white space around it; its entities stay where their words are.
    fn text(
        &mut self,
        at: usize,
        roles: &Roles,
        damaged: Damaged,
        found: &[(&Finding, &Mark)],
    ) -> Result<()> {
        let document = self.document;
        let original = self.cell(at, roles.text).to_owned();
        let original = original.as_str();
        if let Some((finding, _)) = found.iter().find(|(finding, _)| finding.code == "BOT-2111") {
            self.remove(Draft {
                at,
                action: FixAction::Remove,
                column: roles.text,
                codes: vec![finding.code.clone()],
                is_applied: false,
                value: String::new(),
                why: vec![finding.message.clone()],
            });
            return Ok(());
        }
        let Damaged { undone, mut codes, mut why } = damaged;
        let whole = undo(original, undone);
        let value = whole.trim();
        if value.is_empty() {
            return Ok(());
        }
        if value.len() < whole.len() {
            codes.push("BOT-2226".to_owned());
            why.push("white space stands before or after the text".to_owned());
        }
        let is_misplaced = found.iter().find(|(finding, _)| finding.code == "BOT-2126");
        let cell = roles.entities.map(|column| (column, self.cell(at, column).trim().to_owned()));
        let mut is_applied = true;
        if let Some((column, cell)) = cell.filter(|(_, cell)| !cell.is_empty()) {
            let line = document.row(at).line();
            let spans = entities(&cell, &document.name, at as u64 + 1, line)?;
            let leading = whole.chars().count() - whole.trim_start().chars().count();
            let moved =
                Moved { original, value, undone, leading, corrects: is_misplaced.is_some() };
            match moved.spans(&spans) {
                None => {
                    // Only what was right before can be lost.
                    is_applied = false;
                    why.push("its entities would no longer fit: correct them as well".to_owned());
                }
                Some(spans_after) if spans_after != spans => {
                    let mut codes = if value == original { Vec::new() } else { codes.clone() };
                    let mut why = match value == original {
                        true => Vec::new(),
                        false => vec!["goes with the change of the text".to_owned()],
                    };
                    if let Some((finding, _)) = is_misplaced {
                        codes.push(finding.code.clone());
                        why.push(finding.message.clone());
                    }
                    let json = serde_json::to_string(&spans_after).expect("spans are valid JSON");
                    let value = document.as_read(at, column, &json).unwrap_or(json);
                    let action = FixAction::Change;
                    self.change(Draft { at, action, column, codes, is_applied: true, value, why });
                }
                Some(_) => {}
            }
        }
        self.change(Draft {
            at,
            action: FixAction::Change,
            column: roles.text,
            codes,
            is_applied,
            value: value.to_owned(),
            why,
        });
        Ok(())
    }

    /// Spells intents and languages that are not expected as those are that are.
    fn labels(
        &mut self,
        at: usize,
        roles: &Roles,
        found: &[(&Finding, &Mark)],
        expectations: &Expectations,
    ) {
        for (finding, _) in found {
            let (column, known, is_intent): (_, Vec<&str>, _) = match finding.code.as_str() {
                "BOT-2113" => {
                    let known = expectations.intents.iter().flatten().map(String::as_str);
                    (roles.intent, known.chain([expectations.oos.as_str()]).collect(), true)
                }
                "BOT-2114" => {
                    let known = expectations.languages.iter().flatten().map(String::as_str);
                    (roles.lang, known.collect(), false)
                }
                _ => continue,
            };
            let Some(column) = column else { continue };
            let word = self.cell(at, column).trim();
            let Some(near) = nearest(word, known.iter().copied()) else { continue };
            let is_applied = match is_intent {
                true => is_spelled_wrong(word, near, &known),
                // `EN`, `fr-CA`: the language is the same.
                false => {
                    let primary = |lang: &str| {
                        lang.split(['-', '_']).next().unwrap_or_default().to_lowercase()
                    };
                    primary(word) == primary(near)
                }
            };
            self.change(Draft {
                at,
                action: FixAction::Change,
                column,
                codes: vec![finding.code.clone()],
                is_applied,
                value: near.to_owned(),
                why: vec![finding.message.clone()],
            });
        }
    }

    /// Declares the language that the text is in.
    fn language(&mut self, at: usize, finding: &Finding, label: &str, expectations: &Expectations) {
        for rule in &expectations.rules {
            let Some(text) =
                rule.language_of.as_deref().and_then(|text| self.document.column(text))
            else {
                continue;
            };
            let text = self.cell(at, text);
            let Some(detected) = detect_language(text) else { continue };
            let is_known = |there: &Vec<String>| there.iter().any(|there| there == detected);
            if !expectations.languages.as_ref().is_none_or(is_known) {
                continue;
            }
            let is_sure = leaning(text).abs() >= SURE;
            for column in self.columns(expectations, label, |there| there == rule) {
                let declared = self.cell(at, column).to_lowercase();
                if declared.split(['-', '_']).next() == Some(detected) {
                    continue;
                }
                self.change(Draft {
                    at,
                    action: FixAction::Change,
                    column,
                    codes: vec![finding.code.clone()],
                    is_applied: is_sure,
                    value: detected.to_owned(),
                    why: vec![finding.message.clone()],
                });
            }
        }
    }

    /// Puts marks in the place of personal data.
    fn personal_data(
        &mut self,
        at: usize,
        finding: &Finding,
        label: &str,
        expectations: &Expectations,
    ) {
        for column in self.columns(expectations, label, |rule| rule.no_personal_data) {
            let value = redact(self.cell(at, column));
            let entities = self.document.roles.as_ref().and_then(|roles| roles.entities);
            let has_entities =
                entities.is_some_and(|entities| !self.cell(at, entities).trim().is_empty());
            let mut why = vec![finding.message.clone()];
            why.push("applied, the marks stand in the data themselves".to_owned());
            if has_entities {
                why.push("look at its entities as well".to_owned());
            }
            self.change(Draft {
                at,
                action: FixAction::Change,
                column,
                codes: vec![finding.code.clone()],
                is_applied: false,
                value,
                why,
            });
        }
    }

    /// Takes the intents that fit better by what was learned from the others: never without a person.
    fn suggested(&mut self, roles: &Roles, suggested: &[SuggestedIntent]) -> Result<()> {
        let mut complaints = Complaints::default();
        for SuggestedIntent { record, intent, suggested, score } in suggested {
            let at = usize::try_from(*record).ok().and_then(|record| record.checked_sub(1));
            let there = at.filter(|at| *at < self.document.len()).zip(roles.intent);
            let fits =
                there.filter(|&(at, column)| self.document.row(at).cell(column).trim() == intent);
            let Some((at, column)) = fits else {
                let place = Place { record: Some(*record), ..Place::default() };
                complaints.stale(
                    "BOT-2222",
                    &place,
                    format!("record {record} does not have the intent `{}`", display(intent, 60)),
                    "look for label issues again, in the data as they are now",
                );
                continue;
            };
            self.change(Draft {
                at,
                action: FixAction::Change,
                column,
                codes: vec!["BOT-2190".to_owned()],
                is_applied: false,
                value: suggested.clone(),
                why: vec![format!("the label is wrong with a probability of {score:.2}")],
            });
        }
        complaints.refuse("list of label issues")
    }

    /// Writes the fixes down, in the order of the file.
    fn fixes(mut self) -> Vec<Fix> {
        self.drafts
            .sort_by_key(|draft| (draft.at, draft.action == FixAction::Remove, draft.column));
        let document = self.document;
        let fix = |draft: Draft| {
            let original = document.row(draft.at).cell(draft.column);
            let after = match draft.action {
                FixAction::Remove => String::new(),
                FixAction::Change => shown_beside(&draft.value, original)
                    .filter(|_| !draft.codes.iter().any(|code| code == "BOT-2216"))
                    .unwrap_or_else(|| spreadsheet_safe(&draft.value).into_owned()),
            };
            Fix {
                file: document.name.clone(),
                record: draft.at as u64 + 1,
                line: document.row(draft.at).line(),
                action: draft.action,
                column: document.names[draft.column].clone(),
                codes: draft.codes.join(" "),
                is_applied: draft.is_applied,
                before: for_people(original),
                after,
                why: draft.why.join("; "),
                fingerprint: document.fingerprint(draft.at),
            }
        };
        self.drafts.into_iter().map(fix).collect()
    }
}

/// Whether `word` is no other word than `near`: written in another way, or with a slip, and like no other that is known.
fn is_spelled_wrong(word: &str, near: &str, known: &[&str]) -> bool {
    let (word_plain, near_plain) = (spelling(word), spelling(near));
    if word_plain == near_plain {
        return true;
    }
    let is_beginning = word_plain.starts_with(&near_plain) || near_plain.starts_with(&word_plain);
    let others = known.iter().copied().filter(|other| *other != near);
    !is_beginning && nearest(word, others).is_none()
}
