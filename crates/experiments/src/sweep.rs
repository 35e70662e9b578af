//! Removing runs that nobody needs, and the blobs that only they referred to.
//!
//! A run being recorded while a sweep goes on may share blobs with runs of the past, and finds them
//! there just before they go. Each batch of the sweep therefore stands under a mark:
//!
//! - the sweep sets its mark, lists the runs, removes blobs that none of them names, takes the mark away
//! - the recorder (and whoever takes a snapshot of a data set) writes its record, waits until there is no mark, and stores again what is missing
//!
//! A record written before the sweep listed runs is seen by it; one written later finds either the
//! mark, and waits, or everything already removed, and stores it again. So no order of the two leaves
//! a run without its blobs.

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

/// Which runs stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Retention {
    /// The newest of them.
    Newest(usize),
    /// Those that ended less than this long ago.
    YoungerThan(TimeDelta),
}

/// What else a sweep has to know.
#[derive(Debug, Clone)]
pub struct SweepRule {
    /// Which runs stay by age or rank.
    pub retention: Retention,
    /// Runs that stay because something names them.
    pub runs_in_use: BTreeSet<String>,
    /// Blobs that stay because something beside the runs names them.
    pub blobs_in_use: BTreeSet<Digest>,
    /// The entries of the logs that `blobs_in_use` was gathered from, listed before that: see [`Experiments::logged`].
    pub logged: BTreeSet<String>,
    /// Runs and blobs younger than this stay: somebody may be about to name them.
    pub grace: TimeDelta,
    /// The time by which ages of runs are told.
    pub now: DateTime<Utc>,
    /// The time by which ages of objects in the store are told: the clock's, whatever `now` is.
    pub clock: DateTime<Utc>,
}

/// A run to be removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Swept {
    /// The run.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// A blob to be removed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FreedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// What a sweep removes, and what it spares.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SweepPlan {
    /// The runs, the oldest first.
    pub runs: Vec<Swept>,
    /// The blobs.
    pub blobs: Vec<FreedBlob>,
    /// Bytes of these blobs.
    pub bytes: u64,
    /// How many runs stay.
    pub runs_kept: u64,
    /// Of them, those that stay only because something names them.
    pub runs_spared: Vec<String>,
    /// Of them, those that stay only because they are young.
    pub runs_young: u64,
    /// Blobs that no run names and that stay only because they are young.
    pub blobs_young: u64,
}

/// Folders of a store whose blobs are accounted for: runs here, models and data sets by whoever hands over what they name;
/// what a search remembers names none.
const KNOWN: [&str; 10] = [
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
];
/// Folders of them whose logs name blobs, which whoever sweeps hands over as [`SweepRule::blobs_in_use`].
const LOGGED: [&str; 2] = ["models", "datasets"];
/// Blobs removed under one mark: few enough that the mark never stands for long.
const BATCH: usize = 64;
/// Removals at a time.
const AT_ONCE: usize = 16;
/// How long a sweep removes under one mark.
const MARK_HOLDS: Duration = Duration::from_secs(20);

impl Experiments {
    /// Says what a sweep by `rule` would remove; removes nothing.
    ///
    /// # Errors
    /// `BOT-5046` (exit 6) when the store holds what no rule here knows the references of; those of [`Self::list`]: while a
    /// record cannot be read, nobody knows what it refers to.
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

    /// Carries `plan` out: runs first, then blobs, each batch of which is held once more against the runs there are.
    /// `mark` names this sweep, as no other sweep is named. Returns what was removed.
    ///
    /// Ended half-way it leaves blobs that nothing names, which the next sweep removes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, plan: &SweepPlan, rule: &SweepRule, mark: &str) -> Result<SweepPlan> {
        let mut done = SweepPlan { runs: Vec::new(), blobs: Vec::new(), bytes: 0, ..plan.clone() };
        for runs in plan.runs.chunks(BATCH) {
            let paths: Vec<String> = runs.iter().map(|run| path_of(&run.id)).collect();
            futures::stream::iter(paths)
                .map(|path| async move { self.store.remove(&path).await })
                .buffer_unordered(AT_ONCE)
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
        // Whoever registered a version or took a snapshot meanwhile may have named what was to go: the next sweep knows.
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
                // A recorder waits no longer than its patience: past that, what is left is for the next sweep.
                if began.elapsed() > MARK_HOLDS {
                    return Ok(None);
                }
                self.store.remove(&botops_store::blob_path(&blob.digest)).await?;
                Ok(Some(blob))
            })
            .buffered(AT_ONCE)
            .try_filter_map(async |blob| Ok(blob))
            .try_collect()
            .await
    }

    /// Lists the log entries in this store that name blobs beside those of runs.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn logged(&self) -> Result<BTreeSet<String>> {
        let mut entries = BTreeSet::new();
        for folder in LOGGED {
            entries.extend(self.store.objects(folder, None).await?);
        }
        Ok(entries)
    }

    /// Refuses a store in which something lives whose references to blobs are not known here.
    async fn check_neighbours(&self) -> Result<()> {
        let folders = self.store.folders("").await?;
        let Some(stranger) = folders.iter().find(|folder| !KNOWN.contains(&folder.as_str())) else {
            return Ok(());
        };
        Err(Fault::policy(
            "BOT-5046",
            format!(
                "`{}` also holds `{stranger}/`, and what that refers to is not known",
                self.store.url()
            ),
        )
        .file(self.store.object_url(stranger))
        .hint("keep runs in a folder or prefix of their own, or use the version of botops that wrote it"))
    }
}
