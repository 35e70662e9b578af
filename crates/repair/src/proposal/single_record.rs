//! Fixes of single records: damage, white space, spellings, languages, personal data and suggested intents.

use super::drafts::{Draft, Drafts};
use crate::{
    complaints::Complaints, entity_spans::RepairedText, fix::FixAction,
    suggested_intent::SuggestedIntent,
};
use botops_datasets::{column_roles::Roles, entities};
use botops_expectations::{Expectations, RuleSpec};
use botops_findings::{Finding, Place, Result};
use botops_spec::nearest;
use botops_text::{LanguageGuesser, display, redact};
use botops_validation::{
    Keep, Mark, ValidateOptions,
    damage::{DamageKinds, undo},
    intent_spelling, validate_bytes,
};
use std::collections::{BTreeMap, BTreeSet};

/// The damage of a cell, with the codes of its findings and the reasons.
#[derive(Default)]
struct CellDamage {
    kinds: DamageKinds,
    codes: Vec<String>,
    why: Vec<String>,
}

impl CellDamage {
    /// Adds `finding`, if it is about damage.
    fn add(&mut self, finding: &Finding) {
        match finding.code.as_str() {
            "BOT-2118" => self.kinds.misread = true,
            "BOT-2119" => self.kinds.invisible = true,
            "BOT-2215" => self.kinds.decomposed = true,
            "BOT-2242" => self.kinds.html = true,
            _ => return,
        }
        if !self.codes.contains(&finding.code) {
            self.codes.push(finding.code.clone());
            self.why.push(finding.message.clone());
        }
    }
}

impl Drafts<'_> {
    /// Drafts fixes for the findings about all records, as they are after the edits so far.
    pub(super) fn fix_records(
        &mut self,
        expectations: &Expectations,
        options: &ValidateOptions<'_>,
    ) -> Result<()> {
        let document = self.document;
        let validation = validate_bytes(
            document.render(&self.edits)?,
            &document.name,
            document.options(),
            expectations,
            &ValidateOptions { samples: usize::MAX, ..*options },
            Keep::Counts,
        )?;
        let mut by_record: BTreeMap<usize, Vec<(&Finding, &Mark)>> = BTreeMap::new();
        for (finding, mark) in validation.findings.iter().zip(&validation.marks) {
            let at = finding.place.record.and_then(|record| usize::try_from(record).ok());
            if let Some(at) = at.and_then(|record| record.checked_sub(1)) {
                by_record.entry(at).or_default().push((finding, mark));
            }
        }
        for at in 0..document.len() {
            let findings = by_record.remove(&at).unwrap_or_default();
            self.fix_record(at, &findings, expectations)?;
        }
        Ok(())
    }

    /// Drafts fixes for the findings about the record at `at`.
    fn fix_record(
        &mut self,
        at: usize,
        findings: &[(&Finding, &Mark)],
        expectations: &Expectations,
    ) -> Result<()> {
        let document = self.document;
        let mut damaged: BTreeMap<usize, CellDamage> = BTreeMap::new();
        let text = document.roles.as_ref().map(|roles| roles.text);
        for (finding, mark) in findings {
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
            let damage = damaged.remove(&roles.text).unwrap_or_default();
            self.fix_text(at, roles, damage, findings)?;
        }
        self.trim_labels(at, expectations);
        if let Some(roles) = &document.roles {
            self.fix_names(at, roles, findings, expectations);
        }
        for (column, CellDamage { kinds, codes, why }) in damaged {
            let value = undo(self.cell(at, column), kinds);
            let action = FixAction::Change;
            self.change(Draft { at, action, column, codes, is_applied: true, value, why });
        }
        for (finding, mark) in findings {
            let Some(label) = &mark.rule else { continue };
            match finding.code.as_str() {
                "BOT-2214" => self.fix_language(at, finding, label, expectations),
                "BOT-2216" => self.redact_personal_data(at, finding, label, expectations),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the columns of the rules with this `label` for which `is_match` holds.
    fn columns(
        &self,
        expectations: &Expectations,
        label: &str,
        is_match: impl Fn(&RuleSpec) -> bool,
    ) -> BTreeSet<usize> {
        let rules = expectations.rules.iter().filter(|rule| is_match(rule));
        rules
            .flat_map(|rule| rule.subjects().map(move |name| (rule, name)))
            .filter(|(rule, name)| rule.name.as_deref().unwrap_or(name) == label)
            .filter_map(|(_, name)| self.document.column(name))
            .collect()
    }

    /// Undoes the damage of the text and trims it; its entities move with their words.
    fn fix_text(
        &mut self,
        at: usize,
        roles: &Roles,
        damage: CellDamage,
        findings: &[(&Finding, &Mark)],
    ) -> Result<()> {
        let document = self.document;
        let original = self.cell(at, roles.text).to_owned();
        let original = original.as_str();
        if let Some((finding, _)) = findings.iter().find(|(finding, _)| finding.code == "BOT-2111")
        {
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
        let CellDamage { kinds, mut codes, mut why } = damage;
        let whole = undo(original, kinds);
        let value = whole.trim();
        if value.is_empty() {
            return Ok(());
        }
        if value.len() < whole.len() {
            codes.push("BOT-2226".to_owned());
            why.push("the text has white space before or after it".to_owned());
        }
        let is_misplaced = findings.iter().find(|(finding, _)| finding.code == "BOT-2126");
        let cell = roles.entities.map(|column| (column, self.cell(at, column).trim().to_owned()));
        let mut is_applied = true;
        if let Some((column, cell)) = cell.filter(|(_, cell)| !cell.is_empty()) {
            let line = document.row(at).line();
            let spans = entities(&cell, &document.name, at as u64 + 1, line)?;
            let leading = whole.chars().count() - whole.trim_start().chars().count();
            let repaired = RepairedText {
                original,
                value,
                undone: kinds,
                leading,
                corrects: is_misplaced.is_some(),
            };
            match repaired.spans(&spans) {
                None => {
                    // A span that was right has no place in the new text.
                    is_applied = false;
                    why.push("its entities would no longer match: correct them as well".to_owned());
                }
                Some(spans_after) if spans_after != spans => {
                    let mut codes = if value == original { Vec::new() } else { codes.clone() };
                    let mut why = match value == original {
                        true => Vec::new(),
                        false => vec!["follows the change of the text".to_owned()],
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

    /// Removes white space around labels: the intent, the language, and the values of columns with a set of values.
    fn trim_labels(&mut self, at: usize, expectations: &Expectations) {
        let roles = self.document.roles.as_ref();
        let mut columns: BTreeSet<usize> =
            roles.into_iter().flat_map(|roles| [roles.intent, roles.lang]).flatten().collect();
        let sets = expectations.rules.iter().filter(|rule| rule.allowed.is_some());
        columns.extend(
            sets.flat_map(RuleSpec::subjects).filter_map(|name| self.document.column(name)),
        );
        for column in columns {
            let value = self.cell(at, column).trim().to_owned();
            if value.is_empty() {
                continue;
            }
            self.change(Draft {
                at,
                action: FixAction::Change,
                column,
                codes: vec!["BOT-2226".to_owned()],
                is_applied: true,
                value,
                why: vec!["the label has white space before or after it".to_owned()],
            });
        }
    }

    /// Replaces unexpected intents and languages by the nearest expected name.
    fn fix_names(
        &mut self,
        at: usize,
        roles: &Roles,
        findings: &[(&Finding, &Mark)],
        expectations: &Expectations,
    ) {
        for (finding, _) in findings {
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
                true => is_misspelled(word, near, &known),
                // `EN` and `fr-CA` name the languages `en` and `fr`.
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

    /// Replaces the declared language by the guessed one.
    fn fix_language(
        &mut self,
        at: usize,
        finding: &Finding,
        label: &str,
        expectations: &Expectations,
    ) {
        for rule in &expectations.rules {
            let Some(text) =
                rule.language_of.as_deref().and_then(|text| self.document.column(text))
            else {
                continue;
            };
            let text = self.cell(at, text).to_owned();
            let any = LanguageGuesser::any();
            for column in self.columns(expectations, label, |other| other == rule) {
                let Some(guess) = any.contradiction(&text, self.cell(at, column)) else {
                    continue;
                };
                let is_known = |known: &Vec<String>| known.iter().any(|name| name == guess.code());
                if !expectations.languages.as_ref().is_none_or(is_known) {
                    continue;
                }
                self.change(Draft {
                    at,
                    action: FixAction::Change,
                    column,
                    codes: vec![finding.code.clone()],
                    is_applied: any.is_sure(&text, guess),
                    value: guess.code().to_owned(),
                    why: vec![finding.message.clone()],
                });
            }
        }
    }

    /// Replaces personal data by marks, if the reviewer agrees.
    fn redact_personal_data(
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
            why.push("if applied, the data contain the marks".to_owned());
            if has_entities {
                why.push("check its entities as well".to_owned());
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

    /// Replaces intents by the suggested ones, if the reviewer agrees.
    ///
    /// # Errors
    /// `BOT-2222` (exit 5) when a record does not have the intent that the suggestion doubts.
    pub(super) fn fix_labels(
        &mut self,
        roles: &Roles,
        suggested: &[SuggestedIntent],
    ) -> Result<()> {
        let mut complaints = Complaints::default();
        for SuggestedIntent { record, intent, suggested, score } in suggested {
            let at = usize::try_from(*record).ok().and_then(|record| record.checked_sub(1));
            let cell = at.filter(|at| *at < self.document.len()).zip(roles.intent);
            let unchanged =
                cell.filter(|&(at, column)| self.document.row(at).cell(column).trim() == intent);
            let Some((at, column)) = unchanged else {
                let place = Place { record: Some(*record), ..Place::default() };
                complaints.stale(
                    "BOT-2222",
                    &place,
                    format!("record {record} does not have the intent `{}`", display(intent, 60)),
                    "run `botops data label-issues` again on the present data",
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
}

/// Returns whether `word` is a misspelling of `near`: the same but for spelling, or near it and near no other known word.
fn is_misspelled(word: &str, near: &str, known: &[&str]) -> bool {
    let (word_plain, near_plain) = (intent_spelling(word), intent_spelling(near));
    if word_plain == near_plain {
        return true;
    }
    let is_prefix = word_plain.starts_with(&near_plain) || near_plain.starts_with(&word_plain);
    let others = known.iter().copied().filter(|other| *other != near);
    !is_prefix && nearest(word, others).is_none()
}
