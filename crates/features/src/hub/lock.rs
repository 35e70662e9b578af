//! What was noted of a download: where it came from, and the digest of each file.

use super::{HubSource, POOLING};
use crate::EncoderFiles;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::Path};

const SCHEMA: &str = "botops.encoder-lock/1";
const NAME: &str = "encoder.lock.json";

/// The note beside the files of one encoder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    schema: String,
    /// `hf://owner/name@revision`.
    source: String,
    /// The commit that the revision stood for, where the hub said it.
    commit: Option<String>,
    files: BTreeMap<String, Locked>,
}

/// One file, as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locked {
    /// Its length in bytes.
    pub(super) size: u64,
    /// Its digest.
    pub(super) digest: Digest,
    /// Whether the hub had announced that very digest.
    pub(super) announced: bool,
}

impl Lock {
    pub(super) fn new(
        source: &HubSource,
        commit: Option<String>,
        files: BTreeMap<String, Locked>,
    ) -> Self {
        Self { schema: SCHEMA.to_owned(), source: source.to_string(), commit, files }
    }

    /// Reads the note of `folder`.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) when it is missing or malformed.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let bytes = fs::read(&path)
            .map_err(|error| altered(&path, "has no note of its digests").caused_by(error))?;
        let lock: Self = serde_json::from_slice(&bytes).map_err(|error| {
            altered(&path, "has a malformed note of its digests").caused_by(error)
        })?;
        match lock.schema.as_str() {
            SCHEMA => Ok(lock),
            _ => Err(altered(&path, "has a note of its digests that this botops cannot read")),
        }
    }

    /// Writes it into `folder`.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("the note is valid JSON");
        bytes.push(b'\n');
        let path = folder.join(NAME);
        fs::write(&path, bytes)?;
        fs::File::open(path)?.sync_all()
    }

    /// Compares `files`, read from `folder`, with the note.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) when one is not the file that was downloaded.
    pub(super) fn check(&self, files: &EncoderFiles, folder: &Path) -> Result<()> {
        let contents = [
            ("config.json", Some(&files.config)),
            ("tokenizer.json", Some(&files.tokenizer)),
            ("model.safetensors", Some(&files.weights)),
            (POOLING, files.pooling.as_ref()),
        ];
        for (name, bytes) in contents {
            let noted = self.files.get(name).map(|locked| (locked.size, locked.digest));
            if noted != bytes.map(|bytes| (bytes.len() as u64, Digest::of(bytes))) {
                return Err(altered(&folder.join(name), "is no longer as it was downloaded"));
            }
        }
        Ok(())
    }
}

fn altered(path: &Path, what: &str) -> Fault {
    let folder = path.parent().unwrap_or(path);
    Fault::data("BOT-7029", format!("the encoder of the cache {what}"))
        .file(path)
        .hint(format!("remove `{}`: it is downloaded again", folder.display()))
}
