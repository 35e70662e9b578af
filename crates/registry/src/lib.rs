//! The registry of models: versions and aliases as logs over immutable blobs.
//!
//! In: model files with their manifests and evidence, moves of aliases. Out: verified versions, the
//! proof that a version passed its gates, and the history of a model.
//!
//! - a **version** is a [`Manifest`]: a blob in canonical JSON that names the other blobs of the
//!   version. Its digest is the identity of the version; the number is only a short name
//! - a **model** is one log, `models/<model>/log`: registrations and moves of free aliases, each with its
//!   author and reason. Versions and free aliases are the fold of its entries
//! - the log entry is the point of commitment: blobs and manifest are stored before it, so a crash
//!   leaves nothing but blobs that no entry names
//! - an **environment** is one log, `deployments/<environment>/log`: its entries alone decide the champion of each model in
//!   it. It moves forward with a [`PassedGates`](botops_evaluation::PassedGates), and back with a [`FormerChampion`]
//! - both logs are opened from their newest checkpoint, and then only what was appended is read
//! - a change whose append finds a newer entry reads the log and checks its precondition again

mod aliases;
mod author;
mod champions;
mod deployments;
mod environments;
mod erasure;
mod event;
mod former_champion;
mod freezes;
mod garbage;
mod history;
mod knowledge_files;
mod known_environments;
mod known_folds;
mod labels;
mod mirror;
mod model_log;
mod move_rules;
mod open_rollout;
mod policies;
mod promotions;
mod proven_champions;
mod reference;
mod references;
mod registry;
mod repair;
mod standing;
mod start_forecast;
mod state;
mod succession;
mod verification;
mod versions;
mod withdrawal;
mod withdrawn;

pub use aliases::check_alias;
pub use author::{check_author, check_reasoned};
pub use champions::Champions;
pub use deployments::{
    ChampionMove, Change, DEFAULT_ENVIRONMENT, Deployed, Deployment, Environment, Freeze, Lease,
    PolicyRecord, Reign, RequestMark, RolloutStep, deployment_log, log_path,
};
pub use environments::check_environment;
pub use erasure::{AffectedVersion, ErasurePlan, Needles, blobs_holding};
pub use former_champion::FormerChampion;
pub use freezes::{freeze_change, unfreeze_change};
pub use garbage::{
    GarbageBlob, GarbageChange, GarbageEvent, GarbagePlan, GarbageRule, Swept, UnfinishedSweep,
};
pub use history::{Resolution, parse_time};
pub use knowledge_files::{KNOWLEDGE_MEDIA_TYPE, knowledge_name, knowledge_path};
pub use labels::{IntentChanges, check_labels, intent_changes};
pub use mirror::{MirrorConflict, Mirrored};
pub use policies::{held, policy_evidence, read_policy};
pub use reference::{Reference, Selector};
pub use references::References;
pub use registry::Registry;
pub use repair::{RepairSources, Repaired};
pub use start_forecast::StartForecast;
pub use withdrawal::Withdrawal;
pub use withdrawn::{ErasedVersion, Withdrawn};

use botops_access::{Identity, IdentityKind};
use botops_digest::Digest;
use botops_evaluation::{Metric, VersionSet};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The alias of the version that serves.
pub const CHAMPION: &str = "champion";

/// The name of the model file of a version.
pub const MODEL_FILE: &str = "model.botops";
/// The name of the gate report of a version, in canonical JSON: the evidence for a promotion.
pub const GATE_FILE: &str = "gate.json";

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The name, such as `model.botops`, `evaluation.json` or `gate.json`.
    pub path: String,
    /// Digest of the blob.
    pub digest: Digest,
    /// The size in bytes.
    pub size_bytes: u64,
    /// The media type.
    pub media_type: String,
}

/// The content of one version. The digest of its canonical JSON is its identity, so it holds no time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `botops.model/1`.
    pub schema: String,
    /// The name of the model.
    pub model: String,
    /// The files, sorted by path; `model.botops` is always among them.
    pub files: Vec<ManifestFile>,
    /// The id of the run that made it.
    pub run: Option<String>,
    /// Digest of the training data.
    pub data: Option<Digest>,
    /// Params by flat name.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Digest of the gate report, a file of this version; `None` if no gates were passed.
    pub gates: Option<Digest>,
    /// The version of botops that made it.
    pub botops: String,
    /// The git commit of the code.
    pub git_commit: Option<String>,
    /// The person or job that made it.
    pub creator: String,
    /// The intents.
    pub intents: Vec<String>,
}

impl Manifest {
    /// Returns the file `path`, if the version has one.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&ManifestFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// A change of a model: the payload of its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "event::Stored")]
pub struct Event {
    /// The time.
    pub at: DateTime<Utc>,
    /// The author.
    pub actor: String,
    /// The reason.
    pub reason: String,
    /// The change.
    pub action: Action,
}

/// One change of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A version was registered. The n-th such entry is version n.
    Registered {
        /// Digest of its manifest.
        manifest: Digest,
    },
    /// An alias was moved.
    AliasMoved {
        /// The alias.
        alias: String,
        /// The manifest that it pointed to; `None` if it was not set.
        from: Option<Digest>,
        /// The manifest that it points to now.
        to: Digest,
        /// Digest of the gate report behind a move of `champion`, which older versions of botops wrote here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Digest>,
    },
    /// An alias was removed.
    AliasRemoved {
        /// The alias.
        alias: String,
        /// The manifest that it pointed to.
        from: Digest,
    },
    /// A version was yanked.
    Yanked {
        /// Digest of its manifest.
        manifest: Digest,
    },
    /// The yank of a version was taken back.
    Unyanked {
        /// Digest of its manifest.
        manifest: Digest,
    },
    /// A version was deprecated.
    Deprecated {
        /// Digest of its manifest.
        manifest: Digest,
    },
    /// The deprecation of a version was taken back.
    Undeprecated {
        /// Digest of its manifest.
        manifest: Digest,
    },
    /// Files of a version were erased. It cannot be taken back.
    Erased {
        /// Digest of its manifest.
        manifest: Digest,
        /// The files.
        files: Vec<String>,
        /// The erasure in the log of erasures.
        erasure: String,
    },
}

/// A registered version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The model.
    pub model: String,
    /// The number, from 1.
    pub number: u64,
    /// Digest of the manifest.
    pub manifest_digest: Digest,
    /// The time of the registration.
    pub registered_at: DateTime<Utc>,
    /// The author of the registration.
    pub actor: String,
    /// The aliases that point to the version now, with `champion` if it is that of the registry's environment; without
    /// `champion` if the deployment log is damaged.
    pub aliases: Vec<String>,
    /// Who yanked it, and why; `None` if it is not yanked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<Withdrawn>,
    /// Who deprecated it, and why; `None` if it is not deprecated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated: Option<Withdrawn>,
    /// The files that were erased, and by whom; `None` if all are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedVersion>,
    /// The manifest.
    pub manifest: Manifest,
}

impl Version {
    /// Returns the digest of the model file.
    #[must_use]
    #[inline]
    pub fn model_digest(&self) -> Option<Digest> {
        self.manifest.file(MODEL_FILE).map(|file| file.digest)
    }

    /// Returns the names of the knowledge of the version with the digests of its files, sorted by name.
    #[must_use]
    pub fn knowledge(&self) -> Vec<(String, Digest)> {
        self.manifest.knowledge().into_iter().collect()
    }

    /// Returns the model file and the knowledge of the version, the set that its evidence must be about; `None` if it has no
    /// model file.
    #[must_use]
    pub fn set(&self) -> Option<VersionSet> {
        self.manifest.set()
    }

    /// Returns `model@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.model, self.number)
    }
}

/// The result of [`Registry::register`].
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The version: the new one, the one with the same manifest, or the champion if it holds the same model and knowledge.
    pub version: Version,
    /// Whether this call registered it.
    pub is_new: bool,
    /// The number of blobs of a known version that were missing in the store, and were written again.
    pub restored: u64,
}

/// The author, the reason and the time of a change.
#[derive(Debug, Clone)]
pub struct Act {
    /// The name of the author.
    pub actor: String,
    /// Who the author is, and how that is known.
    pub by: Identity,
    /// The reason.
    pub reason: String,
    /// The time.
    pub at: DateTime<Utc>,
}

impl Act {
    /// Makes the act of somebody who says to be `actor`. Nothing proves it.
    #[must_use]
    pub fn claimed(actor: impl Into<String>, reason: impl Into<String>, at: DateTime<Utc>) -> Self {
        let by = Identity::new(IdentityKind::Claimed, actor);
        Self { actor: by.name.clone(), by, reason: reason.into(), at }
    }
}

/// The result of [`Registry::verify`].
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Verification {
    /// Log entries checked.
    pub entries: u64,
    /// Blobs read and hashed.
    pub blobs: u64,
    /// The problems.
    pub problems: Vec<botops_findings::Finding>,
    /// The files that were erased on purpose, for information.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<botops_findings::Finding>,
}

#[cfg(test)]
mod tests;
