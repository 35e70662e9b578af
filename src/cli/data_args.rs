//! The flags of every verb that reads a data file.

use crate::datasets::{Presence, ReadOptions};

/// Which columns hold what.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DataArgs {
    /// Column that holds the text; default: text, utterance or message
    #[arg(long, value_name = "NAME")]
    pub(crate) text_column: Option<String>,
    /// Column that holds the intent; default: intent, label or category
    #[arg(long, value_name = "NAME")]
    pub(crate) intent_column: Option<String>,
    /// Column that holds the language; default: lang, language or locale
    #[arg(long, value_name = "NAME")]
    pub(crate) lang_column: Option<String>,
}

impl DataArgs {
    /// Returns how to read a file with these columns.
    pub(crate) fn options(&self, intent: Presence) -> ReadOptions {
        ReadOptions {
            text_column: self.text_column.clone(),
            intent_column: self.intent_column.clone(),
            lang_column: self.lang_column.clone(),
            intent,
            ..ReadOptions::default()
        }
    }
}
