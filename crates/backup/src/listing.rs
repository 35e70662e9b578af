//! The objects of a store, listed so that everything that a listed object refers to is listed too.

use botops_findings::Result;
use botops_store::{Store, Stored};
use std::collections::{BTreeMap, BTreeSet};

/// Folders that belong to one store and to no copy of it: its identity, and marks of commands at work.
pub(crate) const NOT_COPIED: [&str; 2] = ["probes/", "sweeps/"];

/// Returns the step in which an object is listed. A log refers to what was committed before, so logs that refer to others
/// come first: deployments name versions, versions name runs and blobs.
fn step(path: &str) -> u8 {
    match path.split('/').next().unwrap_or_default() {
        "blobs" => 2,
        "models" | "datasets" | "runs" => 1,
        _ => 0,
    }
}

/// Lists the objects of a store, sorted by path.
///
/// # Errors
/// Those of the store.
pub(crate) async fn list(store: &Store) -> Result<Vec<Stored>> {
    let mut found = BTreeMap::new();
    for now in 0..=2 {
        for stored in store.list("").await? {
            let is_copied = !NOT_COPIED.iter().any(|folder| stored.path.starts_with(folder));
            if is_copied && step(&stored.path) == now {
                found.insert(stored.path.clone(), stored);
            }
        }
    }
    fill_logs(store, &mut found).await?;
    Ok(found.into_values().collect())
}

/// Returns the folder of a log, and the number of the entry at `path`; `None` if it is not one.
pub(crate) fn log_entry(path: &str) -> Option<(&str, u64)> {
    numbered(path).filter(|(folder, _)| *folder == "log" || folder.ends_with("/log"))
}

/// Returns the folder and the number of an object such as `…/00000000000000000007.json`.
pub(crate) fn numbered(path: &str) -> Option<(&str, u64)> {
    let (folder, name) = path.rsplit_once('/')?;
    let digits = name.strip_suffix(".json")?;
    let is_number = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Some((folder, digits.parse().ok()?)))?
}

/// Adds the entries that a listing of a disk missed: it may show an entry that was just written, and not the one before.
async fn fill_logs(store: &Store, found: &mut BTreeMap<String, Stored>) -> Result<()> {
    let mut logs: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for path in found.keys() {
        if let Some((folder, number)) = log_entry(path) {
            logs.entry(folder).or_default().insert(number);
        }
    }
    let mut gaps = Vec::new();
    for (folder, numbers) in &logs {
        let last = numbers.last().copied().unwrap_or_default();
        if numbers.len() as u64 != last {
            gaps.push((*folder).to_owned());
        }
    }
    for folder in gaps {
        let newest = found.keys().filter_map(|path| log_entry(path)).filter(|it| it.0 == folder);
        let newest = newest.map(|it| it.1).max().unwrap_or_default();
        for stored in store.list(&folder).await? {
            if log_entry(&stored.path).is_some_and(|(_, number)| number <= newest) {
                found.entry(stored.path.clone()).or_insert(stored);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_logs_are_told_from_other_objects() {
        let entry = "deployments/production/log/00000000000000000007.json";
        assert_eq!(log_entry(entry), Some(("deployments/production/log", 7)));
        let checkpoint = "deployments/production/checkpoints/00000000000000001000.json";
        assert_eq!(log_entry(checkpoint), None);
        assert_eq!(numbered(checkpoint), Some(("deployments/production/checkpoints", 1_000)));
        for other in ["models/a/log/7.json", "log", "models/a/log/0000000000000000000x.json"] {
            assert_eq!(numbered(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn the_identity_of_a_store_is_not_copied() {
        let store = Store::in_memory();
        for path in ["probes/proof.json", "blobs/sha256/ab/ab", "models/a/log/x", "sweeps/1"] {
            store.create(path, "x".into()).await.unwrap();
        }
        let listed: Vec<_> = list(&store).await.unwrap().into_iter().map(|it| it.path).collect();
        assert_eq!(listed, ["blobs/sha256/ab/ab", "models/a/log/x"]);
    }
}
