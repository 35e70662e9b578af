//! The manifest of a snapshot: its files, their chunks, and the packs that hold these.

use crate::file_list;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_text as text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub(crate) const SCHEMA: &str = "botops.snapshot/1";
/// The longest chunk that is written, in bytes.
pub(crate) const LONGEST_CHUNK: usize = 512 << 10;
/// The longest chunk that is read, in bytes; other writers may cut longer chunks.
const LONGEST_READ: u64 = 4 * LONGEST_CHUNK as u64;

/// A part of a file, cut where the content decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// The index of its pack in [`SnapshotManifest::packs`], from 0.
    pub pack: u32,
    /// The offset of its first byte in the pack.
    pub start: u64,
    /// Its size in the pack, compressed.
    pub stored_bytes: u64,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// Its path within the snapshot, with `/` between parts; never absolute, never with `..`.
    pub path: String,
    /// The digest of its bytes, which runs and versions record as their data.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Its chunks in order.
    pub chunks: Vec<Chunk>,
}

/// A blob of compressed chunks, side by side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pack {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size.
    pub size_bytes: u64,
}

/// The content of a snapshot and where it is stored. It has no time and no author.
///
/// - `files` rise by path, `packs` by digest
/// - every chunk lies within its pack, and the sizes of a file's chunks sum to the size of the file
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// `botops.snapshot/1`.
    pub schema: String,
    /// The name of the data set.
    pub name: String,
    /// The files.
    pub files: Vec<SnapshotFile>,
    /// The packs that hold their chunks.
    pub packs: Vec<Pack>,
}

impl SnapshotManifest {
    /// Returns the identity of the snapshot: the digest of the paths, sizes and digests of its files.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let files: Vec<_> = self
            .files
            .iter()
            .map(|file| (file.path.as_str(), file.size_bytes, file.digest))
            .collect();
        Digest::of_json(&files)
    }

    /// Returns the size of all files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Returns the file at `path`.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&SnapshotFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// Parses a manifest of the data set `name`, and checks every invariant that reading its files depends on.
pub(crate) fn parse(bytes: &[u8], name: &str, place: &str) -> Result<SnapshotManifest> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let broken = |defect: String| {
        Fault::data("BOT-5006", format!("a manifest of the data set `{name}` {defect}"))
            .file(place)
            .hint("restore the object from a backup")
    };
    let head: Head = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    if head.schema != SCHEMA {
        let version = head.schema.strip_prefix("botops.snapshot/").map(str::parse::<u32>);
        return Err(match version {
            Some(Ok(version)) if version > 1 => Fault::policy(
                "BOT-5007",
                format!(
                    "a manifest of the data set `{name}` has the format `{}`, newer than this botops",
                    head.schema
                ),
            )
            .file(place)
            .hint("install a newer botops"),
            _ => broken(format!(
                "has the unknown format `{}`",
                text::display(&head.schema, 60)
            )),
        });
    }
    let manifest: SnapshotManifest = serde_json::from_slice(bytes)
        .map_err(|error| broken(format!("cannot be read: {error}")))?;
    match defect(&manifest, name) {
        Some(defect) => Err(broken(defect)),
        None => Ok(manifest),
    }
}

/// Returns the first defect of a manifest, if it has one.
fn defect(manifest: &SnapshotManifest, name: &str) -> Option<String> {
    if manifest.name != name {
        return Some(format!("names the data set `{}`", text::display(&manifest.name, 60)));
    }
    if !manifest.files.windows(2).all(|pair| pair[0].path < pair[1].path) {
        return Some("has files out of order".to_owned());
    }
    // `a` and `a/b` cannot both be files.
    let paths: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for file in &manifest.files {
        let shown = text::display(&file.path, 120);
        if !file_list::is_safe(&file.path) {
            return Some(format!("has a file `{shown}` with an unsafe path"));
        }
        let mut above = file.path.as_str();
        while let Some((folder, _)) = above.rsplit_once('/') {
            if paths.contains(folder) {
                return Some(format!(
                    "has `{}` as a file and as a folder",
                    text::display(folder, 120)
                ));
            }
            above = folder;
        }
        let mut size = 0_u64;
        for chunk in &file.chunks {
            let pack = manifest.packs.get(chunk.pack as usize);
            let end = chunk.start.checked_add(chunk.stored_bytes);
            let is_inside = pack.zip(end).is_some_and(|(pack, end)| end <= pack.size_bytes);
            if !is_inside || chunk.size_bytes == 0 || chunk.size_bytes > LONGEST_READ {
                return Some(format!("has a chunk of `{shown}` outside its pack"));
            }
            size = size.saturating_add(chunk.size_bytes);
        }
        if size != file.size_bytes {
            return Some(format!("has chunks of `{shown}` that do not sum to its size"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> SnapshotManifest {
        let digest = Digest::of(b"x");
        let chunk = |start| Chunk { digest, size_bytes: 10, pack: 0, start, stored_bytes: 5 };
        let file = |path: &str| SnapshotFile {
            path: path.to_owned(),
            digest,
            size_bytes: 20,
            chunks: vec![chunk(0), chunk(5)],
        };
        SnapshotManifest {
            schema: SCHEMA.to_owned(),
            name: "support".to_owned(),
            files: vec![file("a/b.csv"), file("c.csv")],
            packs: vec![Pack { digest, size_bytes: 10 }],
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        assert_eq!(defect(&manifest(), "support"), None);
        type Change = fn(&mut SnapshotManifest);
        let changes: [(Change, &str); 9] = [
            (|m| m.name = "other".into(), "names the data set `other`"),
            (|m| m.files.swap(0, 1), "has files out of order"),
            (|m| m.files[0].path = "../b".into(), "has a file `../b` with an unsafe path"),
            (|m| m.files[0].path = "/b".into(), "has a file `/b` with an unsafe path"),
            (|m| m.files[1].path = "a/b.csv/c".into(), "has `a/b.csv` as a file and as a folder"),
            (|m| m.files[1].size_bytes = 21, "has chunks of `c.csv` that do not sum to its size"),
            (|m| m.files[1].chunks[1].pack = 1, "has a chunk of `c.csv` outside its pack"),
            (|m| m.files[1].chunks[1].start = u64::MAX, "has a chunk of `c.csv` outside its pack"),
            (
                |m| m.files[1].chunks[1].size_bytes = 1 << 40,
                "has a chunk of `c.csv` outside its pack",
            ),
        ];
        for (change, message) in changes {
            let mut manifest = manifest();
            change(&mut manifest);
            assert_eq!(defect(&manifest, "support").as_deref(), Some(message));
            let bytes = botops_digest::canonical_json(&manifest);
            assert_eq!(parse(&bytes, "support", "place").unwrap_err().code(), "BOT-5006");
        }
    }

    #[test]
    fn a_newer_format_has_another_code_than_an_unknown_one() {
        let mut manifest = manifest();
        manifest.schema = "botops.snapshot/2".to_owned();
        let bytes = botops_digest::canonical_json(&manifest);
        assert_eq!(parse(&bytes, "support", "place").unwrap_err().code(), "BOT-5007");
        assert_eq!(
            parse(b"{\"schema\":\"x\"}", "support", "place").unwrap_err().code(),
            "BOT-5006"
        );
        assert_eq!(parse(b"{", "support", "place").unwrap_err().code(), "BOT-5006");
    }
}
