//! How a data file is read.

use crate::opening::{Format, Limits};

/// How to read a file.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The text column; default: the first of `text`, `utterance`, `message`, `query` (any case).
    pub text_column: Option<String>,
    /// The intent column; default: the first of `intent`, `label`, `category` (any case).
    pub intent_column: Option<String>,
    /// The language column; default: the first of `lang`, `language`, `locale`.
    pub lang_column: Option<String>,
    /// Whether a file without an intent column is a fault.
    pub intent: Presence,
    /// Whether a file without a text column is a fault; only checks of rules can do without one.
    pub text: Presence,
    /// How the records are written; default: told from the name, else from the content.
    pub format: Option<Format>,
    /// How much a packed file may unpack to.
    pub limits: Limits,
}

impl ReadOptions {
    /// Returns whether a table need not have a text: none is asked for, nor anything else by name.
    pub(crate) fn is_free(&self) -> bool {
        let named = [&self.text_column, &self.intent_column, &self.lang_column];
        self.text == Presence::Optional && named.iter().all(|name| name.is_none())
    }
}

/// Whether a column has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// A file without it is a fault.
    #[default]
    Required,
    /// A file may lack it.
    Optional,
}
