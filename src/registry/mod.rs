//! Versions, aliases and deployments as logs over immutable blobs.

use crate::{
    digest::Digest,
    evaluation::{Metric, PassedGates},
    findings::Result,
    store::Store,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The alias of the version that serves.
pub const CHAMPION: &str = "champion";
/// The alias of the version in canary.
pub const CHALLENGER: &str = "challenger";

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
        self.manifest.file("model.botops").map(|file| file.digest)
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

/// What a reference names: `model`, `model@12`, `model@champion`, `model@latest`, `model@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The model.
    pub model: String,
    /// Which version.
    pub selector: Selector,
}

/// Which version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By number.
    Number(u64),
    /// By alias; a bare model name means `champion`.
    Alias(String),
    /// The newest.
    Latest,
    /// By the manifest's digest (also a unique prefix of at least 8 hex digits).
    Digest(String),
}

impl std::str::FromStr for Reference {
    type Err = crate::findings::Fault;
    /// # Errors
    /// `BOT-5010` (exit 2).
    fn from_str(text: &str) -> Result<Self> {
        todo!("{text}")
    }
}

/// One finding of [`Registry::verify`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verification {
    /// Log entries checked.
    pub entries: u64,
    /// Blobs read and hashed.
    pub blobs: u64,
    /// What is wrong.
    pub problems: Vec<crate::findings::Finding>,
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
    /// Lists the models, sorted.
    ///
    /// # Errors
    /// Those of the store, here and below.
    pub async fn models(&self) -> Result<Vec<String>> {
        todo!()
    }
    /// Lists a model's versions, by number.
    ///
    /// # Errors
    /// `BOT-5011` no such model (exit 2).
    pub async fn versions(&self, model: &str) -> Result<Vec<Version>> {
        let _ = model;
        todo!()
    }
    /// Resolves a reference.
    ///
    /// # Errors
    /// `BOT-5011` no such model, `BOT-5012` no such version or alias (exit 2; the nearest named).
    pub async fn resolve(&self, reference: &Reference) -> Result<Version> {
        let _ = reference;
        todo!()
    }
    /// Returns the version `alias` points to, or `None` (also when the model is unknown).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn alias(&self, model: &str, alias: &str) -> Result<Option<Version>> {
        let _ = (model, alias);
        todo!()
    }
    /// Returns the version that was `champion` just before `manifest` last became it, if any.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn champion_before(&self, model: &str, manifest: &Digest) -> Result<Option<Version>> {
        let _ = (model, manifest);
        todo!()
    }
    /// Stores the files, then the manifest, then the log entry. Registering the same manifest again returns the version there is.
    ///
    /// # Errors
    /// `BOT-5013` a bad model name (exit 2); those of the store.
    pub async fn register(
        &self,
        manifest: Manifest,
        files: Vec<(String, bytes::Bytes)>,
        act: &Act,
    ) -> Result<Version> {
        let _ = (manifest, files, act);
        todo!()
    }
    /// Moves `alias` (not `champion`) to `version`, if it still points to `expected` (a manifest digest).
    ///
    /// # Errors
    /// `BOT-5014` it was moved meanwhile (exit 5, the mover named); `BOT-5015` for `champion` (exit 6).
    pub async fn move_alias(
        &self,
        alias: &str,
        version: &Version,
        expected: Option<Digest>,
        act: &Act,
    ) -> Result<()> {
        let _ = (alias, version, expected, act);
        todo!()
    }
    /// Removes `alias`.
    ///
    /// # Errors
    /// As [`Self::move_alias`].
    pub async fn remove_alias(&self, model: &str, alias: &str, act: &Act) -> Result<()> {
        let _ = (model, alias, act);
        todo!()
    }
    /// Moves `champion` to `version`; the proof must be about its model file. Already there: nothing is written.
    ///
    /// # Errors
    /// `BOT-5014` (exit 5); `BOT-5016` the proof is about another model (exit 6).
    pub async fn promote(
        &self,
        version: &Version,
        expected: Option<Digest>,
        passed: &PassedGates,
        act: &Act,
    ) -> Result<()> {
        let _ = (version, expected, passed, act);
        todo!()
    }
    /// Rebuilds the proof of a registered version from its stored gate report.
    ///
    /// # Errors
    /// `BOT-5017` it has none (exit 6); those of [`PassedGates::from_evidence`].
    pub async fn proof(&self, version: &Version) -> Result<PassedGates> {
        let _ = version;
        todo!()
    }
    /// Returns a model's history.
    ///
    /// # Errors
    /// `BOT-5011`.
    pub async fn history(&self, model: &str) -> Result<Vec<crate::store::Entry<Event>>> {
        let _ = model;
        todo!()
    }
    /// Returns the bytes of a file of a version, verified.
    ///
    /// # Errors
    /// `BOT-5018` no such file (exit 2); those of the store.
    pub async fn file(&self, version: &Version, path: &str) -> Result<bytes::Bytes> {
        let _ = (version, path);
        todo!()
    }
    /// Checks every log and every blob it names.
    ///
    /// # Errors
    /// Those of the store, when nothing can be read at all.
    pub async fn verify(&self, model: Option<&str>) -> Result<Verification> {
        let _ = model;
        todo!()
    }
}
