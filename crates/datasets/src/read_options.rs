//! Options of reading a data file.

use crate::{
    formats::encoding::Encoding,
    opening::{Format, Limits},
};

/// The columns, the format and the limits with which a file is read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The text column; default: the first of `text`, `utterance`, `message`, `query` (any case).
    pub text_column: Option<String>,
    /// The intent column; default: the first of `intent`, `label`, `category` (any case).
    pub intent_column: Option<String>,
    /// The language column; default: the first of `lang`, `language`, `locale` (any case).
    pub lang_column: Option<String>,
    /// Whether a file has to have an intent column.
    pub intent: Presence,
    /// Whether a file has to have a text column. Records always need one; rows for rules about other columns do not.
    pub text: Presence,
    /// The format of the file; default: by its name, or else by its content.
    pub format: Option<Format>,
    /// The delimiter of CSV and TSV; default: a tab for TSV, detected for CSV. Other formats have none.
    pub delimiter: Option<u8>,
    /// The encoding of text; Parquet has its own.
    pub encoding: Encoding,
    /// The limits of unpacking.
    pub limits: Limits,
}

impl ReadOptions {
    /// Returns whether a table may lack a text column: the text is optional, and no column is named.
    pub(crate) fn needs_no_text(&self) -> bool {
        let named = [&self.text_column, &self.intent_column, &self.lang_column];
        self.text == Presence::Optional && named.iter().all(|name| name.is_none())
    }
}

/// Whether a column is required.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// A file without it is a fault.
    #[default]
    Required,
    /// A file may lack it.
    Optional,
}
