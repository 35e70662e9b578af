//! A document: metadata, and blocks of text in the order of reading.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A document as it was read from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name in the knowledge base: the path within the imported folder with `/`, or the address it came from. A row of a
    /// table of questions has the name of the file, `#` and its number.
    pub id: String,
    /// The title: that of the file, else its first heading, else its name.
    pub title: String,
    /// The address that a source links to.
    pub url: Option<String>,
    /// The language, declared or guessed, such as `en`.
    pub language: Option<String>,
    /// The time of the last change, if the file tells.
    pub updated_at: Option<DateTime<Utc>>,
    /// The access tags. A document without any is public; else a caller needs one of them.
    pub access: BTreeSet<String>,
    /// Other metadata, for filters.
    pub metadata: BTreeMap<String, String>,
    /// The text.
    pub blocks: Vec<Block>,
}

/// A part of a document that is never cut unless it is too long for a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The kind.
    pub kind: BlockKind,
    /// The text, in one line for every kind but [`BlockKind::Code`].
    pub text: String,
    /// The page, from 1, in formats that have pages.
    pub page: Option<u32>,
}

/// The kind of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum BlockKind {
    /// A heading.
    Heading {
        /// 1 for the highest, up to 6.
        level: u8,
    },
    /// A paragraph.
    Paragraph,
    /// An item of a list.
    ListItem,
    /// A row of a table, its cells joined by ` | `.
    TableRow {
        /// Whether it is the head of the table, which chunks of its rows repeat.
        is_head: bool,
    },
    /// Preformatted text.
    Code,
}
