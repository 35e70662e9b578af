//! A file that documents are read from.

use crate::document::Document;
use botops_findings::Finding;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The bytes of a file, and whatever is known about it from outside.
#[derive(Debug, Clone, Copy)]
pub struct FileSource<'a> {
    /// Its name in the knowledge base; see [`Document::id`].
    pub name: &'a str,
    /// The bytes.
    pub bytes: &'a [u8],
    /// Metadata that wins over that of the file.
    pub declared: &'a Declared,
}

/// Metadata of a file that its importer declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// The address that a source links to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The language, such as `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The encoding of a text, such as `iso-8859-1`, as a server declares it. A byte-order mark wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// The time of the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// The access tags; they add to those of the file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub access: BTreeSet<String>,
    /// Other metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The documents of a file.
#[derive(Debug)]
pub struct ReadFile {
    /// The documents, each with at least one block.
    pub documents: Vec<Document>,
    /// Parts that were left out, or that a reader should know of.
    pub findings: Vec<Finding>,
}
