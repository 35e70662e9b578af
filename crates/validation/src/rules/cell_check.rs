//! Tests of one cell that has a value.

use super::violation::Violation;
use crate::{
    damage_checks::DamageSlots,
    record_key::key_of,
    record_position::{FindingSink, RecordPosition},
    words::{WordSet, excerpt},
};
use botops_datasets::{ValueType, table::Row, value::Value};
use botops_text::LanguageGuesser;
use regex::Regex;
use std::collections::HashSet;

/// A test of a cell, with the slots of its findings.
#[derive(Debug)]
pub(super) enum CellCheck {
    /// The value must be of a type, and within bounds; each bound comes with its text.
    Value {
        kind: ValueType,
        wrong_type: Option<usize>,
        out_of_range: Option<usize>,
        min: Option<(Value, String)>,
        max: Option<(Value, String)>,
    },
    /// The value must be one of these.
    Allowed { slot: usize, values: WordSet },
    /// The value must not be one of these.
    Forbidden { slot: usize, values: WordSet },
    /// The length must be within bounds, in characters.
    Chars { slot: usize, min: usize, max: usize },
    /// The regular expression must match (or must not match).
    Pattern { slot: usize, regex: Regex, must_match: bool },
    /// The value must be free of damage.
    Damage(DamageSlots),
    /// The value must be free of personal data.
    Personal(usize),
    /// The value must be the language of the text in the column `text`.
    Language { slot: usize, text: usize, guesser: LanguageGuesser },
    /// The value must be in another file; `keys` are the values there, and `column` names them.
    Reference { slot: usize, keys: HashSet<u128>, column: String },
}

impl CellCheck {
    /// Tests `cell`, a cell of `row` in the column `name`.
    pub(super) fn check(
        &self,
        name: &str,
        cell: &str,
        row: Row<'_>,
        at: RecordPosition,
        sink: &mut impl FindingSink,
    ) {
        if let Self::Damage(slots) = self {
            slots.check(&format!("`{}`", excerpt(name)), cell, at, sink);
            return;
        }
        let Some((slot, violation)) = self.violation(cell, row) else { return };
        let message = || violation.message(name, cell);
        match violation {
            Violation::Language { text, .. } => sink.add(slot, at, &[text, cell], message),
            _ => sink.add(slot, at, &[cell], message),
        }
    }

    /// Returns the violation of the test by `cell`, and its slot.
    fn violation<'a>(&'a self, cell: &str, row: Row<'a>) -> Option<(usize, Violation<'a>)> {
        match self {
            Self::Value { kind, wrong_type, out_of_range, min, max } => {
                let Some(value) = kind.read(cell) else {
                    return Some(((*wrong_type)?, Violation::WrongType(*kind)));
                };
                let violation = match (min, max) {
                    (Some((min, bound)), _) if value < *min => Violation::Below(bound),
                    (_, Some((max, bound))) if value > *max => Violation::Above(bound),
                    _ => return None,
                };
                Some(((*out_of_range)?, violation))
            }
            Self::Allowed { slot, values } => {
                (!values.contains(cell.trim())).then_some((*slot, Violation::NotAllowed(values)))
            }
            Self::Forbidden { slot, values } => {
                values.contains(cell.trim()).then_some((*slot, Violation::Forbidden))
            }
            Self::Chars { slot, min, max } => {
                // A character has 1 to 4 bytes, so most lengths need no count.
                if cell.len() >= min.saturating_mul(4) && cell.len() <= *max {
                    return None;
                }
                match cell.chars().count() {
                    chars if chars < *min => {
                        Some((*slot, Violation::TooShort { chars, min: *min }))
                    }
                    chars if chars > *max => Some((*slot, Violation::TooLong { chars, max: *max })),
                    _ => None,
                }
            }
            Self::Pattern { slot, regex, must_match } => {
                let matches = regex.is_match(cell);
                (matches != *must_match)
                    .then_some((*slot, Violation::Pattern { regex: regex.as_str(), matches }))
            }
            Self::Damage(_) => None,
            Self::Personal(slot) => {
                let kinds = botops_text::personal_data(cell);
                (!kinds.is_empty()).then_some((*slot, Violation::PersonalData(kinds)))
            }
            Self::Language { slot, text, guesser } => {
                let text = row.cell(*text);
                let guess = guesser.contradiction(text, cell)?;
                Some((*slot, Violation::Language { text, guess }))
            }
            Self::Reference { slot, keys, column } => (!keys.contains(&key_of(&[cell])))
                .then_some((*slot, Violation::NotReferenced(column))),
        }
    }
}
