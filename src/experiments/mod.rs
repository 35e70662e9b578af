//! The record of a run: params, metrics, digests, environment, artifacts.
//!
//! A run is one create-only object, `runs/<id>/run.json`, and the blobs of its artifacts. Its id is
//! made of what it did, so the same work on the same day is the same run, recorded once.

use crate::{
    digest::{Digest, canonical_json},
    evaluation::Metric,
    findings::{Fault, Result},
    spec,
    store::Store,
};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
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
    /// Returns the store beneath.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a file a run made.
    ///
    /// # Errors
    /// Those of [`Store::put_blob`].
    pub async fn put_artifact(&self, name: &str, bytes: bytes::Bytes) -> Result<Artifact> {
        let size_bytes = bytes.len() as u64;
        let digest = self.store.put_blob(bytes).await?;
        Ok(Artifact { name: name.to_owned(), digest, size_bytes })
    }

    /// Returns the bytes of a file a run made, verified.
    ///
    /// # Errors
    /// Those of [`Store::blob`].
    pub async fn artifact(&self, artifact: &Artifact) -> Result<bytes::Bytes> {
        self.store.blob(&artifact.digest).await
    }

    /// Records `run` under its id (computed here); the same run recorded twice is one. Returns the id.
    ///
    /// # Errors
    /// Those of [`Store::create`]; `BOT-5006` when another record lies under that id (it was altered);
    /// `BOT-5019` when `run` could not be read back from what would be written.
    pub async fn record(&self, mut run: RunRecord) -> Result<String> {
        run.schema = SCHEMA.to_owned();
        let work = run.work();
        run.id = format!("{}-{}", run.started_at.format("%Y%m%d"), work.short());
        let path = path_of(&run.id);
        let bytes = canonical_json(&run);
        // A metric that is no number becomes null, and the record could never be read again.
        let read_back: RunRecord = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("run `{}` could not be read back: {error}", run.id);
            Fault::internal("BOT-5019", message)
        })?;
        if !self.store.create(&path, bytes.into()).await?
            && self.read(&run.id).await?.is_some_and(|found| found.work() != read_back.work())
        {
            let message = format!("another run than this one is recorded as `{}`", run.id);
            return Err(Fault::data("BOT-5006", message).file(self.store.object_url(&path)));
        }
        Ok(run.id)
    }

    /// Lists runs, the newest first.
    ///
    /// # Errors
    /// `BOT-5007` newer schema, `BOT-5006` unreadable, `BOT-5003`.
    pub async fn list(&self) -> Result<Vec<RunRecord>> {
        self.read_all(self.ids().await?).await
    }

    /// Returns the run whose id is, or uniquely starts with, `id`; `latest` is the newest.
    ///
    /// # Errors
    /// `BOT-5020` none or several (exit 2, the nearest named).
    pub async fn find(&self, id: &str) -> Result<RunRecord> {
        let ids = self.ids().await?;
        if id == "latest" {
            // Ids begin with the day: only the runs of the last one can be the newest.
            let day = ids.iter().map(|id| id[..DAY].to_owned()).max();
            let last = ids.into_iter().filter(|id| Some(&id[..DAY]) == day.as_deref()).collect();
            let newest = self.read_all(last).await?.into_iter().next();
            return newest.ok_or_else(|| self.none("there is no run yet".to_owned()));
        }
        let named: Vec<&String> =
            ids.iter().filter(|known| !id.is_empty() && known.starts_with(id)).collect();
        match named[..] {
            [one] => {
                let run = self.read(one).await?;
                run.ok_or_else(|| self.none(format!("run `{one}` was taken away")))
            }
            [] => {
                let fault = self.none(format!("no run is called `{id}`"));
                Err(match spec::nearest(id, ids.iter().map(String::as_str)) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault,
                })
            }
            [first, second, ..] => {
                let more = if named.len() > 2 { " and others" } else { "" };
                Err(self
                    .none(format!("`{id}` may be `{first}`, `{second}`{more}"))
                    .hint("give more characters"))
            }
        }
    }

    fn none(&self, message: String) -> Fault {
        Fault::usage("BOT-5020", message)
            .hint(format!("see the runs of `{}`: `botops runs list`", self.store.url()))
    }

    /// Returns the ids there are, sorted; other folders are none of ours.
    async fn ids(&self) -> Result<Vec<String>> {
        let mut ids = self.store.folders("runs").await?;
        ids.retain(|id| is_id(id));
        Ok(ids)
    }

    /// Reads runs, the newest first; one whose record was never finished is left out.
    async fn read_all(&self, ids: Vec<String>) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> = futures::stream::iter(ids)
            .map(|id| async move { self.read(&id).await })
            .buffered(READS)
            .try_filter_map(async |run| Ok(run))
            .try_collect()
            .await?;
        runs.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| b.id.cmp(&a.id)));
        Ok(runs)
    }

    async fn read(&self, id: &str) -> Result<Option<RunRecord>> {
        let path = path_of(id);
        let Some(bytes) = self.store.read(&path).await? else { return Ok(None) };
        let place = self.store.object_url(&path);
        parse(&bytes, id).map(Some).map_err(|fault| fault.file(place))
    }
}

const SCHEMA: &str = "botops.run/1";
/// Length of the day an id begins with.
const DAY: usize = 8;
/// Records read at a time.
const READS: usize = 16;

impl RunRecord {
    /// Returns the digest of what was done: everything but the id and the times.
    fn work(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("a run record is valid JSON");
        let record = value.as_object_mut().expect("a run record is a JSON object");
        for moment in ["id", "started_at", "finished_at"] {
            record.remove(moment);
        }
        Digest::of_json(&value)
    }
}

fn path_of(id: &str) -> String {
    format!("runs/{id}/run.json")
}

fn is_id(text: &str) -> bool {
    let Some((day, work)) = text.split_once('-') else { return false };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    day.len() == DAY
        && day.bytes().all(|byte| byte.is_ascii_digit())
        && work.len() == 12
        && work.bytes().all(hex)
}

fn parse(bytes: &[u8], id: &str) -> Result<RunRecord> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |what: String| {
        Fault::data("BOT-5006", format!("the record of run `{id}` {what}"))
            .hint("restore the object from a backup, or delete it and run again")
    };
    let unreadable = |error: serde_json::Error| broken(format!("cannot be read: {error}"));
    let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.run/").map(str::parse::<u32>);
        return Err(match version {
            Some(Ok(version)) if version > 1 => Fault::policy(
                "BOT-5007",
                format!("run `{id}` has the format `{}`, newer than this botops", head.schema),
            )
            .hint("install a newer botops"),
            _ => broken(format!("has the format `{}`, which is none of ours", head.schema)),
        });
    }
    let run: RunRecord = serde_json::from_slice(bytes).map_err(unreadable)?;
    if run.id == id { Ok(run) } else { Err(broken(format!("calls itself `{}`", run.id))) }
}

#[cfg(test)]
mod tests;
