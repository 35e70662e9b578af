//! The packs that hold a text: files are put together from their chunks, so that a text in two chunks is found, too.

use crate::log::{Snapshot, SnapshotAction, Snapshots};
use botops_digest::Digest;
use botops_findings::Result;
use std::collections::{BTreeMap, BTreeSet};

/// The chunks that are searched together.
const WINDOW: usize = 3;

impl Snapshots {
    /// Returns the packs with a part of a file for which `holds` is true, each with the snapshots that need the pack.
    ///
    /// Parts that were erased before, or are lost, are skipped.
    ///
    /// # Errors
    /// `BOT-5005` (exit 3) a pack is damaged, so that it cannot be searched; those of [`Self::resolve`].
    pub async fn packs_where(
        &self,
        holds: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<BTreeMap<Digest, BTreeSet<String>>> {
        let mut found = BTreeSet::new();
        let mut searched = BTreeSet::new();
        let mut snapshots = Vec::new();
        for name in self.names().await? {
            let entries = self.history(&name).await?;
            for entry in &entries {
                let SnapshotAction::Taken { .. } = entry.payload.action;
                snapshots.push(self.load(&name, &entries, entry.seq).await?);
            }
        }
        for snapshot in &snapshots {
            for (n, file) in snapshot.manifest.files.iter().enumerate() {
                let packs: Vec<Digest> = (file.chunks.iter())
                    .map(|chunk| snapshot.manifest.packs[chunk.pack as usize].digest)
                    .collect();
                if searched.insert((file.digest, packs.clone())) {
                    found.extend(self.search(snapshot, n, &packs, holds).await?);
                }
            }
        }
        let needs = |pack: &Digest| {
            let of_it =
                |it: &&Snapshot| it.manifest.packs.iter().any(|known| known.digest == *pack);
            snapshots.iter().filter(of_it).map(Snapshot::reference).collect()
        };
        Ok(found.iter().map(|pack| (*pack, needs(pack))).collect())
    }

    /// Searches file `n` of `snapshot`, whose chunks are in `packs`.
    async fn search(
        &self,
        snapshot: &Snapshot,
        n: usize,
        packs: &[Digest],
        holds: &(dyn Fn(&[u8]) -> bool + Sync),
    ) -> Result<BTreeSet<Digest>> {
        let file = &snapshot.manifest.files[n];
        let mut found = BTreeSet::new();
        let mut recent: Vec<(Digest, Vec<u8>)> = Vec::new();
        let mut from = 0;
        while from < file.chunks.len() {
            let (parts, next) = match self.parts(snapshot, file, from).await {
                Ok(read) => read,
                Err(fault) if matches!(fault.code(), "BOT-5004" | "BOT-5130") => {
                    let lost = packs[from];
                    let after = packs[from..].iter().position(|pack| *pack != lost);
                    recent.clear();
                    from = after.map_or(packs.len(), |after| from + after);
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            for (part, pack) in parts.into_iter().zip(&packs[from..]) {
                recent.push((*pack, part));
                if recent.len() > WINDOW {
                    recent.remove(0);
                }
                found.extend(newest_match(&recent, holds));
            }
            from = next;
        }
        Ok(found)
    }
}

/// Returns the packs of the fewest last parts that hold the text together; none if the parts before the last one already do,
/// or all of them do not.
fn newest_match(
    recent: &[(Digest, Vec<u8>)],
    holds: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Vec<Digest> {
    let joined = |parts: &[(Digest, Vec<u8>)]| {
        parts.iter().flat_map(|(_, bytes)| bytes).copied().collect::<Vec<u8>>()
    };
    if !holds(&joined(recent)) {
        return Vec::new();
    }
    for n in 1..=recent.len() {
        let last = &recent[recent.len() - n..];
        if holds(&joined(last)) {
            let before = &last[..n - 1];
            return match n > 1 && holds(&joined(before)) {
                true => Vec::new(),
                false => last.iter().map(|(pack, _)| *pack).collect(),
            };
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_is_found_in_each_of_its_packs() {
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Digest::of(name));
        let holds = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"needle");
        let of = |parts: &[(Digest, &str)]| {
            let parts: Vec<(Digest, Vec<u8>)> =
                parts.iter().map(|(pack, text)| (*pack, text.as_bytes().to_vec())).collect();
            newest_match(&parts, &holds)
        };
        assert_eq!(of(&[(a, "hay"), (b, "hay needle")]), [b]);
        assert_eq!(of(&[(a, "hay nee"), (b, "dle hay")]), [a, b]);
        assert_eq!(of(&[(a, "hay ne"), (b, "ed"), (c, "le")]), [a, b, c]);
        assert!(of(&[(a, "needle"), (b, "hay")]).is_empty(), "it was found before");
        assert!(of(&[(a, "hay"), (b, "hay")]).is_empty());
    }
}
