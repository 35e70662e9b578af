//! Files by content: the snapshots that hold them.

use crate::log::{Snapshot, Snapshots, log_path};
use botops_digest::Digest;
use botops_findings::Result;
use std::collections::{BTreeMap, BTreeSet};

/// A file of a snapshot, found by its digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The newest snapshot that has the file.
    pub snapshot: Snapshot,
    /// The path of the file in it.
    pub path: String,
}

impl Snapshots {
    /// Finds the files with these digests: for each, the newest snapshot of the first data set by name that has it. Reads at
    /// most `most` manifests, the newest of each data set first, and ends as soon as every file is found.
    ///
    /// # Errors
    /// Those of the store, and of [`Self::resolve`] for a manifest that is damaged.
    pub async fn holding(
        &self,
        wanted: &BTreeSet<Digest>,
        most: usize,
    ) -> Result<BTreeMap<Digest, Held>> {
        let mut found: BTreeMap<Digest, Held> = BTreeMap::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut sets = Vec::new();
        for name in self.names().await? {
            let entries = self.logs.entries(&log_path(&name)).await?;
            sets.push((name, entries));
        }
        let longest = sets.iter().map(|(_, entries)| entries.len()).max().unwrap_or(0);
        let newest_first = (0..longest).flat_map(|age| {
            sets.iter().filter_map(move |(name, entries)| {
                let number = entries.len().checked_sub(age).filter(|number| *number > 0)?;
                Some((name, entries, number as u64))
            })
        });
        for (name, entries, number) in newest_first.take(most) {
            let snapshot = self.load(name, entries, number).await?;
            for file in &snapshot.manifest.files {
                if wanted.contains(&file.digest) && !found.contains_key(&file.digest) {
                    let held = Held { snapshot: snapshot.clone(), path: file.path.clone() };
                    found.insert(file.digest, held);
                }
            }
            if found.len() == wanted.len() {
                break;
            }
        }
        Ok(found)
    }
}
