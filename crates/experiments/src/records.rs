//! Recording, listing and reading of runs.

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
    /// Returns the verified bytes of a file that a run made.
    ///
    /// # Errors
    /// Those of [`botops_store::Store::blob`].
    pub async fn artifact(&self, artifact: &Artifact) -> Result<Bytes> {
        self.store.blob(&artifact.digest).await
    }

    /// Returns the evaluation of a run (the first one, if there are several), or the reason why there is none.
    ///
    /// # Errors
    /// `BOT-5005` its bytes were altered (exit 3), `BOT-5003`.
    pub async fn evaluation(&self, run: &RunRecord) -> Result<Result<EvaluationReport, String>> {
        let is_evaluation = |artifact: &&Artifact| {
            artifact.name == EVALUATION || artifact.name.ends_with(&format!("/{EVALUATION}"))
        };
        let Some(artifact) = run.artifacts.iter().find(is_evaluation) else {
            return Ok(Err(format!("run {} has no evaluation", run.id)));
        };
        let bytes = match self.artifact(artifact).await {
            Err(fault) if fault.code() == "BOT-5004" => {
                return Ok(Err(format!(
                    "the evaluation of run {} is missing from the store",
                    run.id
                )));
            }
            bytes => bytes?,
        };
        Ok(serde_json::from_slice(&bytes).map_err(|error| {
            format!("the evaluation of run {} has an unknown format: {error}", run.id)
        }))
    }

    /// Records `run` without files; see [`Self::commit`].
    ///
    /// # Errors
    /// Those of [`Self::commit`].
    pub async fn record(&self, run: RunRecord) -> Result<String> {
        self.commit(run, &[]).await
    }

    /// Stores `files` as blobs, and records `run`, which names them. Returns the id of the run, which is computed here.
    /// The same run recorded twice is one run.
    ///
    /// A sweep ([`Self::sweep`]) that listed the runs before this record was written may remove a blob that this run
    /// shares with an older one. So this waits for the end of the sweep, and stores the removed blobs again.
    ///
    /// # Errors
    /// Those of the store; `BOT-5006` another record has that id (it was altered); `BOT-5019` the record would not be
    /// readable.
    pub async fn commit(&self, mut run: RunRecord, files: &[Bytes]) -> Result<String> {
        let work = run.set_schema().work();
        run.id = format!("{}-{}", run.started_at.format("%Y%m%d"), work.short());
        let path = path_of(&run.id);
        let bytes: Bytes = canonical_json(&run).into();
        // A metric that is not a number is written as null, and such a record cannot be read.
        let read_back: RunRecord = serde_json::from_slice(&bytes).map_err(|error| {
            let message = format!("run `{}` could not be read back: {error}", run.id);
            Fault::internal("BOT-5019", message)
        })?;
        self.put_all(files).await?;
        if !self.store.create(&path, bytes.clone()).await?
            && self.read(&run.id).await?.is_some_and(|found| found.work() != read_back.work())
        {
            let message = format!("a different run is recorded as `{}`", run.id);
            return Err(Fault::data("BOT-5006", message).file(self.store.object_url(&path)));
        }
        self.store.outlast_sweeps(SWEEP_PATIENCE).await?;
        self.put_all(files).await?;
        if self.store.size(&path).await?.is_none() {
            self.store.create(&path, bytes).await?;
        }
        Ok(run.id)
    }

    /// Stores blobs, several at a time.
    async fn put_all(&self, files: &[Bytes]) -> Result<()> {
        futures::stream::iter(files.iter().cloned())
            .map(|bytes| self.store.put_blob(bytes))
            .buffer_unordered(WRITES)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
    }

    /// Writes each of `files`, which a recorded run names, again if the store has lost it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn restore(&self, files: &[&[u8]]) -> Result<()> {
        for bytes in files {
            if !self.store.has_blob(&Digest::of(bytes)).await? {
                self.store.put_blob(Bytes::copy_from_slice(bytes)).await?;
            }
        }
        Ok(())
    }

    /// Returns whether a run with exactly this id is recorded.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn has(&self, id: &str) -> Result<bool> {
        if !is_id(id) {
            return Ok(false);
        }
        self.store.size(&path_of(id)).await.map(|size| size.is_some())
    }

    /// Returns all runs, newest first: by start time, then by end time, then by id.
    ///
    /// # Errors
    /// `BOT-5007` a record has a newer format, `BOT-5006` a record cannot be read, `BOT-5003`.
    pub async fn list(&self) -> Result<Vec<RunRecord>> {
        self.read_all(self.ids().await?).await
    }

    /// Returns the run whose id is `id`, or the only one whose id begins with it; `latest` is the newest.
    ///
    /// # Errors
    /// `BOT-5020` no run matches, or several do (exit 2, with the nearest id as a hint).
    pub async fn find(&self, id: &str) -> Result<RunRecord> {
        let ids = self.ids().await?;
        if id == "latest" {
            // Ids begin with the day, so the newest run is one of the last day.
            let day = ids.iter().map(|id| id[..DAY].to_owned()).max();
            let last = ids.into_iter().filter(|id| Some(&id[..DAY]) == day.as_deref()).collect();
            let newest = self.read_all(last).await?.into_iter().next();
            return newest.ok_or_else(|| self.not_found("no run has been recorded yet".to_owned()));
        }
        let named: Vec<&String> =
            ids.iter().filter(|known| !id.is_empty() && known.starts_with(id)).collect();
        match named[..] {
            [one] => {
                let run = self.read(one).await?;
                run.ok_or_else(|| {
                    self.not_found(format!("run `{one}` was removed in the meantime"))
                })
            }
            [] => {
                let fault = self.not_found(format!("there is no run `{id}`"));
                Err(match spec::nearest(id, ids.iter().map(String::as_str)) {
                    Some(near) => fault.hint(format!("did you mean `{near}`?")),
                    None => fault,
                })
            }
            [first, second, ..] => {
                let more = if named.len() > 2 { " and others" } else { "" };
                Err(self
                    .not_found(format!(
                        "`{id}` is ambiguous: it may be `{first}`, `{second}`{more}"
                    ))
                    .hint("give more characters"))
            }
        }
    }

    /// Returns the fault of a run that was not found.
    fn not_found(&self, message: String) -> Fault {
        Fault::usage("BOT-5020", message)
            .hint(format!("see the runs of `{}`: `botops runs list`", self.store.url()))
    }

    /// Returns the ids of all runs, sorted. Other objects, such as those of a writer that never finished, are ignored.
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

    /// Reads runs, newest first. A run that was removed in the meantime is left out.
    pub(super) async fn read_all(&self, ids: Vec<String>) -> Result<Vec<RunRecord>> {
        let mut runs: Vec<RunRecord> = futures::stream::iter(ids)
            .map(|id| async move { self.read(&id).await })
            .buffered(READS)
            .try_filter_map(async |run| Ok(run))
            .try_collect()
            .await?;
        // Times have a higher resolution than ids. Among runs that began together, the one that took longer is newer.
        runs.sort_by(|a, b| {
            let key = |run: &RunRecord| (run.started_at, run.finished_at);
            key(b).cmp(&key(a)).then_with(|| b.id.cmp(&a.id))
        });
        Ok(runs)
    }

    /// Reads one run; `None` if it is not recorded.
    async fn read(&self, id: &str) -> Result<Option<RunRecord>> {
        let path = path_of(id);
        let Some(bytes) = self.store.read(&path).await? else { return Ok(None) };
        let place = self.store.object_url(&path);
        parse(&bytes, id).map(Some).map_err(|fault| fault.file(place))
    }
}

const SCHEMA: &str = "botops.run/1";
/// The name of the evaluation among the files of a run or stage.
const EVALUATION: &str = "evaluation.json";
/// The length of the day at the beginning of an id.
const DAY: usize = 8;
/// Records that are read at a time.
const READS: usize = 16;
/// Blobs that are written at a time. Each is held in memory.
const WRITES: usize = 4;

impl RunRecord {
    /// Sets the schema of this version, which is part of the work.
    pub(super) fn set_schema(&mut self) -> &Self {
        SCHEMA.clone_into(&mut self.schema);
        self
    }

    /// Returns the digest of the work: of everything but the id, the times and the costs.
    pub(super) fn work(&self) -> Digest {
        let mut value = serde_json::to_value(self).expect("a run record is valid JSON");
        let record = value.as_object_mut().expect("a run record is a JSON object");
        for moment in ["id", "started_at", "finished_at", "costs"] {
            record.remove(moment);
        }
        Digest::of_json(&value)
    }
}

/// Returns the path of the record of run `id`.
pub(super) fn path_of(id: &str) -> String {
    format!("runs/{id}/run.json")
}

/// Returns whether `text` has the form of an id.
fn is_id(text: &str) -> bool {
    let Some((day, work)) = text.split_once('-') else { return false };
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    day.len() == DAY
        && day.bytes().all(|byte| byte.is_ascii_digit())
        && work.len() == 12
        && work.bytes().all(hex)
}

/// Reads the record of run `id`.
fn parse(bytes: &[u8], id: &str) -> Result<RunRecord> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |problem: String| {
        Fault::data("BOT-5006", format!("the record of run `{id}` {problem}"))
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
            _ => broken(format!("has the format `{}`, which botops never wrote", head.schema)),
        });
    }
    let run: RunRecord = serde_json::from_slice(bytes).map_err(unreadable)?;
    if run.id == id { Ok(run) } else { Err(broken(format!("belongs to run `{}`", run.id))) }
}
