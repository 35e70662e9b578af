//! One document in the table of an index.

use botops_digest::Digest;
use botops_documents::Document;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One document of an index: everything but its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentEntry {
    /// Its name in the knowledge base.
    pub id: String,
    /// The title.
    pub title: String,
    /// The address that a source links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The time of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// The access tags. A document without any is public.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub access: BTreeSet<String>,
    /// Other metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The digest of the original file and the declared metadata.
    pub source: Digest,
    /// The number of chunks. They follow those of the document before, in the order of the text.
    pub n_chunks: u32,
}

impl DocumentEntry {
    /// Makes the entry of `document`.
    pub(crate) fn of(document: &Document, source: Digest, n_chunks: u32) -> Self {
        let Document { id, title, url, language, updated_at, access, metadata, blocks: _ } =
            document.clone();
        Self { id, title, url, language, updated_at, access, metadata, source, n_chunks }
    }

    /// Returns the document without its text: enough for [`crate::KnowledgeIndex::build`] with this index as the previous
    /// one and the same source digest, so that an unchanged file need not be read.
    #[must_use]
    pub fn without_text(&self) -> Document {
        let Self { id, title, url, language, updated_at, access, metadata, .. } = self.clone();
        Document { id, title, url, language, updated_at, access, metadata, blocks: Vec::new() }
    }
}
