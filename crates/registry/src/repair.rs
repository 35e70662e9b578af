//! Repair: lost and damaged objects, taken from other stores and from files.
//!
//! - a blob is taken from wherever its bytes have its digest
//! - a log entry is taken from another store if its neighbours fit: the entry before has the digest that it names, and the
//!   entry after names its digest
//! - a checkpoint that contradicts its log is removed, because it can be made again from the log
//!
//! Nothing else is removed: the bytes of a damaged object are kept under `repairs/aside` before they are replaced.

use super::{Act, Registry, state::MAX_CONFLICTS};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result};
use botops_store::{Appended, Store, Stored, intact_entry};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

const LOG: &str = "repairs/log";
const SCHEMA: &str = "botops.repair/1";

/// Where lost objects may be found.
#[derive(Default)]
pub struct RepairSources {
    /// Other stores, such as a mirror or a restored backup.
    pub stores: Vec<Store>,
    /// Files by the digest of their bytes.
    pub files: BTreeMap<Digest, PathBuf>,
}

/// An object that was repaired, or can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// The object.
    pub object: String,
    /// The store or the file that it was taken from; `None` for a checkpoint, which was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where its damaged bytes are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<String>,
}

/// An entry of the log of repairs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RepairEvent {
    schema: String,
    at: DateTime<Utc>,
    actor: String,
    reason: String,
    objects: Vec<Repaired>,
}

impl Registry {
    /// Repairs the objects that `problems` name, as far as `sources` have them. With `dry_run`, nothing is written.
    ///
    /// A repaired manifest may show that its files are missing, too: verify again, and repair again, until nothing is left
    /// that can be repaired.
    ///
    /// # Errors
    /// Those of the stores and files. What was repaired before stays.
    pub async fn repair(
        &self,
        problems: &[Finding],
        sources: &RepairSources,
        dry_run: bool,
    ) -> Result<Vec<Repaired>> {
        let prefix = self.store.object_url("");
        let objects: BTreeSet<&str> = problems
            .iter()
            .filter_map(|problem| problem.place.file.as_deref()?.strip_prefix(&prefix))
            .collect();
        let mut done = Vec::new();
        for object in objects {
            let written_at = DateTime::UNIX_EPOCH;
            let path = Stored { path: object.to_owned(), size_bytes: 0, written_at };
            if let Some(digest) = path.blob() {
                done.extend(self.repair_blob(object, &digest, sources, dry_run).await?);
            } else if object.contains("/checkpoints/") {
                if !dry_run {
                    self.store.remove(object).await?;
                }
                done.push(Repaired { object: object.to_owned(), from: None, aside: None });
            } else if let Some((log, seq)) = entry_of(object) {
                done.extend(self.repair_log(log, seq, sources, dry_run).await?);
            }
        }
        Ok(done)
    }

    /// Writes what was repaired to the log of repairs.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn record_repairs(&self, objects: Vec<Repaired>, act: &Act) -> Result<()> {
        let log = self.store.log::<RepairEvent>(LOG);
        let event = RepairEvent {
            schema: SCHEMA.to_owned(),
            at: act.at,
            actor: act.actor.clone(),
            reason: act.reason.clone(),
            objects,
        };
        let mut retries = self.store.retries().begin_against(MAX_CONFLICTS);
        loop {
            let last = log.entries().await?.pop();
            if let Appended::Written(_) = log.append(last.as_ref(), event.clone()).await? {
                return Ok(());
            }
            if !retries.pause().await {
                return Err(Fault::conflict(
                    "BOT-5014",
                    "others keep writing to the log of repairs",
                )
                .hint("the repairs are done; verify again: `botops registry verify`"));
            }
        }
    }

    async fn repair_blob(
        &self,
        path: &str,
        digest: &Digest,
        sources: &RepairSources,
        dry_run: bool,
    ) -> Result<Option<Repaired>> {
        let stored = self.store.read(path).await?;
        if stored.as_ref().is_some_and(|bytes| Digest::of(bytes) == *digest)
            || self.store.erased_blob(digest).await?.is_some()
        {
            return Ok(None);
        }
        let Some((bytes, from)) = found(digest, sources).await? else { return Ok(None) };
        let aside = self.replace(path, stored, bytes, dry_run).await?;
        Ok(Some(Repaired { object: path.to_owned(), from: Some(from), aside }))
    }

    /// Repairs entry `seq` of `log`, and the missing ones directly after it.
    async fn repair_log(
        &self,
        log: &str,
        seq: u64,
        sources: &RepairSources,
        dry_run: bool,
    ) -> Result<Vec<Repaired>> {
        let path = |seq: u64| format!("{log}/{seq:020}.json");
        let mut done = Vec::new();
        let listed = self.store.objects(log, None).await?;
        let newest = listed.iter().filter_map(|path| entry_of(path)).map(|(_, seq)| seq).max();
        let newest = newest.unwrap_or(0);
        // An entry that does not match the one before may be intact, and the one before altered.
        let reported = seq;
        for seq in seq.saturating_sub(1).max(1)..=newest {
            let stored = self.store.read(&path(seq)).await?;
            let before = match seq {
                1 => None,
                seq => self.store.read(&path(seq - 1)).await?.map(|bytes| Digest::of(&bytes)),
            };
            let after = self.store.read(&path(seq + 1)).await?;
            let after = after.as_deref().and_then(|bytes| intact_entry(bytes, seq + 1));
            let fits = |bytes: &Bytes| {
                intact_entry(bytes, seq).is_some_and(|previous| previous == before)
                    && after.is_none_or(|previous| previous == Some(Digest::of(bytes)))
            };
            if stored.as_ref().is_some_and(fits) {
                if seq > reported {
                    break;
                }
                continue;
            }
            let mut repaired = None;
            for source in &sources.stores {
                if let Some(bytes) = source.read(&path(seq)).await?
                    && fits(&bytes)
                {
                    let aside = self.replace(&path(seq), stored.clone(), bytes, dry_run).await?;
                    let from = Some(source.url().to_owned());
                    repaired = Some(Repaired { object: path(seq), from, aside });
                    break;
                }
            }
            let Some(repaired) = repaired else { break };
            done.push(repaired);
            // In a dry run, the entry is not there for the next one to be compared with.
            if dry_run {
                break;
            }
        }
        Ok(done)
    }

    /// Puts `bytes` in the place of the object `path`, which has the bytes `stored`. Returns where these are kept.
    async fn replace(
        &self,
        path: &str,
        stored: Option<Bytes>,
        bytes: Bytes,
        dry_run: bool,
    ) -> Result<Option<String>> {
        let aside = stored.as_ref().map(|stored| {
            format!("repairs/aside/{}/{}", path.replace('/', "-"), Digest::of(stored).hex())
        });
        if dry_run {
            return Ok(aside);
        }
        if let (Some(aside), Some(stored)) = (&aside, stored) {
            self.store.create(aside, stored).await?;
            self.store.remove(path).await?;
        }
        if !self.store.create(path, bytes).await? {
            let message = format!("`{path}` was written by someone else during the repair");
            return Err(Fault::conflict("BOT-5014", message)
                .file(self.store.object_url(path))
                .hint("run the command again"));
        }
        Ok(aside)
    }
}

/// Returns bytes with this digest, and where they are from.
async fn found(digest: &Digest, sources: &RepairSources) -> Result<Option<(Bytes, String)>> {
    for store in &sources.stores {
        // It may be missing or damaged there, too, or erased.
        if let Ok(bytes) = Fault::unless_unreachable(store.blob(digest).await)? {
            return Ok(Some((bytes, store.url().to_owned())));
        }
    }
    let Some(file) = sources.files.get(digest) else { return Ok(None) };
    let bytes = std::fs::read(file).map_err(|error| {
        Fault::internal("BOT-5145", format!("`{}` cannot be read: {error}", file.display()))
            .file(file)
    })?;
    // It may have changed since it was digested.
    let fits = Digest::of(&bytes) == *digest;
    Ok(fits.then(|| (bytes.into(), file.display().to_string())))
}

/// Returns the log and the number of an entry.
fn entry_of(path: &str) -> Option<(&str, u64)> {
    let (log, name) = path.rsplit_once('/')?;
    let number = name.strip_suffix(".json").filter(|number| number.len() == 20)?;
    Some((log, number.parse().ok()?)).filter(|_| log.ends_with("/log"))
}
