//! The removal of jobs that ended long ago.

use crate::{
    Job, JobState, Jobs,
    index::{KEYS, OPEN, is_id, log_path, mark_open, unmark},
};
use botops_findings::Result;
use botops_store::{Appended, newer_payload};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const SCHEMA: &str = "botops.pruned-job/1";
/// The log with an entry for each job that was removed.
const LOG: &str = "jobs/pruned/log";
/// The age after which a mark without a job is one of a writer that was killed.
const STALE: TimeDelta = TimeDelta::hours(1);

/// A job that was removed, as its entry in `jobs/pruned/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct PrunedJob {
    /// `botops.pruned-job/1`.
    schema: String,
    /// The id.
    pub id: String,
    /// The kind of work.
    pub kind: String,
    /// The object of the work.
    pub subject: String,
    /// The person or program that asked for it.
    pub by: String,
    /// The state in which it ended.
    pub state: JobState,
    /// The time when it was submitted.
    pub submitted_at: DateTime<Utc>,
    /// The time when it ended.
    pub ended_at: DateTime<Utc>,
    /// The time when it was removed.
    pub at: DateTime<Utc>,
}

/// An entry of any version of botops.
#[derive(Deserialize)]
struct Stored {
    schema: String,
    id: String,
    kind: String,
    subject: String,
    by: String,
    state: JobState,
    submitted_at: DateTime<Utc>,
    ended_at: DateTime<Utc>,
    at: DateTime<Utc>,
}

impl TryFrom<Stored> for PrunedJob {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { schema, id, kind, subject, by, state, submitted_at, ended_at, at } = stored;
        if schema != SCHEMA {
            return Err(newer_payload(&schema));
        }
        Ok(Self { schema, id, kind, subject, by, state, submitted_at, ended_at, at })
    }
}

impl PrunedJob {
    fn of(job: Job, at: DateTime<Utc>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: job.id,
            kind: job.kind,
            subject: job.subject,
            by: job.by,
            state: job.state,
            submitted_at: job.submitted_at,
            ended_at: job.updated_at,
            at,
        }
    }
}

/// The result of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The number of jobs that were removed.
    pub removed: u64,
    /// The number of open jobs that had no mark, and got one.
    pub marked: u64,
}

impl Jobs {
    /// Removes the jobs that ended before `before`, with one entry in `jobs/pruned/log` for each, and corrects the marks of
    /// open jobs that killed writers left wrong.
    ///
    /// The entry comes first. The first object of a log is removed first, so that a removal that is interrupted leaves no
    /// job that seems to be open; the next call removes the rest.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn prune(&self, before: DateTime<Utc>, now: DateTime<Utc>) -> Result<Pruned> {
        let log = self.store.log::<PrunedJob>(LOG);
        let mut entries = log.entries().await?;
        let mut known: BTreeSet<String> =
            entries.iter().map(|entry| entry.payload.id.clone()).collect();
        let marks = self.store.list(OPEN).await?;
        let marked: BTreeSet<&str> =
            marks.iter().filter_map(|mark| mark.path.rsplit('/').next()).collect();
        let ids = self.ids().await?;
        let mut pruned = Pruned::default();
        for id in &ids {
            let job = match self.show(id).await {
                Ok(job) => job,
                Err(fault) if fault.code() == "BOT-7400" => {
                    if known.contains(id) {
                        self.remove_log(id).await?;
                    }
                    continue;
                }
                // A damaged log stays for whoever repairs it.
                Err(fault) if fault.kind().exit_code() == 3 || fault.kind().exit_code() == 6 => {
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            if !job.state.is_over() {
                if !marked.contains(id.as_str()) {
                    mark_open(&self.store, id).await?;
                    pruned.marked += 1;
                }
                continue;
            }
            if job.updated_at >= before {
                continue;
            }
            let key = job.key;
            while !known.contains(id) {
                let entry = PrunedJob::of(job.clone(), now);
                match log.append(entries.last(), entry).await? {
                    Appended::Written(entry) => entries.push(entry),
                    Appended::Conflict => entries.extend(log.poll(entries.last()).await?),
                }
                known = entries.iter().map(|entry| entry.payload.id.clone()).collect();
            }
            unmark(&self.store, id).await?;
            self.remove_log(id).await?;
            if let Some(key) = key {
                self.store.remove(&format!("{KEYS}/{}", key.hex())).await?;
            }
            self.forget(id);
            pruned.removed += 1;
        }
        for mark in &marks {
            let id = mark.path.rsplit('/').next().unwrap_or_default();
            let has_log = ids.iter().any(|it| it == id);
            if is_id(id) && !has_log && mark.written_at + STALE < now {
                unmark(&self.store, id).await?;
            }
        }
        Ok(pruned)
    }

    /// Removes the objects of a log, the first entry first.
    async fn remove_log(&self, id: &str) -> Result<()> {
        for path in self.store.objects(&log_path(id), None).await? {
            self.store.remove(&path).await?;
        }
        Ok(())
    }
}
