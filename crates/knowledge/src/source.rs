//! The source of an answer, as clients see it.

use serde::{Deserialize, Serialize};

/// The passage that an answer was taken from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Source {
    /// The title of the document.
    pub title: String,
    /// The headings above the passage, joined by ` > `; empty at the top.
    pub section: String,
    /// The address of the document; `null` if it has none.
    pub url: Option<String>,
    /// The page, from 1, in formats that have pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The identity of the passage.
    pub chunk: String,
    /// How well it fits the question: comparable within one index only.
    pub score: f64,
    /// The words of the document that answer, as they stand there.
    pub quote: String,
}
