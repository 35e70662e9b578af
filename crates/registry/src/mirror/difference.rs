//! The difference between a store and its copy.

use botops_findings::{Fault, Result};
use botops_store::{Store, Stored};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The folders that are copied, in this order: what an object names is in a folder before it.
const FOLDERS: [&str; 8] =
    ["runs", "stages", "pipelines", "datasets", "knowledge", "models", "access", "deployments"];
/// Parts of a path of which the objects are of no use in a copy: they are signs of life of servers.
const TRANSIENT: [&str; 2] = ["/observations/", "/used/"];
/// Logs that are compared at a time.
const AT_ONCE: usize = 8;

/// An object that differs between a store and its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MirrorConflict {
    /// The object or the log.
    pub object: String,
    /// The difference, in words.
    pub problem: String,
}

/// The objects to copy, besides blobs.
#[derive(Default)]
pub(super) struct Difference {
    /// Log entries, in an order in which each can be read as soon as it is there.
    pub(super) entries: Vec<String>,
    /// Other objects.
    pub(super) others: Vec<String>,
    /// The objects that differ.
    pub(super) conflicts: Vec<MirrorConflict>,
}

/// Compares the objects of `from` and `to`.
pub(super) async fn difference(from: &Store, to: &Store) -> Result<Difference> {
    let mut found = Difference::default();
    for folder in FOLDERS {
        let (ours, theirs) = (from.list(folder).await?, to.list(folder).await?);
        let theirs: BTreeMap<&str, &Stored> =
            theirs.iter().map(|stored| (stored.path.as_str(), stored)).collect();
        let is_kept = |stored: &&Stored| !TRANSIENT.iter().any(|part| stored.path.contains(part));
        let mut logs: BTreeMap<String, Vec<&Stored>> = BTreeMap::new();
        for stored in ours.iter().filter(is_kept) {
            if let Some(log) = log_of(&stored.path) {
                logs.entry(log.to_owned()).or_default().push(stored);
                continue;
            }
            match theirs.get(stored.path.as_str()) {
                None => found.others.push(stored.path.clone()),
                Some(copy) if copy.size_bytes == stored.size_bytes => {}
                Some(_) => found.conflicts.push(MirrorConflict {
                    object: stored.path.clone(),
                    problem: "has other bytes in the copy".to_owned(),
                }),
            }
        }
        let compared: Vec<(Vec<String>, Option<MirrorConflict>)> = futures::stream::iter(logs)
            .map(|(log, entries)| compare(from, to, log, entries, &theirs))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (entries, conflict) in compared {
            found.entries.extend(entries);
            found.conflicts.extend(conflict);
        }
        // A log that only the copy has was written there.
        let known: BTreeSet<&str> = ours.iter().filter_map(|it| log_of(&it.path)).collect();
        let alien: BTreeSet<&str> = theirs
            .keys()
            .filter_map(|path| log_of(path))
            .filter(|log| !known.contains(log))
            .collect();
        found.conflicts.extend(alien.into_iter().map(|log| MirrorConflict {
            object: log.to_owned(),
            problem: "exists in the copy only".to_owned(),
        }));
    }
    Ok(found)
}

/// Returns the entries of a log that are missing in the copy, or the conflict.
async fn compare(
    from: &Store,
    to: &Store,
    log: String,
    entries: Vec<&Stored>,
    theirs: &BTreeMap<&str, &Stored>,
) -> Result<(Vec<String>, Option<MirrorConflict>)> {
    let conflict = |object: &str, problem: &str| {
        let (object, problem) = (object.to_owned(), problem.to_owned());
        (Vec::new(), Some(MirrorConflict { object, problem }))
    };
    // Numbers have 20 digits, so that paths sort like numbers.
    let paths: Vec<&str> = entries.iter().map(|stored| stored.path.as_str()).collect();
    let common = paths.iter().take_while(|path| theirs.contains_key(*path)).count();
    if let Some(path) = paths[common..].iter().find(|path| theirs.contains_key(*path)) {
        return Ok(conflict(path, "is in the copy, and an entry before it is not"));
    }
    let last = format!("{log}/");
    let n_theirs =
        theirs.range(last.as_str()..).take_while(|(path, _)| path.starts_with(&last)).count();
    if n_theirs > paths.len() {
        return Ok(conflict(&log, "has more entries in the copy"));
    }
    if let Some(path) = common.checked_sub(1).map(|last| paths[last]) {
        // Each entry holds the digest of the one before, so that the last one stands for all.
        let (ours, theirs) = (from.read(path).await?, to.read(path).await?);
        if ours != theirs {
            return Ok(conflict(path, "has other bytes in the copy"));
        }
    }
    Ok((paths[common..].iter().map(|path| (*path).to_owned()).collect(), None))
}

/// Returns the log of an entry; `None` if the object is not one.
fn log_of(path: &str) -> Option<&str> {
    let (log, name) = path.rsplit_once('/')?;
    let number = name.strip_suffix(".json")?;
    let is_entry = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_entry && log.ends_with("/log")).then_some(log)
}

/// Copies one object; returns whether it is there now with the same bytes.
pub(super) async fn copied(from: &Store, to: &Store, path: &str) -> Result<Option<u64>> {
    let Some(bytes) = from.read(path).await? else {
        let message = format!("`{path}` was removed from `{}` while it was copied", from.url());
        return Err(Fault::internal("BOT-5004", message)
            .file(from.object_url(path))
            .hint("run the command again"));
    };
    let size = bytes.len() as u64;
    if to.create(path, bytes.clone()).await? {
        return Ok(Some(size));
    }
    match to.read(path).await? {
        Some(found) if found == bytes => Ok(Some(0)),
        _ => Ok(None),
    }
}
