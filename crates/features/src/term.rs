//! The terms that sparse features count: n-grams of words or characters.

use serde::{Deserialize, Serialize};

/// The kind of a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// Words, separated by one space each.
    Words,
    /// Characters of one token, possibly with the space before or after it.
    Characters,
}

/// An n-gram.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    /// The kind of the n-gram.
    pub kind: TermKind,
    /// The text of the n-gram.
    pub text: String,
}
