//! Drafts of fixes, and the data as they would be with those that are to be applied.

use crate::{
    document::{Document, Edits},
    fix::{Fix, FixAction},
    redacted_cell::redacted,
};
use botops_text::{for_people, spreadsheet_safe};
use std::collections::{HashMap, HashSet};

/// A draft of one fix.
pub(super) struct Draft {
    /// The record, from 0.
    pub(super) at: usize,
    pub(super) action: FixAction,
    pub(super) column: usize,
    pub(super) codes: Vec<String>,
    pub(super) is_applied: bool,
    /// The new value of the cell; empty for a removal.
    pub(super) value: String,
    /// The reasons.
    pub(super) why: Vec<String>,
}

/// The drafts of a document.
pub(super) struct Drafts<'a> {
    pub(super) document: &'a Document,
    /// The edits of the drafts that are to be applied.
    pub(super) edits: Edits,
    drafts: Vec<Draft>,
    /// The indices of the drafts that change each cell.
    by_cell: HashMap<(usize, usize), Vec<usize>>,
    /// The records with a draft that removes them.
    removals: HashSet<usize>,
}

impl<'a> Drafts<'a> {
    /// Begins without a draft.
    pub(super) fn new(document: &'a Document) -> Self {
        Self {
            document,
            edits: Edits::default(),
            drafts: Vec::new(),
            by_cell: HashMap::new(),
            removals: HashSet::new(),
        }
    }

    /// Returns a cell after the edits so far.
    pub(super) fn cell(&self, at: usize, column: usize) -> &str {
        self.document.cell(&self.edits, at, column)
    }

    /// Adds a change of a cell.
    ///
    /// - a change that has no effect, or that a reviewer could not read back, is dropped
    /// - a change to be applied is merged with an earlier one of the same cell, since it continues from that
    /// - a change to the same value as an earlier one is merged with it
    pub(super) fn change(&mut self, draft: Draft) {
        let key = (draft.at, draft.column);
        let original = self.document.row(draft.at).cell(draft.column);
        if draft.value == self.cell(draft.at, draft.column) {
            return;
        }
        let is_restorable = draft.codes.iter().any(|code| code == "BOT-2216")
            || redacted(&draft.value, original).is_some();
        if !is_restorable || self.document.as_read(draft.at, draft.column, &draft.value).is_err() {
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

    /// Adds the removal of a record, unless there is one already.
    pub(super) fn remove(&mut self, draft: Draft) {
        if !self.removals.insert(draft.at) {
            return;
        }
        if draft.is_applied {
            self.edits.removed.insert(draft.at);
        }
        self.drafts.push(draft);
    }

    /// Returns the drafts as fixes, in the order of the file.
    pub(super) fn into_fixes(mut self) -> Vec<Fix> {
        self.drafts
            .sort_by_key(|draft| (draft.at, draft.action == FixAction::Remove, draft.column));
        let document = self.document;
        let fix = |draft: Draft| {
            let original = document.row(draft.at).cell(draft.column);
            let after = match draft.action {
                FixAction::Remove => String::new(),
                FixAction::Change => redacted(&draft.value, original)
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
