//! One record by the roles of its columns: text, intent, language and entities.

use botops_datasets::{EntitySpan, column_roles::Roles, table::Row};
use botops_findings::Result;
use std::cell::OnceCell;

/// The cells of one record that have a role.
#[derive(Debug)]
pub(crate) struct Utterance<'a> {
    pub(crate) text: &'a str,
    pub(crate) intent: Option<&'a str>,
    pub(crate) lang: Option<&'a str>,
    entities: Option<&'a str>,
    folded: OnceCell<String>,
}

impl<'a> Utterance<'a> {
    /// Takes the cells from `row`.
    pub(crate) fn of(roles: &Roles, row: Row<'a>) -> Self {
        let filled = |column: Option<usize>| {
            column.map(|column| trimmed(row.cell(column))).filter(|cell| !cell.is_empty())
        };
        Self {
            text: row.cell(roles.text),
            intent: filled(roles.intent),
            lang: filled(roles.lang),
            entities: filled(roles.entities),
            folded: OnceCell::new(),
        }
    }

    /// Returns the text without case and repeated spaces ([`botops_text::fold`]), as it is compared.
    pub(crate) fn folded(&self) -> &str {
        self.folded.get_or_init(|| botops_text::fold(self.text))
    }

    /// Parses the entities.
    ///
    /// # Errors
    /// `BOT-2128` (exit 3) when they are not a JSON array of spans.
    pub(crate) fn entities(&self, file: &str, row: Row<'_>) -> Result<Vec<EntitySpan>> {
        self.entities.map_or_else(
            || Ok(Vec::new()),
            |json| botops_datasets::entities(json, file, row.record(), row.line()),
        )
    }
}

/// Returns `cell` without white space around it; for most cells, the first and the last byte show that there is none.
fn trimmed(cell: &str) -> &str {
    match cell.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => cell,
        _ => cell.trim(),
    }
}
