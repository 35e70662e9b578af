//! The removal of runs that are no longer needed, and of the blobs that only they refer to.
//!
//! A run that is recorded during a sweep may share blobs with older runs, and may find them just before
//! the sweep removes them. So each batch of the sweep has a mark in the store:
//!
//! - the sweep writes its mark, lists the runs, removes blobs that no run names, and removes the mark
//! - a recorder, or the writer of a data set snapshot, writes its record, waits until there is no mark,
//!   and stores missing blobs again
//!
//! The sweep sees a record that is written before it lists the runs. A later record finds either the
//! mark, and waits, or finds the blobs removed, and stores them again. So in every order a run has all
//! its blobs in the end.

use super::{Experiments, RunRecord, records::path_of};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::SWEEPS;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::Instant;

/// The runs that stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retention {
    /// The newest runs, this many.
    Newest(usize),
    /// The runs that ended less than this long ago.
    YoungerThan(TimeDelta),
}

/// The rule of a sweep.
#[derive(Debug, Clone)]
pub struct SweepRule {
    /// The runs that stay by age or rank.
    pub retention: Retention,
    /// Runs that stay because something else names them.
    pub runs_in_use: BTreeSet<String>,
    /// Blobs that stay because something other than a run names them.
    pub blobs_in_use: BTreeSet<Digest>,
    /// The log entries that `blobs_in_use` comes from, listed before it was collected: see [`Experiments::logged`].
    pub logged: BTreeSet<String>,
    /// Runs and blobs younger than this stay, because something may name them soon.
    pub grace: TimeDelta,
    /// The time that ages of runs are relative to.
    pub now: DateTime<Utc>,
    /// The time that ages of objects in the store are relative to: that of the clock, whatever `now` is.
    pub clock: DateTime<Utc>,
}

/// A run to remove.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Swept {
    /// The id of the run.
    pub id: String,
    /// The kind of the run.
    pub kind: String,
    /// The end time.
    pub finished_at: DateTime<Utc>,
}

/// A blob to remove.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FreedBlob {
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size_bytes: u64,
}

/// The objects that a sweep removes, and the numbers of those that stay.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SweepPlan {
    /// The runs to remove, oldest first.
    pub runs: Vec<Swept>,
    /// The blobs to remove.
    pub blobs: Vec<FreedBlob>,
    /// The size of these blobs in bytes.
    pub bytes: u64,
    /// The number of runs that stay.
    pub runs_kept: u64,
    /// The runs that stay only because something names them.
    pub runs_spared: Vec<String>,
    /// The number of runs that stay only because they are young.
    pub runs_young: u64,
    /// The number of blobs that no run names and that stay only because they are young.
    pub blobs_young: u64,
}

/// The folders of a store whose references to blobs are known. Those of runs are read here, those of [`LOGGED`]
/// come with the rule, and the others refer to no blobs.
const KNOWN: [&str; 23] = [
    "blobs",
    "runs",
    "sweeps",
    "tunes",
    "probes",
    "models",
    "datasets",
    "deployments",
    "predictions",
    "feedback",
    "erasures",
    "gc",
    "repairs",
    "mirrors",
    "backups",
    "drills",
    "stages",
    "pipelines",
    "knowledge",
    "jobs",
    "access",
    "monitoring",
    "channels",
];
/// The folders whose objects refer to blobs. The caller passes these blobs as [`SweepRule::blobs_in_use`].
const LOGGED: [&str; 7] =
    ["models", "datasets", "deployments", "stages", "pipelines", "knowledge", "jobs"];
/// Blobs that are removed under one mark: few, so that recorders do not wait long.
const BATCH: usize = 64;
/// Objects that are removed at a time.
const CONCURRENT_REMOVALS: usize = 16;
/// The longest time that a sweep removes blobs under one mark.
const MARK_HOLDS: Duration = Duration::from_secs(20);

impl Experiments {
    /// Returns the objects that a sweep by `rule` would remove. Removes nothing.
    ///
    /// # Errors
    /// `BOT-5046` (exit 6) the store holds a folder whose references are unknown; those of [`Self::list`], because the
    /// references of an unreadable record are unknown.
    pub async fn plan_sweep(&self, rule: &SweepRule) -> Result<SweepPlan> {
        self.check_neighbours().await?;
        let runs = self.list().await?;
        let mut plan = SweepPlan::default();
        let mut named = rule.blobs_in_use.clone();
        for (rank, run) in runs.iter().enumerate() {
            let age = rule.now - run.finished_at;
            let stays = match rule.retention {
                Retention::Newest(n) => rank < n,
                Retention::YoungerThan(limit) => age < limit,
            };
            let in_use = rule.runs_in_use.contains(&run.id);
            let young = age < rule.grace;
            if stays || in_use || young {
                plan.runs_kept += 1;
                named.extend(run.blobs());
                if !stays && in_use {
                    plan.runs_spared.push(run.id.clone());
                } else if !stays {
                    plan.runs_young += 1;
                }
            } else {
                plan.runs.push(Swept {
                    id: run.id.clone(),
                    kind: run.kind.clone(),
                    finished_at: run.finished_at,
                });
            }
        }
        plan.runs.reverse();
        for (digest, stored) in self.store.blobs().await? {
            if named.contains(&digest) {
                continue;
            }
            if rule.clock - stored.written_at < rule.grace {
                plan.blobs_young += 1;
                continue;
            }
            plan.bytes += stored.size_bytes;
            plan.blobs.push(FreedBlob { digest, size_bytes: stored.size_bytes });
        }
        Ok(plan)
    }

    /// Carries out `plan`: it removes the runs, then the blobs, each batch after another check against the recorded runs.
    /// `mark` is a name that no other sweep has. Returns the removed objects.
    ///
    /// A sweep that is interrupted leaves blobs that nothing names. The next sweep removes them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, plan: &SweepPlan, rule: &SweepRule, mark: &str) -> Result<SweepPlan> {
        let mut done = SweepPlan { runs: Vec::new(), blobs: Vec::new(), bytes: 0, ..plan.clone() };
        for runs in plan.runs.chunks(BATCH) {
            let paths: Vec<String> = runs.iter().map(|run| path_of(&run.id)).collect();
            futures::stream::iter(paths)
                .map(|path| async move { self.store.remove(&path).await })
                .buffer_unordered(CONCURRENT_REMOVALS)
                .try_collect::<()>()
                .await?;
            done.runs.extend(runs.iter().cloned());
        }
        let mut known: BTreeMap<String, RunRecord> = BTreeMap::new();
        for (n, blobs) in plan.blobs.chunks(BATCH).enumerate() {
            let mark = format!("{SWEEPS}/{mark}-{n}");
            self.store.create(&mark, "a sweep is removing blobs\n".into()).await?;
            let began = Instant::now();
            let swept = self.sweep_batch(blobs, rule, &mut known, began).await;
            self.store.remove(&mark).await?;
            let swept = swept?;
            done.bytes += swept.iter().map(|blob| blob.size_bytes).sum::<u64>();
            done.blobs.extend(swept);
        }
        Ok(done)
    }

    /// Removes those of `blobs` that still nothing names, and adds new runs to `known`. Returns the removed blobs.
    async fn sweep_batch(
        &self,
        blobs: &[FreedBlob],
        rule: &SweepRule,
        known: &mut BTreeMap<String, RunRecord>,
        began: Instant,
    ) -> Result<Vec<FreedBlob>> {
        let ids = self.ids().await?;
        let new = ids.iter().filter(|id| !known.contains_key(*id)).cloned().collect();
        known.extend(self.read_all(new).await?.into_iter().map(|run| (run.id.clone(), run)));
        known.retain(|id, _| ids.binary_search(id).is_ok());
        // A version or snapshot that was written in the meantime may name one of these blobs. The next sweep knows it.
        if !self.logged().await?.is_subset(&rule.logged) {
            return Ok(Vec::new());
        }
        let named: BTreeSet<Digest> = known.values().flat_map(RunRecord::blobs).collect();
        let free: Vec<FreedBlob> = blobs
            .iter()
            .filter(|blob| {
                !named.contains(&blob.digest) && !rule.blobs_in_use.contains(&blob.digest)
            })
            .cloned()
            .collect();
        futures::stream::iter(free)
            .map(|blob| async move {
                // A recorder stops waiting after some time. By then, the rest is left to the next sweep.
                if began.elapsed() > MARK_HOLDS {
                    return Ok(None);
                }
                self.store.remove(&botops_store::blob_path(&blob.digest)).await?;
                Ok(Some(blob))
            })
            .buffered(CONCURRENT_REMOVALS)
            .try_filter_map(async |blob| Ok(blob))
            .try_collect()
            .await
    }

    /// Returns the paths of the objects in this store that may refer to blobs: log entries, and results of stages.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn logged(&self) -> Result<BTreeSet<String>> {
        let mut entries = BTreeSet::new();
        for folder in LOGGED {
            let objects = self.store.objects(folder, None).await?;
            // Servers also write signs of life and observations, which refer to no blob.
            let names = |path: &String| folder == "stages" || path.contains("/log/");
            entries.extend(objects.into_iter().filter(names));
        }
        Ok(entries)
    }

    /// Refuses a store with a folder whose references to blobs are unknown.
    async fn check_neighbours(&self) -> Result<()> {
        let folders = self.store.folders("").await?;
        let Some(unknown) = folders.iter().find(|folder| !KNOWN.contains(&folder.as_str())) else {
            return Ok(());
        };
        Err(Fault::policy(
            "BOT-5046",
            format!(
                "`{}` also holds `{unknown}/`, whose references to blobs are unknown",
                self.store.url()
            ),
        )
        .file(self.store.object_url(unknown))
        .hint(
            "keep runs in a separate folder or prefix, or use the version of botops that wrote it",
        ))
    }
}
