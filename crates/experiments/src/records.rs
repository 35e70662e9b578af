//! Recording runs, and finding them again.

use super::{Artifact, Experiments, RunRecord};
use botops_digest::{Digest, canonical_json};
use botops_evaluation::EvaluationReport;
use botops_findings::{Fault, Result};
use botops_spec as spec;
use botops_store::SWEEP_PATIENCE;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

impl Experiments {
    /// Stores a file a run made.
    ///
    /// # Errors
    /// Those of [`botops_store::Store::put_blob`].
    pub async fn put_artifact(&self, name: &str, bytes: Bytes) -> Result<Artifact> {
        let artifact = Artifact::of(name, &bytes);
        self.store.put_blob(bytes).await?;
        Ok(artifact)
    }

    /// Returns the bytes of a file a run made, verified.
    ///
    /// # Errors
    /// Those of [`botops_store::Store::blob`].
    pub async fn artifact(&self, artifact: &Artifact) -> Result<Bytes> {
        self.store.blob(&artifact.digest).await
    }

    /// Returns the evaluation that a run keeps (the first of several), or why there is none, in words.
    ///
    /// # Errors
    /// `BOT-5005` its bytes were altered (exit 3), `BOT-5003`.
    pub async fn evaluation(&self, run: &RunRecord) -> Result<Result<EvaluationReport, String>> {
        let is_evaluation = |artifact: &&Artifact| {
            artifact.name == EVALUATION || artifact.name.ends_with(&format!("/{EVALUATION}"))
        };
        let Some(artifact) = run.artifacts.iter().find(is_evaluation) else {
            return Ok(Err(format!("run {} keeps no evaluation", run.id)));
        };
        let bytes = match self.artifact(artifact).await {
            Err(fault) if fault.code() == "BOT-5004" => {
                return Ok(Err(format!("the evaluation of run {} is gone from the store", run.id)));
            }
            bytes => bytes?,
        };
        Ok(serde_json::from_slice(&bytes).map_err(|error| {
            format!("the evaluation of run {} is of another format: {error}", run.id)
        }))
    }

    /// Records `run` without files of its own; see [`Self::commit`].
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn record(&self, run: RunRecord) -> Result<String> {
        self.commit(run, &[]).await
    }

    /// Stores `files` as blobs and records `run`, which names them, under its id (computed here); the same run recorded
    /// twice is one. Returns the id.
    ///
    /// A sweep ([`Self::sweep`]) that listed the runs before this one was there may take a blob that this one shares
    /// with a run of the past: so that none is missing in the end, it is waited for, and what it took is stored again.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` when another record lies under that id (it was altered); `BOT-5019` when `run`
    /// could not be read back from what would be written.
    pub async fn commit(&self, mut run: RunRecord, files: &[Bytes]) -> Result<String> {
        SCHEMA.clone_into(&mut run.schema);
        let work = run.work();
        run.id = format!("{}-{}", run.started_at.format("%Y%m%d"), work.short());
        let path = path_of(&run.id);
        let bytes: Bytes = canonical_json(&run).into();
        // A metric that is no number becomes null, and the record could never be read again.
        let read_back: RunRecord = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("run `{}` could not be read back: {error}", run.id);
            Fault::internal("BOT-5019", message)
        })?;
        self.put_all(files).await?;
        if !self.store.create(&path, bytes.clone()).await?
            && self.read(&run.id).await?.is_some_and(|found| found.work() != read_back.work())
        {
            let message = format!("another run than this one is recorded as `{}`", run.id);
            return Err(Fault::data("BOT-5006", message).file(self.store.object_url(&path)));
        }
        self.store.outlast_sweeps(SWEEP_PATIENCE).await?;
        self.put_all(files).await?;
        if self.store.size(&path).await?.is_none() {
            self.store.create(&path, bytes).await?;
        }
        Ok(run.id)
    }

    async fn put_all(&self, files: &[Bytes]) -> Result<()> {
        futures::stream::iter(files.iter().cloned())
            .map(|bytes| self.store.put_blob(bytes))
            .buffer_unordered(WRITES)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// Returns whether run `id` (a whole one) is recorded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn has(&self, id: &str) -> Result<bool> {
        if !is_id(id) {
            return Ok(false);
        }
        self.store.size(&path_of(id)).await.map(|size| size.is_some())
    }

    /// Lists runs, the newest first: by when they began, then by when they finished, then by id.
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

    /// Returns the ids there are, sorted; other objects, and what a writer left that never finished, are none of ours.
    pub(super) async fn ids(&self) -> Result<Vec<String>> {
        let mut ids: Vec<String> = self
            .store
            .objects("runs", None)
            .await?
            .iter()
            .filter_map(|path| path.strip_prefix("runs/")?.strip_suffix("/run.json"))
            .filter(|id| is_id(id))
            .map(str::to_owned)
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads runs, the newest first; one that was taken away meanwhile is left out.
    pub(super) async fn read_all(&self, ids: Vec<String>) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> = futures::stream::iter(ids)
            .map(|id| async move { self.read(&id).await })
            .buffered(READS)
            .try_filter_map(async |run| Ok(run))
            .try_collect()
            .await?;
        // By the moment, not by what is shown of it; of runs that began together, the one that took longer is newer.
        runs.sort_by(|a, b| {
            let key = |run: &RunRecord| (run.started_at, run.finished_at);
            key(b).cmp(&key(a)).then_with(|| b.id.cmp(&a.id))
        });
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
/// The name of an evaluation among the files of a run or stage.
const EVALUATION: &str = "evaluation.json";
/// Length of the day an id begins with.
const DAY: usize = 8;
/// Records read at a time.
const READS: usize = 16;
/// Blobs written at a time; each is held whole.
const WRITES: usize = 4;

impl RunRecord {
    /// Returns the digest of what was done: everything but the id and the times.
    fn work(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("a run record is valid JSON");
        let record = value.as_object_mut().expect("a run record is a JSON object");
        for moment in ["id", "started_at", "finished_at", "costs"] {
            record.remove(moment);
        }
        Digest::of_json(&value)
    }
}

pub(super) fn path_of(id: &str) -> String {
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
