//! One record with its roles: what every data set of utterances has.

use botops_datasets::{EntitySpan, column_roles::Roles, table::Row};
use botops_findings::Result;
use std::cell::OnceCell;

/// The cells with a role of one record.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) text: &'a str,
    pub(crate) intent: Option<&'a str>,
    pub(crate) lang: Option<&'a str>,
    entities: Option<&'a str>,
    fold: OnceCell<String>,
}

impl<'a> View<'a> {
    /// Takes them from `row`.
    pub(crate) fn of(roles: &Roles, row: Row<'a>) -> Self {
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
    pub(crate) fn fold(&self) -> &str {
        self.fold.get_or_init(|| botops_text::fold(self.text))
    }

    /// Reads the entities.
    ///
    /// # Errors
    /// `BOT-2128` (exit 3) when they are no JSON array of spans.
    pub(crate) fn entities(&self, file: &str, row: Row<'_>) -> Result<Vec<EntitySpan>> {
        self.entities.map_or_else(
            || Ok(Vec::new()),
            |json| botops_datasets::entities(json, file, row.record(), row.line()),
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
