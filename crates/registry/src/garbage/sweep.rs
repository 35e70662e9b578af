//! The sweep of a plan.

use super::{
    event::GarbageChange,
    marking::Marks,
    plan::{GarbageBlob, GarbagePlan},
};
use crate::{Act, Registry};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{SWEEPS, blob_path};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Blobs that are removed under one mark and one log entry.
const BATCH: usize = 500;
/// Objects that are removed at a time.
const AT_ONCE: usize = 16;
/// The longest time that blobs are removed under one mark: a third of the time that a writer waits for it.
const MARK_HOLDS: Duration = Duration::from_secs(20);

/// The result of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// The number of blobs that were removed.
    pub blobs: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number of planned blobs that stay, because something names them now or they were written again.
    pub kept: u64,
    /// The number of planned blobs that no longer existed.
    pub absent: u64,
    /// Interrupted sweeps that were continued first.
    pub continued: Vec<String>,
}

impl Registry {
    /// Carries out `plan`. It first continues sweeps that were interrupted.
    ///
    /// Each blob is checked again before its removal: against everything that was written since, and against its age. A
    /// writer that stores a version, a snapshot or a run in the same moment loses nothing: it waits for the mark of the
    /// sweep, and then stores missing blobs again.
    ///
    /// # Errors
    /// `BOT-5138` (exit 2) the plan is of another store; those of [`Self::plan_garbage`]. An interrupted sweep, also one that
    /// was killed, is continued by the next call with any plan.
    pub async fn sweep_garbage(
        &self,
        plan: &GarbagePlan,
        clock: DateTime<Utc>,
        act: &Act,
    ) -> Result<Swept> {
        self.check_garbage_plan(plan)?;
        let mut done = Swept::default();
        for open in self.unfinished_sweeps().await? {
            if open.sweep == plan.id {
                continue;
            }
            let rest = self.plan_rest(&open, clock).await?;
            let swept = self.sweep_plan(&rest, clock, act).await?;
            done.blobs += swept.blobs;
            done.bytes += swept.bytes;
            done.continued.push(open.sweep);
        }
        let entries = self.sweeps().await?;
        let of_plan = || entries.iter().filter(|event| event.sweep == plan.id);
        if !of_plan().any(|event| matches!(event.change, GarbageChange::Began { .. })) {
            let (blobs, bytes) = (plan.blobs.len() as u64, plan.bytes);
            let began = GarbageChange::Began { blobs, bytes, grace_seconds: plan.grace_seconds };
            self.log_sweep(&plan.id, began, act).await?;
        } else if of_plan().any(|event| matches!(event.change, GarbageChange::Finished { .. })) {
            done.absent = plan.blobs.len() as u64;
            return Ok(done);
        }
        let swept = self.sweep_plan(plan, clock, act).await?;
        done.blobs += swept.blobs;
        done.bytes += swept.bytes;
        (done.kept, done.absent) = (swept.kept, swept.absent);
        Ok(done)
    }

    /// Checks that `plan` is of this store. Changes nothing.
    ///
    /// # Errors
    /// `BOT-5138` (exit 2).
    pub fn check_garbage_plan(&self, plan: &GarbagePlan) -> Result<()> {
        if plan.store == self.store.url() {
            return Ok(());
        }
        let message =
            format!("the plan is of `{}`, and the registry is `{}`", plan.store, self.store.url());
        Err(Fault::usage("BOT-5138", message)
            .hint("name the registry of the plan: `--registry LOCATION`, or make a new plan"))
    }

    async fn sweep_plan(
        &self,
        plan: &GarbagePlan,
        clock: DateTime<Utc>,
        act: &Act,
    ) -> Result<Swept> {
        let erased = self.store.erased_blobs().await?;
        let existing: BTreeMap<Digest, (DateTime<Utc>, u64)> = (self.store.blobs().await?)
            .into_iter()
            .map(|(digest, stored)| (digest, (stored.written_at, stored.size_bytes)))
            .collect();
        let known: BTreeSet<Digest> = existing.keys().copied().collect();
        let mut marks = Marks::default();
        marks.extend(&self.store, &known, &erased).await?;
        let grace = plan.grace();
        let mut done = Swept::default();
        let mut rest: Vec<GarbageBlob> = Vec::new();
        for blob in &plan.blobs {
            match existing.get(&blob.digest) {
                None => done.absent += 1,
                // A plan is a file that can be edited: what it says about a blob is not trusted.
                Some((written_at, size_bytes))
                    if erased.contains(&blob.digest)
                        || (*written_at <= blob.written_at && clock - *written_at >= grace) =>
                {
                    rest.push(GarbageBlob { size_bytes: *size_bytes, ..blob.clone() });
                }
                Some(_) => done.kept += 1,
            }
        }
        let mut batch = 0;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(BATCH));
            let mark = format!("{SWEEPS}/{}-{batch}", plan.id);
            self.store.create(&mark, "a sweep is removing blobs\n".into()).await?;
            let began = Instant::now();
            let swept = async {
                marks.extend(&self.store, &known, &erased).await?;
                let (free, named): (Vec<_>, Vec<_>) = rest
                    .into_iter()
                    .partition(|blob| erased.contains(&blob.digest) || !marks.names(&blob.digest));
                done.kept += named.len() as u64;
                self.remove_batch(&plan.id, free, act, began).await
            }
            .await;
            self.store.remove(&mark).await?;
            let Removed { removed, mut left } = swept?;
            done.blobs += removed.len() as u64;
            done.bytes += removed.iter().map(|blob| blob.size_bytes).sum::<u64>();
            left.extend(later);
            rest = left;
            batch += 1;
        }
        let finished = GarbageChange::Finished { blobs: done.blobs, bytes: done.bytes };
        self.log_sweep(&plan.id, finished, act).await?;
        Ok(done)
    }

    /// Writes the tombstones of `blobs`, then removes them, as many as the time of a mark allows.
    async fn remove_batch(
        &self,
        id: &str,
        blobs: Vec<GarbageBlob>,
        act: &Act,
        began: Instant,
    ) -> Result<Removed> {
        let mut done = Removed { removed: Vec::new(), left: Vec::new() };
        if blobs.is_empty() {
            return Ok(done);
        }
        let digests = blobs.iter().map(|blob| blob.digest).collect();
        self.log_sweep(id, GarbageChange::Tombstoned { blobs: digests }, act).await?;
        let removed: Vec<(GarbageBlob, bool)> = futures::stream::iter(blobs)
            .map(|blob| async move {
                // A writer stops waiting after some time. By then, the rest is left to the next batch.
                if began.elapsed() > MARK_HOLDS {
                    return Ok((blob, false));
                }
                self.store.remove(&blob_path(&blob.digest)).await?;
                Ok::<_, Fault>((blob, true))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (blob, is_removed) in removed {
            if is_removed { done.removed.push(blob) } else { done.left.push(blob) }
        }
        Ok(done)
    }
}

/// The result of one batch.
struct Removed {
    removed: Vec<GarbageBlob>,
    /// Blobs for which there was no time.
    left: Vec<GarbageBlob>,
}
