//! Reading files of a snapshot: chunks from packs, each verified.

use crate::{
    chunks,
    log::{Snapshot, Snapshots},
    manifest::{Chunk, SnapshotFile},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::blob_path;
use botops_text as text;

/// Bytes of a pack that one request reads.
const REQUEST: u64 = 8 << 20;

impl Snapshots {
    /// Returns the bytes of a file of `snapshot`, verified.
    ///
    /// # Errors
    /// `BOT-5004` a pack is missing (exit 1), `BOT-5005` damaged (exit 3), `BOT-5130` erased (exit 6), `BOT-5003`.
    pub async fn bytes(&self, snapshot: &Snapshot, file: &SnapshotFile) -> Result<Vec<u8>> {
        // The size is what the manifest says; the bytes are verified as they come.
        let mut bytes = Vec::with_capacity(file.size_bytes.min(REQUEST) as usize);
        let mut from = 0;
        while from < file.chunks.len() {
            let (parts, next) = self.parts(snapshot, file, from).await?;
            for part in parts {
                bytes.extend_from_slice(&part);
            }
            from = next;
        }
        match Digest::of(&bytes) == file.digest {
            true => Ok(bytes),
            false => Err(contradicts(snapshot, file)),
        }
    }

    /// Returns the bytes of some chunks of `file`, starting with the chunk at index `from`, each verified, and the index
    /// of the chunk after them.
    pub(crate) async fn parts(
        &self,
        snapshot: &Snapshot,
        file: &SnapshotFile,
        from: usize,
    ) -> Result<(Vec<Vec<u8>>, usize)> {
        let run = adjacent(file, from);
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let pack = &snapshot.manifest.packs[first.pack as usize];
        let path = blob_path(&pack.digest);
        let range = first.start..last.start + last.stored_bytes;
        let stored = self.store.read_range(&path, range.clone()).await?;
        let owner =
            || format!("`{}` of `{}`", text::display(&file.path, 120), snapshot.reference());
        let Some(stored) = stored else {
            if let Some(fault) = self.store.erased_fault(&pack.digest).await? {
                return Err(fault);
            }
            let message =
                format!("blob `{}`, which holds a part of {}, is missing", pack.digest, owner());
            return Err(Fault::internal("BOT-5004", message)
                .file(self.store.object_url(&path))
                .hint(format!("list all problems: `botops data verify {}`", snapshot.name))
                .hint(
                    "restore the object from a backup, or take the snapshot again from the files",
                ));
        };
        let mut parts = Vec::with_capacity(run.len());
        for chunk in run {
            let start = (chunk.start - range.start) as usize;
            let stored = stored.get(start..start + chunk.stored_bytes as usize).unwrap_or_default();
            let Some(bytes) = chunks::unpacked(stored, chunk) else {
                let message = format!("blob `{}` is damaged in a part of {}", pack.digest, owner());
                return Err(Fault::data("BOT-5005", message)
                    .file(self.store.object_url(&path))
                    .hint(format!("list all problems: `botops data verify {}`", snapshot.name))
                    .hint("restore the object from a backup"));
            };
            parts.push(bytes);
        }
        Ok((parts, from + run.len()))
    }
}

/// Returns the chunks of `file`, starting at index `from`, that lie side by side in one pack and fit into one request.
fn adjacent(file: &SnapshotFile, from: usize) -> &[Chunk] {
    let chunks = &file.chunks[from..];
    let mut stored = chunks[0].stored_bytes;
    let mut n = 1;
    while let [last, next, ..] = &chunks[n - 1..]
        && next.pack == last.pack
        && next.start == last.start + last.stored_bytes
        && stored + next.stored_bytes <= REQUEST
    {
        stored += next.stored_bytes;
        n += 1;
    }
    &chunks[..n]
}

/// Returns the fault for a file whose verified chunks do not have the digest of the file.
pub(crate) fn contradicts(snapshot: &Snapshot, file: &SnapshotFile) -> Fault {
    let message = format!(
        "the chunks of `{}` of `{}` do not match the digest of the file",
        text::display(&file.path, 120),
        snapshot.reference()
    );
    Fault::data("BOT-5006", message)
        .hint(format!("list all problems: `botops data verify {}`", snapshot.name))
}
