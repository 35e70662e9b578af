//! The copy of a store.

use super::difference::{Difference, MirrorConflict, copied, difference};
use crate::{Act, state::MAX_CONFLICTS};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Appended, ERASURES, Erasure, SWEEP_PATIENCE, Store, blob_path};
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Objects that are copied at a time. A blob is held in memory.
const AT_ONCE: usize = 8;
/// The log of copies, in the copy.
const LOG: &str = "mirrors/log";
const SCHEMA: &str = "botops.mirror/1";

/// The result of [`Mirrored::copy`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Mirrored {
    /// Blobs that were copied and verified.
    pub blobs: u64,
    /// Log entries that were copied.
    pub entries: u64,
    /// Other objects that were copied.
    pub others: u64,
    /// The size of all of them in bytes.
    pub bytes: u64,
    /// Blobs that were erased in the copy, because they are erased in the store.
    pub erased: u64,
    /// Blobs that the copy had already.
    pub blobs_there: u64,
    /// The objects that differ. They stay as they are in the copy.
    pub conflicts: Vec<MirrorConflict>,
}

/// An entry of the log of copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Copied {
    schema: String,
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    from: String,
    blobs: u64,
    entries: u64,
    others: u64,
    erased: u64,
    bytes: u64,
}

impl Mirrored {
    /// Copies `from` into `to`, as far as they do not conflict. With `dry_run`, nothing is written.
    ///
    /// # Errors
    /// `BOT-5144` (exit 2) both are the same store; `BOT-5005` (exit 3) a blob of `from` is damaged, which is not copied;
    /// those of the stores. What was copied before stays, and the next call goes on.
    pub async fn copy(from: &Store, to: &Store, act: &Act, dry_run: bool) -> Result<Self> {
        refuse_same(from, to).await?;
        let mut done = Self::default();
        copy_erasures(from, to, dry_run, &mut done).await?;
        let Difference { entries, others, conflicts } = difference(from, to).await?;
        done.conflicts.extend(conflicts);
        copy_blobs(from, to, dry_run, &mut done).await?;
        if dry_run {
            done.entries += entries.len() as u64;
            done.others += others.len() as u64;
            return Ok(done);
        }
        // Records that logs name, then the logs; checkpoints come with their logs, and are used only with their entries.
        let (caches, records): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|path| path.contains("/checkpoints/"));
        for path in records {
            done.add(copied(from, to, &path).await?, &path, Part::Other);
        }
        for path in entries {
            done.add(copied(from, to, &path).await?, &path, Part::Entry);
        }
        for path in caches {
            done.add(copied(from, to, &path).await?, &path, Part::Other);
        }
        // A sweep of the copy may have removed an old blob before an entry named it.
        to.outlast_sweeps(SWEEP_PATIENCE).await?;
        done.blobs_there = 0;
        let before = done.blobs;
        copy_blobs(from, to, false, &mut done).await?;
        done.blobs_there -= before;
        if done.blobs + done.entries + done.others + done.erased > 0 {
            done.record(from, to, act).await?;
        }
        Ok(done)
    }

    /// Counts a copied object; `None` is a conflict.
    fn add(&mut self, size: Option<u64>, path: &str, part: Part) {
        match size {
            // Somebody else copied it.
            Some(0) => {}
            Some(size) => {
                self.bytes += size;
                match part {
                    Part::Entry => self.entries += 1,
                    Part::Other => self.others += 1,
                }
            }
            None => self.conflicts.push(MirrorConflict {
                object: path.to_owned(),
                problem: "has other bytes in the copy".to_owned(),
            }),
        }
    }

    async fn record(&self, from: &Store, to: &Store, act: &Act) -> Result<()> {
        let log = to.log::<Copied>(LOG);
        let entry = Copied {
            schema: SCHEMA.to_owned(),
            at: act.at,
            actor: act.actor.clone(),
            reason: act.reason.clone(),
            from: from.url().to_owned(),
            blobs: self.blobs,
            entries: self.entries,
            others: self.others,
            erased: self.erased,
            bytes: self.bytes,
        };
        let mut retries = to.retries().begin_against(MAX_CONFLICTS);
        loop {
            let last = log.entries().await?.pop();
            if let Appended::Written(_) = log.append(last.as_ref(), entry.clone()).await? {
                return Ok(());
            }
            if !retries.pause().await {
                return Err(Fault::conflict(
                    "BOT-5014",
                    "others keep writing to the log of copies",
                )
                .hint("everything is copied; run the command again"));
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Entry,
    Other,
}

/// Refuses a copy of a store into itself.
async fn refuse_same(from: &Store, to: &Store) -> Result<()> {
    let same = from.url() == to.url()
        || match (from.identity().await?, to.identity().await?) {
            (Some(from), Some(to)) => from == to,
            _ => false,
        };
    if !same {
        return Ok(());
    }
    let message = format!("`{}` and `{}` are the same store", from.url(), to.url());
    Err(Fault::usage("BOT-5144", message)
        .hint("if one is a copy of the files of the other, remove the folder `probes` of the copy"))
}

/// Copies the log of erasures, then erases in the copy what is erased in the store.
async fn copy_erasures(from: &Store, to: &Store, dry_run: bool, done: &mut Mirrored) -> Result<()> {
    let (ours, theirs) = (from.erasures().await?, to.erasures().await?);
    let is_same = |(a, b): (&botops_store::Entry<Erasure>, &botops_store::Entry<Erasure>)| {
        a.payload == b.payload && a.previous == b.previous
    };
    if theirs.len() > ours.len() || !ours.iter().zip(&theirs).all(is_same) {
        done.conflicts.push(MirrorConflict {
            object: ERASURES.to_owned(),
            problem: "has other entries in the copy".to_owned(),
        });
    } else {
        for entry in &ours[theirs.len()..] {
            let path = format!("{ERASURES}/{:020}.json", entry.seq);
            match dry_run {
                true => done.entries += 1,
                false => done.add(copied(from, to, &path).await?, &path, Part::Entry),
            }
        }
    }
    // Blobs that are erased here must not stay there, whatever the log of the copy says.
    let known = to.erased_blobs().await?;
    for digest in from.erased_blobs().await? {
        let is_there = to.has_blob(&digest).await?;
        if known.contains(&digest) && !is_there {
            continue;
        }
        done.erased += u64::from(is_there);
        if !dry_run && let Some(mark) = from.erased_blob(&digest).await? {
            to.erase_blob(&digest, &mark.erasure, mark.at).await?;
        }
    }
    Ok(())
}

/// Copies the blobs that are missing in the copy, each verified.
async fn copy_blobs(from: &Store, to: &Store, dry_run: bool, done: &mut Mirrored) -> Result<()> {
    let mut erased = from.erased_blobs().await?;
    erased.extend(to.erased_blobs().await?);
    let theirs: BTreeMap<Digest, u64> =
        to.blobs().await?.into_iter().map(|(digest, it)| (digest, it.size_bytes)).collect();
    let mut missing = Vec::new();
    for (digest, stored) in from.blobs().await? {
        match theirs.get(&digest) {
            _ if erased.contains(&digest) => {}
            None => missing.push((digest, stored.size_bytes)),
            Some(size) if *size == stored.size_bytes => done.blobs_there += 1,
            Some(_) => {
                let conflict = MirrorConflict {
                    object: blob_path(&digest),
                    problem: "has another size in the copy: one of them is damaged".to_owned(),
                };
                if !done.conflicts.contains(&conflict) {
                    done.conflicts.push(conflict);
                }
            }
        }
    }
    if dry_run {
        done.blobs += missing.len() as u64;
        done.bytes += missing.iter().map(|(_, size)| size).sum::<u64>();
        return Ok(());
    }
    let sizes: Vec<Option<u64>> = futures::stream::iter(missing)
        .map(|(digest, size)| async move {
            match from.blob(&digest).await {
                Ok(bytes) => to.put_blob(bytes).await.map(|_| Some(size)),
                // A sweep removed it, or it was erased, since it was listed.
                Err(fault) if matches!(fault.code(), "BOT-5004" | "BOT-5130") => Ok(None),
                Err(fault) => Err(fault),
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    for size in sizes.into_iter().flatten() {
        done.blobs += 1;
        done.bytes += size;
    }
    Ok(())
}
