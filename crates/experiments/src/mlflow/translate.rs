//! The translation of a run to MLflow, within the limits of its API.

use crate::{Artifact, RunRecord};
use botops_digest::Digest;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The tag with the id of the run, which finds an earlier export.
pub(super) const RUN_TAG: &str = "botops.run_id";
/// The last tag of an export: the digest of everything that was exported.
pub(super) const CONTENT_TAG: &str = "botops.exported";

/// The longest value of a param, in characters (MLflow 2.8 and later).
const MAX_PARAM_CHARS: usize = 6_000;
/// The longest value of a tag, in characters.
const MAX_TAG_CHARS: usize = 5_000;
/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 250;

/// A metric in MLflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MlflowMetric {
    /// The name.
    pub key: String,
    /// The value.
    pub value: f64,
    /// The time, in milliseconds since 1970.
    pub timestamp: i64,
    /// Always 0, because a run is measured once.
    pub step: i64,
}

/// A run in MLflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MlflowRun {
    /// The name of the MLflow run: the id of the run.
    pub run_name: String,
    /// `FINISHED`, or `FAILED` if a stage did not pass.
    pub status: &'static str,
    /// The start time, in milliseconds since 1970.
    pub start_time: i64,
    /// The end time, in milliseconds since 1970.
    pub end_time: i64,
    /// Params by name.
    pub params: BTreeMap<String, String>,
    /// Metrics, each with a `.ci95_lower` and a `.ci95_upper`.
    pub metrics: Vec<MlflowMetric>,
    /// Tags by name.
    pub tags: BTreeMap<String, String>,
    /// Files by their path in MLflow.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Params and tags that were shortened to the limits of MLflow.
    pub shortened: Vec<String>,
}

impl MlflowRun {
    /// Returns the digest of everything that is exported.
    pub(super) fn content(&self) -> Digest {
        Digest::of_json(self)
    }
}

/// Translates `run` to MLflow. `user` is the author of the export.
#[must_use]
pub fn translate(run: &RunRecord, user: &str) -> MlflowRun {
    let mut shortened = Vec::new();
    let mut fit = |name: &str, value: String, longest: usize| -> String {
        if value.chars().count() <= longest {
            return value;
        }
        shortened.push(name.to_owned());
        value.chars().take(longest - 1).chain(['…']).collect()
    };
    let mut params = BTreeMap::new();
    for (name, value) in &run.params {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        insert(&mut params, name, fit(name, text, MAX_PARAM_CHARS));
    }
    let mut tags = BTreeMap::new();
    for (name, value) in tags_of(run, user) {
        let text = fit(&name, value, MAX_TAG_CHARS);
        insert(&mut tags, &name, text);
    }
    let end_time = run.finished_at.timestamp_millis();
    let mut values = BTreeMap::new();
    for (name, metric) in &run.metrics {
        for (suffix, value) in
            [("", metric.value), (".ci95_lower", metric.ci95[0]), (".ci95_upper", metric.ci95[1])]
        {
            insert(&mut values, &format!("{name}{suffix}"), value);
        }
    }
    let metrics = values.into_iter().map(|(key, value)| MlflowMetric {
        key,
        value,
        timestamp: end_time,
        step: 0,
    });
    let mut artifacts = BTreeMap::new();
    for artifact in &run.artifacts {
        insert(&mut artifacts, &artifact.name, artifact.clone());
    }
    let failed =
        run.stages.values().any(|verdict| !matches!(verdict.as_str(), "passed" | "warned"));
    MlflowRun {
        run_name: run.id.clone(),
        status: if failed { "FAILED" } else { "FINISHED" },
        start_time: run.started_at.timestamp_millis(),
        end_time,
        params,
        metrics: metrics.collect(),
        tags,
        artifacts,
        shortened,
    }
}

/// Returns the tags of the MLflow run.
fn tags_of(run: &RunRecord, user: &str) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = [
        (RUN_TAG, run.id.clone()),
        ("botops.kind", run.kind.clone()),
        ("botops.version", run.environment.botops.clone()),
        ("botops.platform", run.environment.platform.clone()),
        ("botops.cores", run.environment.cores.to_string()),
        ("mlflow.runName", run.id.clone()),
        ("mlflow.source.name", "botops".to_owned()),
        ("mlflow.source.type", if run.environment.ci { "JOB" } else { "LOCAL" }.to_owned()),
        ("mlflow.user", user.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut add = |name: String, value: String| tags.push((name, value));
    if let Some(commit) = &run.code.git_commit {
        add("mlflow.source.git.commit".to_owned(), commit.clone());
    }
    if let Some(dirty) = run.code.git_dirty {
        add("botops.git_dirty".to_owned(), dirty.to_string());
    }
    for (name, digest) in &run.data {
        add(format!("botops.data.{name}"), digest.to_string());
    }
    for (name, source) in &run.sources {
        add(format!("botops.data.{name}.file"), source.file.clone());
    }
    if let Some(basis) = run.basis() {
        add("botops.measured_on".to_owned(), format!("{} {}", basis.method, basis.data));
    }
    for (stage, verdict) in &run.stages {
        add(format!("botops.stage.{stage}"), verdict.clone());
    }
    tags
}

/// Inserts under `name`, with `_` for each character other than ASCII letters, digits and `_-. /`. A name that exists gets
/// a number.
fn insert<T>(into: &mut BTreeMap<String, T>, name: &str, value: T) {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-. /".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).take(MAX_NAME_CHARS - 4).collect();
    let mut free = name.clone();
    let mut n = 2;
    while into.contains_key(&free) {
        free = format!("{name}_{n}");
        n += 1;
    }
    into.insert(free, value);
}

/// Returns params or tags in the form of the API.
pub(super) fn pairs(members: &BTreeMap<String, String>) -> Vec<Value> {
    members.iter().map(|(key, value)| serde_json::json!({"key": key, "value": value})).collect()
}
