//! The request of an import, and its result.

use botops_digest::Digest;
use botops_documents::{Declared, Limits, PdfReader};
use botops_features::Encoder;
use botops_findings::Finding;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{fmt, sync::Arc};

/// A file to put into a knowledge base.
#[derive(Debug, Clone)]
pub struct PutFile {
    /// Its name: the path within the imported folder with `/`, or the address it came from.
    pub id: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// The metadata that the importer declares.
    pub declared: Declared,
}

/// A change of the files of a knowledge base.
#[derive(Debug, Clone)]
pub enum Change {
    /// Adds the file, or replaces the one of this name.
    Put(PutFile),
    /// Removes the file of this name; no change if there is none.
    Remove(String),
}

/// The relation of the changes to the version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportMode {
    /// The files are exactly those of the changes. If somebody else imported in the meantime, the import is refused.
    Replace,
    /// Files that the changes do not name stay. If somebody else imported in the meantime, the changes are applied to the newer
    /// version.
    Merge,
}

/// The handling of files that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing is imported.
    Stop,
    /// They are left out, each with a finding.
    Skip,
}

/// The settings to change; the others are those of the version before, or the defaults.
#[derive(Debug, Clone, Default)]
pub struct SettingsChange {
    /// The most tokens of a passage.
    pub chunk_tokens: Option<u32>,
    /// The tokens that a passage repeats of the one before.
    pub overlap: Option<u32>,
    /// The encoder.
    pub encoder: EncoderChoice,
}

/// The encoder of an index.
#[derive(Clone, Default)]
pub enum EncoderChoice {
    /// That of the version before, which its index holds; none in the first version.
    #[default]
    Kept,
    /// None: the index is lexical only.
    None,
    /// This one.
    Used {
        /// Where it was read from.
        source: String,
        /// The encoder.
        encoder: Arc<Encoder>,
    },
}

impl fmt::Debug for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("Kept"),
            Self::None => f.write_str("None"),
            Self::Used { source, .. } => write!(f, "Used({source})"),
        }
    }
}

/// Who imports, why and when.
#[derive(Debug, Clone)]
pub struct ImportAct {
    /// The time for the log.
    pub at: DateTime<Utc>,
    /// The person or program that imports.
    pub actor: String,
    /// The reason for the log.
    pub reason: String,
}

/// A request to import files into a knowledge base.
#[derive(Clone)]
pub struct ImportRequest {
    /// The name of the knowledge base.
    pub name: String,
    /// The changes.
    pub changes: Vec<Change>,
    /// Their relation to the version before.
    pub mode: ImportMode,
    /// The settings to change.
    pub settings: SettingsChange,
    /// The handling of files that cannot be read.
    pub unreadable: Unreadable,
    /// The limits of each file.
    pub limits: Limits,
    /// The reader of PDF files.
    pub pdf: Arc<dyn PdfReader>,
    /// Who imports, why and when.
    pub act: ImportAct,
    /// Whether to read and index only, and store nothing.
    pub dry_run: bool,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    /// The number of the version, from 1; in a dry run, the one that it would have.
    pub number: u64,
    /// The digest of the version.
    pub digest: Digest,
    /// Whether this import made the version; `false` if nothing changed.
    pub is_new: bool,
    /// The names of the files that the version before did not have.
    pub added: Vec<String>,
    /// The names of the files whose content or metadata changed.
    pub changed: Vec<String>,
    /// The names of the files that the version before had.
    pub removed: Vec<String>,
    /// The number of the other files.
    pub unchanged: u64,
    /// The number of files that were read; the others did not change.
    pub files_read: u64,
    /// The digest of the index.
    pub index: Digest,
    /// The size of the index.
    pub index_bytes: u64,
    /// Bytes stored for it; in a dry run, those that would be stored.
    pub stored_bytes: u64,
    /// Files and parts of files that were left out, and others that a reader should know of.
    #[serde(skip)]
    pub findings: Vec<Finding>,
}

impl Imported {
    /// Returns the reference `name@number`.
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("{name}@{}", self.number)
    }
}
