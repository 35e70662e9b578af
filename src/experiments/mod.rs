//! The record of a run: params, metrics, digests, environment, artifacts.

use crate::{digest::Digest, evaluation::Metric, findings::Result, store::Store};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The code a run was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeState {
    /// The git commit, in a repository.
    pub git_commit: Option<String>,
    /// Whether tracked files differed from it.
    pub git_dirty: Option<bool>,
}

/// The machine a run was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Version of botops.
    pub botops: String,
    /// Operating system and architecture.
    pub platform: String,
    /// CPU cores seen.
    pub cores: u64,
    /// Whether it ran in CI.
    pub ci: bool,
}

/// A file a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name within the run, such as `model.botops`.
    pub name: String,
    /// Digest of its blob in the experiments store.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// `botops.run/1`.
    pub schema: String,
    /// `<yyyymmdd>-<12 hex of the digest of everything below but the times>`.
    pub id: String,
    /// `train`, or the pipeline's name.
    pub kind: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Settings, flat: `model.head.c` to `1.0`.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Inputs by name to digest: `train`, `test`, `traffic`.
    pub data: BTreeMap<String, Digest>,
    /// The code.
    pub code: CodeState,
    /// The machine.
    pub environment: Environment,
    /// The files it made.
    pub artifacts: Vec<Artifact>,
    /// Stage to verdict, for a pipeline.
    pub stages: BTreeMap<String, String>,
}

/// The runs of one store: `runs/<id>/run.json`, create-only, and blobs.
#[derive(Clone)]
pub struct Experiments {
    store: Store,
}

impl Experiments {
    /// Opens the runs of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { store }
    }
    /// Stores a file a run made.
    ///
    /// # Errors
    /// Those of [`Store::put_blob`].
    pub async fn put_artifact(&self, name: &str, bytes: bytes::Bytes) -> Result<Artifact> {
        let _ = (&self.store, name, bytes);
        todo!()
    }
    /// Records `run` under its id (computed here); the same run recorded twice is one. Returns the id.
    ///
    /// # Errors
    /// Those of [`Store::create`].
    pub async fn record(&self, run: RunRecord) -> Result<String> {
        let _ = run;
        todo!()
    }
    /// Lists runs, the newest first.
    ///
    /// # Errors
    /// `BOT-5007` newer schema, `BOT-5006` unreadable, `BOT-5003`.
    pub async fn list(&self) -> Result<Vec<RunRecord>> {
        todo!()
    }
    /// Returns the run whose id is, or uniquely starts with, `id`; `latest` is the newest.
    ///
    /// # Errors
    /// `BOT-5020` none or several (exit 2, the nearest named).
    pub async fn find(&self, id: &str) -> Result<RunRecord> {
        let _ = id;
        todo!()
    }
}
