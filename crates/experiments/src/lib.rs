//! The record of a run: params, metrics, digests, environment, artifacts.
//!
//! A run is one create-only object, `runs/<id>/run.json`, and the blobs of its artifacts and of the
//! data it learned from. Its id is made of what it did, so the same work on the same day is the same
//! run, recorded once.

mod comparison;
pub mod mlflow;
mod pairing;
mod ranking;
mod records;
mod reproduction;
mod sweep;

pub use comparison::{Contrast, Difference, Evaluated, MetricDifference, RunComparison, compare};
pub use pairing::{PairedDifference, Pairing, pair};
pub use ranking::{RankQuery, Ranked, RankedOn, Ranking, Standing, direction, rank};
pub use reproduction::{Retraced, retrace};
pub use sweep::{FreedBlob, Retention, SweepPlan, SweepRule, Swept};

use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_store::Store;
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

impl Artifact {
    /// Describes a file of a run.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), digest: Digest::of(bytes), size_bytes: bytes.len() as u64 }
    }
}

/// A file that a run read, and how: what it takes to read it again. Its digest stands in [`RunRecord::data`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file's name without its folder: its ending says its format.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// Whether the store has its bytes, as the blob of its digest.
    pub kept: bool,
    /// The snapshot it is a file of, where it was read from one: `support@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The text column, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// The intent column, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_column: Option<String>,
    /// The language column, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang_column: Option<String>,
}

/// Something that came about on the way from data to model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What: `data`, `records`, `accepted`, a part of the model file, `file`.
    pub name: String,
    /// Its digest.
    pub digest: Digest,
}

/// How the model of a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The artifact that is the model.
    pub model: String,
    /// The name in [`RunRecord::data`] of what it learned from.
    pub train: String,
    /// The name in [`RunRecord::data`] of its dialogue, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<String>,
    /// The model's spec, whole.
    pub spec: serde_json::Value,
    /// What came about on the way, in order.
    pub steps: Vec<Step>,
}

/// What a phase of a training cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The phase, such as `fit`.
    pub phase: String,
    /// Seconds that went by.
    pub seconds: f64,
    /// Seconds that processors worked, all threads together; where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
}

/// What metrics were measured on: those of one basis can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Basis {
    /// `test`: records the model did not learn from. Anything else says how they were held out, such as
    /// `cross_validation 5 folds, seed 17`.
    pub method: String,
    /// Digest of the data.
    pub data: Digest,
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
    /// The files behind `data`, by the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Source>,
    /// How its model was made; none: it made none, or is older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// What `metrics` were measured on; none: see [`RunRecord::basis`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_on: Option<Basis>,
    /// What each phase of a training cost, in order. Of the moment, as the times are: not part of the id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Cost>,
}

impl RunRecord {
    /// Returns what its metrics were measured on: what it says, else its test data.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        let test = || Some(Basis { method: TEST.to_owned(), data: *self.data.get("test")? });
        self.measured_on.clone().or_else(test).filter(|_| !self.metrics.is_empty())
    }

    /// Returns the file `name` it made.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.name == name)
    }

    /// Returns the model it made: the one its recipe names, else the first that is no baseline.
    #[must_use]
    pub fn model(&self) -> Option<&Artifact> {
        let is_model = |artifact: &&Artifact| {
            let name = artifact.name.as_str();
            name == "model.botops"
                || (name.ends_with("/model.botops") && !name.starts_with("baseline/"))
        };
        let named = self.recipe.as_ref().and_then(|recipe| self.artifact(&recipe.model));
        named.or_else(|| self.artifacts.iter().find(is_model))
    }

    /// Returns the digests of all blobs it refers to.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> + '_ {
        let data = self.sources.iter().filter(|(_, source)| source.kept);
        let data = data.filter_map(|(name, _)| self.data.get(name).copied());
        self.artifacts.iter().map(|artifact| artifact.digest).chain(data)
    }
}

/// The method of a [`Basis`] that is a test set.
pub const TEST: &str = "test";

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
    /// Returns the store beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[cfg(test)]
mod tests;
