//! One fix of a patch: a cell changed, or a record removed.

use serde::Serialize;

/// The action of a fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FixAction {
    /// A cell gets another value.
    Change,
    /// The record is removed.
    Remove,
}

impl FixAction {
    /// Returns the word for the action in a patch.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// One line of a patch. Values are safe to show: see [`botops_text::for_people`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The data file.
    pub file: String,
    /// The record, from 1.
    pub record: u64,
    /// The line on which it starts, from 1.
    pub line: u64,
    /// The action.
    pub action: FixAction,
    /// The column; for a removal, the column of `before`.
    pub column: String,
    /// The codes of the findings that it fixes, separated by spaces; empty: a person added the line.
    pub codes: String,
    /// Whether it is to be applied.
    pub is_applied: bool,
    /// The present value.
    pub before: String,
    /// The new value.
    pub after: String,
    /// The reasons.
    pub why: String,
    /// The fingerprint of the record when the patch was made; empty: only `before` is compared.
    pub fingerprint: String,
}
