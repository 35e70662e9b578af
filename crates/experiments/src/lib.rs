//! Records of runs: params, metrics, digests, environment and artifacts; their comparison, ranking and export.
//!
//! In: the record and the files of a run. Out: the runs of a store, compared or ranked, or sent to an
//! MLflow server.
//!
//! A run is one create-only object, `runs/<id>/run.json`, with the blobs of its artifacts and of its
//! training data. The id depends on the work alone, so the same work on the same day is one run,
//! unless it is recorded again on purpose ([`Experiments::commit_again`]).

mod comparison;
mod metric_direction;
pub mod mlflow;
mod pairing;
mod ranking;
mod records;
mod reproduction;
mod sweep;
mod twins;

pub use comparison::{Contrast, Difference, Evaluated, MetricDifference, RunComparison, compare};
pub use metric_direction::direction;
pub use pairing::{PairedDifference, Pairing, pair};
pub use ranking::{RankQuery, Ranked, RankedOn, Ranking, Standing, rank};
pub use reproduction::{Retraced, retrace};
pub use sweep::{FreedBlob, Retention, SweepPlan, SweepRule, Swept};
pub use twins::Recorded;

use botops_digest::Digest;
use botops_evaluation::Metric;
use botops_store::Store;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The code that a run was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeState {
    /// The git commit; `None` outside a repository.
    pub git_commit: Option<String>,
    /// Whether tracked files differed from the commit.
    pub git_dirty: Option<bool>,
}

/// The machine that a run was made on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The version of botops.
    pub botops: String,
    /// The operating system and the architecture.
    pub platform: String,
    /// The number of CPU cores.
    pub cores: u64,
    /// Whether the run was a CI job.
    pub ci: bool,
}

/// A file that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The name within the run, such as `model.botops`.
    pub name: String,
    /// Digest of the blob in the experiments store.
    pub digest: Digest,
    /// The size in bytes.
    pub size_bytes: u64,
}

impl Artifact {
    /// Returns the artifact of a file with these bytes.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), digest: Digest::of(bytes), size_bytes: bytes.len() as u64 }
    }
}

/// A file that a run read, with the settings to read it again. Its digest is in [`RunRecord::data`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file name without the folder. The extension names the format.
    pub file: String,
    /// The size in bytes.
    pub size_bytes: u64,
    /// Whether the store keeps the bytes, as the blob of the digest.
    pub kept: bool,
    /// The snapshot that it was read from, if any: `support@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The text column, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// The intent column, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_column: Option<String>,
    /// The language column, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang_column: Option<String>,
    /// The format, if one was named, by its name on a command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The delimiter, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
    /// The encoding, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
}

/// An intermediate result between data and model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The name: `data`, `records`, `accepted`, a part of the model file, or `file`.
    pub name: String,
    /// The digest of the result.
    pub digest: Digest,
}

/// How the model of a run was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The name of the artifact that is the model.
    pub model: String,
    /// The name of the training data in [`RunRecord::data`].
    pub train: String,
    /// The name of the dialogue in [`RunRecord::data`], if the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialogue: Option<String>,
    /// The complete spec of the model.
    pub spec: serde_json::Value,
    /// The intermediate results, in order.
    pub steps: Vec<Step>,
}

/// The cost of one phase of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The phase, such as `fit`.
    pub phase: String,
    /// The elapsed time in seconds.
    pub seconds: f64,
    /// The CPU time of all threads in seconds; `None` if the system does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
}

/// The basis that metrics were measured on. Metrics of one basis can be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Basis {
    /// `test` for records that the model did not learn from, else the way they were held out, such as
    /// `cross_validation 5 folds, seed 17`.
    pub method: String,
    /// Digest of the data.
    pub data: Digest,
}

/// The record of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// `botops.run/1`.
    pub schema: String,
    /// `<yyyymmdd>-<12 hexadecimal digits>`: the digits are from the digest of everything below but the times.
    pub id: String,
    /// `train`, or the name of the pipeline.
    pub kind: String,
    /// The start time.
    pub started_at: DateTime<Utc>,
    /// The end time.
    pub finished_at: DateTime<Utc>,
    /// Settings by flat name, such as `model.head.c`.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Digests of the inputs by name: `train`, `test`, `traffic`.
    pub data: BTreeMap<String, Digest>,
    /// The code.
    pub code: CodeState,
    /// The machine.
    pub environment: Environment,
    /// The files that the run made.
    pub artifacts: Vec<Artifact>,
    /// The verdicts of the stages of a pipeline, by stage.
    pub stages: BTreeMap<String, String>,
    /// The files of `data`, by the same names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Source>,
    /// The recipe of the model; `None` if the run made no model, or in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// The basis of `metrics`; if `None`, see [`RunRecord::basis`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_on: Option<Basis>,
    /// The cost of each phase of a training, in order. Like the times, it is not part of the id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub costs: Vec<Cost>,
    /// The run whose work this one repeats; see [`Experiments::commit_again`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twin_of: Option<String>,
}

impl RunRecord {
    /// Returns the basis of the metrics: the recorded one, else the test data; `None` without metrics.
    #[must_use]
    pub fn basis(&self) -> Option<Basis> {
        let test = || Some(Basis { method: TEST.to_owned(), data: *self.data.get("test")? });
        self.measured_on.clone().or_else(test).filter(|_| !self.metrics.is_empty())
    }

    /// Returns the file `name` that the run made.
    #[must_use]
    pub fn artifact(&self, name: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.name == name)
    }

    /// Returns the model that the run made: the one in the recipe, else the first that is not a baseline.
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

    /// Returns the digests of all blobs that the record refers to.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> + '_ {
        let data = self.sources.iter().filter(|(_, source)| source.kept);
        let data = data.filter_map(|(name, _)| self.data.get(name).copied());
        self.artifacts.iter().map(|artifact| artifact.digest).chain(data)
    }
}

/// The [`Basis::method`] of a test set.
pub const TEST: &str = "test";

/// The runs of one store.
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

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

#[cfg(test)]
mod tests;
