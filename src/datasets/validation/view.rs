//! One record with its roles: what every data set of utterances has.

use crate::{
    datasets::{EntitySpan, columns::Roles, read, table::Row},
    findings::Result,
};
use std::cell::OnceCell;

/// The cells with a role of one record.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) text: &'a str,
    pub(super) intent: Option<&'a str>,
    pub(super) lang: Option<&'a str>,
    entities: Option<&'a str>,
    fold: OnceCell<String>,
}

impl<'a> View<'a> {
    /// Takes them from `row`.
    pub(super) fn of(roles: &Roles, row: Row<'a>) -> Self {
        let filled = |column: Option<usize>| {
            column.map(|column| trimmed(row.cell(column))).filter(|cell| !cell.is_empty())
        };
        Self {
            text: row.cell(roles.text),
            intent: filled(roles.intent),
            lang: filled(roles.lang),
            entities: filled(roles.entities),
            fold: OnceCell::new(),
        }
    }

    /// Returns the text as it is compared.
    pub(super) fn fold(&self) -> &str {
        self.fold.get_or_init(|| crate::text::fold(self.text))
    }

    /// Reads the entities.
    ///
    /// # Errors
    /// `BOT-2128` (exit 3) when they are no JSON array of spans.
    pub(super) fn entities(&self, file: &str, row: Row<'_>) -> Result<Vec<EntitySpan>> {
        self.entities.map_or_else(
            || Ok(Vec::new()),
            |json| read::entities(json, file, row.record(), row.line()),
        )
    }
}

/// Returns `cell` without white space around it; of most cells the first and the last byte tell that there is none.
fn trimmed(cell: &str) -> &str {
    match cell.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => cell,
        _ => cell.trim(),
    }
}
