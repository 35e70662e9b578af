//! The stored form of a backup: a header, which is the commit point, and a table of files.
//!
//! ```text
//! backups/<id>.json       the header, written last: without it there is no backup
//! chunks/ab/abcd…         parts of files, packed, encrypted if there are recipients
//! person_keys/<id>        the wrapped keys of persons; a later file replaces it when it has all but the erased ones
//! person_key_names/<id>   the hashed names of these keys
//! creating/…  pruning/…   marks of commands at work
//! ```
//!
//! The header is readable without a key, so that old backups can be removed without one. It holds counts and names of
//! chunks. Paths and digests of files are in the table, which is stored in chunks itself.

use crate::listing::NOT_COPIED;
use botops_conversations::Copied;
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The schema of a header.
pub(crate) const SCHEMA: &str = "botops.backup/1";
/// The folder of the headers.
pub(crate) const BACKUPS: &str = "backups";
/// The folder of the chunks.
pub(crate) const CHUNKS: &str = "chunks";
/// The folder of the keys of persons.
pub(crate) const PERSON_KEYS: &str = "person_keys";
/// The folder of the hashed names of the keys of persons.
pub(crate) const PERSON_KEY_NAMES: &str = "person_key_names";

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The name, which begins with the time: `20261130T070000Z-1f2e3d4c`.
    pub id: String,
    /// The time of the first listing. Everything that was committed before is in the backup.
    pub created_at: DateTime<Utc>,
    /// The identity of the registry; `None` if it had none, or in a backup of an earlier botops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Whether chunks are encrypted.
    pub encrypted: bool,
    /// The names of the stores, such as `registry`.
    pub stores: Vec<String>,
    /// The number of objects.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The extent of the conversations; `None` if they are not in the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversations: Option<Copied>,
    /// The objects of the live store that did not match their digest, and are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged: u64,
    /// The digest of the table.
    pub(crate) table: Digest,
    /// The chunks of the table, in order.
    pub(crate) table_chunks: Vec<Digest>,
    /// The names of all other chunks, sorted.
    pub(crate) chunks: Vec<Digest>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A header as it is stored, with its digest.
#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    digest: Digest,
    header: T,
    schema: String,
}

/// The files of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    /// The chunks, which pieces name by their index.
    pub(crate) chunks: Vec<ChunkEntry>,
    /// The stores, in the order of the header.
    pub(crate) stores: Vec<StoreEntry>,
    /// The turns, as JSON lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turns: Option<FileEntry>,
}

/// A chunk in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkEntry {
    /// The name of its object.
    pub(crate) name: Digest,
    /// The digest of its content.
    pub(crate) digest: Digest,
    /// The size of its content.
    pub(crate) size: u64,
}

/// A store in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreEntry {
    /// Its name.
    pub(crate) name: String,
    /// Its objects, sorted by path.
    pub(crate) files: Vec<FileEntry>,
}

/// An object in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// The path in its store.
    pub(crate) path: String,
    /// The size in bytes.
    pub(crate) size: u64,
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    /// The time of the last write, by the clock of its store.
    pub(crate) written_at: DateTime<Utc>,
    /// The parts, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a file: the index of a chunk, the first byte in it, and the number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece(pub(crate) u32, pub(crate) u64, pub(crate) u64);

impl Header {
    /// Returns the path of the header of the backup `id`.
    pub(crate) fn path(id: &str) -> String {
        format!("{BACKUPS}/{id}.json")
    }

    /// Returns the bytes to store.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let digest = Digest::of(&canonical_json(self));
        canonical_json(&Sealed { digest, header: self, schema: SCHEMA.to_owned() })
    }

    /// Reads a stored header, which messages call `place`.
    ///
    /// # Errors
    /// `BOT-5101` (exit 6) a newer botops wrote it; `BOT-5100` (exit 3) it is damaged.
    pub(crate) fn decode(bytes: &[u8], place: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let damaged = |problem: String| {
            Fault::data("BOT-5100", format!("the header of a backup {problem}"))
                .file(place)
                .hint("use another backup, or make a new one")
        };
        let head: Head = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("cannot be read: {error}")))?;
        if head.schema != SCHEMA {
            let version = head.schema.strip_prefix("botops.backup/").map(str::parse::<u32>);
            return Err(match version {
                Some(Ok(version)) if version > 1 => Fault::policy(
                    "BOT-5101",
                    format!(
                        "a backup has the format `{}`, which is newer than this botops",
                        head.schema
                    ),
                )
                .file(place)
                .hint("install a newer botops"),
                _ => damaged("has an unknown format".to_owned()),
            });
        }
        let sealed: Sealed<serde_json::Value> = serde_json::from_slice(bytes)
            .map_err(|error| damaged(format!("cannot be read: {error}")))?;
        if Digest::of(&canonical_json(&sealed.header)) != sealed.digest {
            return Err(damaged("was altered: its bytes do not match its digest".to_owned()));
        }
        let header: Self = serde_json::from_value(sealed.header)
            .map_err(|error| damaged(format!("cannot be read: {error}")))?;
        // The name of a store becomes the name of a folder in a restore.
        let mut names = BTreeSet::new();
        let is_known = |name: &str| [crate::REGISTRY, crate::EXPERIMENTS].contains(&name);
        if !header.stores.iter().all(|name| is_known(name) && names.insert(name.as_str())) {
            return Err(damaged("names stores that no backup has".to_owned()));
        }
        Ok(header)
    }
}

impl Table {
    /// Returns whether the stores are `names`, and no path is unsafe or stands twice.
    pub(crate) fn is_plain(&self, names: &[String]) -> bool {
        self.stores.iter().map(|store| &store.name).eq(names)
            && self.stores.iter().all(|store| {
                let paths: BTreeSet<&str> = store.files.iter().map(|it| &*it.path).collect();
                // A file cannot be a folder of another one as well.
                let is_folder = |path: &str| {
                    let above = path.match_indices('/').map(|(at, _)| &path[..at]);
                    above.into_iter().any(|folder| paths.contains(folder))
                };
                paths.len() == store.files.len()
                    && paths.iter().all(|path| is_plain(path) && !is_folder(path))
            })
    }
}

/// Returns whether `path` stays in its store and is none that a store keeps for itself.
fn is_plain(path: &str) -> bool {
    !NOT_COPIED.iter().any(|folder| path.starts_with(folder))
        && !path.contains(|it: char| it == '\\' || it.is_control())
        && path.split('/').all(|part| !["", ".", ".."].contains(&part))
}

/// Returns the path of a chunk.
pub(crate) fn chunk_path(name: &Digest) -> String {
    let hex = name.hex();
    format!("{CHUNKS}/{}/{hex}", &hex[..2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_every_altered_byte_is_detected() {
        let digest = Digest::of(b"x");
        let header = Header {
            id: "20261130T070000Z-1f2e3d4c".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            registry: None,
            encrypted: true,
            stores: vec!["registry".to_owned()],
            objects: 3,
            bytes: 400,
            conversations: None,
            damaged: 0,
            table: digest,
            table_chunks: vec![digest],
            chunks: vec![digest],
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes, "x").unwrap(), header);
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            assert!(Header::decode(&altered, "x").is_err(), "byte {at}");
            assert!(Header::decode(&bytes[..at], "x").is_err(), "cut at {at}");
        }
        let newer = String::from_utf8(bytes).unwrap().replace("botops.backup/1", "botops.backup/2");
        let fault = Header::decode(newer.as_bytes(), "x").unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5101", 6));
    }
}
