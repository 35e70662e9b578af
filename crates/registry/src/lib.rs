//! Versions, aliases and deployments as logs over immutable blobs.
//!
//! - a **version** is a [`Manifest`]: a blob in canonical JSON that names the version's other blobs;
//!   its digest is the version's identity, its number only a short name for it
//! - a **model** is one log, `models/<model>/log`: what was registered, and where aliases were moved
//!   to, by whom and why; versions and aliases are the fold of its entries
//! - the log entry is the point of commitment: blobs and manifest are stored before it, so that a
//!   crash leaves nothing but blobs nobody names
//! - every change re-reads the log and checks its precondition again when someone else wrote first

pub(crate) mod references;

mod aliases;
mod reference;
mod state;
mod verification;
mod versions;

pub use reference::{Reference, Selector};
pub use references::Named;

use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The alias of the version that serves.
pub const CHAMPION: &str = "champion";
/// The alias of the version in canary.
pub const CHALLENGER: &str = "challenger";

/// The file of a version that is the model.
pub const MODEL_FILE: &str = "model.botops";
/// The file of a version that is its gate report, in canonical JSON: the evidence of a promotion.
pub const GATE_FILE: &str = "gate.json";

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name, such as `model.botops`, `evaluation.json`, `gate.json`.
    pub path: String,
    /// Its blob.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Its media type.
    pub media_type: String,
}

/// One version. The digest of its canonical JSON is its identity. Holds nothing of the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `botops.model/1`.
    pub schema: String,
    /// The model's name.
    pub model: String,
    /// The files, by path; `model.botops` is always among them.
    pub files: Vec<ManifestFile>,
    /// The run that made it.
    pub run: Option<String>,
    /// Digest of the data it was trained on.
    pub data: Option<Digest>,
    /// Params, flat.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Digest of the gate report (a file of this version), when gates were passed.
    pub gates: Option<Digest>,
    /// Version of botops that made it.
    pub botops: String,
    /// Git commit of the code.
    pub git_commit: Option<String>,
    /// Who made it.
    pub creator: String,
    /// The intents.
    pub intents: Vec<String>,
}

impl Manifest {
    /// Returns the file `path`, if it is part of this version.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// What happened to a model: the payload of its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What.
    pub action: Action,
}

/// What may happen to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A version was registered; the n-th such entry is version n.
    Registered {
        /// Its manifest.
        manifest: Digest,
    },
    /// An alias was moved.
    AliasMoved {
        /// Which.
        alias: String,
        /// From which manifest; `None`: it was new.
        from: Option<Digest>,
        /// To which manifest.
        to: Digest,
        /// The evidence behind a move of `champion`: digest of the gate report.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Digest>,
    },
    /// An alias was taken away.
    AliasRemoved {
        /// Which.
        alias: String,
        /// From which manifest.
        from: Digest,
    },
}

/// A version as found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The model.
    pub model: String,
    /// Its number, from 1.
    pub number: u64,
    /// Digest of its manifest.
    pub manifest_digest: Digest,
    /// When it was registered.
    pub registered_at: DateTime<Utc>,
    /// By whom.
    pub actor: String,
    /// The aliases that point to it now.
    pub aliases: Vec<String>,
    /// The manifest.
    pub manifest: Manifest,
}

impl Version {
    /// Returns the digest of the model file.
    #[must_use]
    pub fn model_digest(&self) -> Option<Digest> {
        self.manifest.file(MODEL_FILE).map(|file| file.digest)
    }
    /// Returns `model@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.number)
    }
}

/// Who acts, when and why.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What [`Registry::verify`] found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// Log entries checked.
    pub entries: u64,
    /// Blobs read and hashed.
    pub blobs: u64,
    /// What is wrong.
    pub problems: Vec<botops_findings::Finding>,
}

/// A registry over a store.
#[derive(Clone)]
pub struct Registry {
    store: Store,
}

impl Registry {
    /// Opens the registry of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store }
    }
    /// Returns the store beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}
