//! The record of a download: its source, and the size and digest of each file.

use super::{file_names::POOLING, source::HubSource};
use crate::EncoderFiles;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::Path};

const SCHEMA: &str = "botops.encoder-lock/1";
const NAME: &str = "encoder.lock.json";

/// The record beside the files of one encoder.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lock {
    schema: String,
    /// `hf://owner/name@revision`.
    source: String,
    /// The commit of the revision, if the hub reported it.
    commit: Option<String>,
    files: BTreeMap<String, Locked>,
}

/// One file, as downloaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Locked {
    /// The length in bytes.
    pub(super) size: u64,
    /// The digest.
    pub(super) digest: Digest,
    /// Whether the hub had announced the same digest.
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

    /// Reads the record in `folder`.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) if it is missing or malformed.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let bytes = fs::read(&path)
            .map_err(|error| altered(&path, "has no record of its digests").caused_by(error))?;
        let lock: Self = serde_json::from_slice(&bytes).map_err(|error| {
            altered(&path, "has a malformed record of its digests").caused_by(error)
        })?;
        match lock.schema.as_str() {
            SCHEMA => Ok(lock),
            _ => Err(altered(
                &path,
                "has a record of its digests that this version of botops cannot read",
            )),
        }
    }

    /// Writes the record to `folder`.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a record serializes to JSON");
        bytes.push(b'\n');
        botops_files::replace(&folder.join(NAME), &bytes).map_err(io::Error::other)
    }

    /// Compares `files`, read from `folder`, with the record.
    ///
    /// # Errors
    /// `BOT-7029` (exit 3) if a file differs from the downloaded one.
    pub(super) fn check(&self, files: &EncoderFiles, folder: &Path) -> Result<()> {
        let contents = [
            ("config.json", Some(&files.config)),
            ("tokenizer.json", Some(&files.tokenizer)),
            ("model.safetensors", Some(&files.weights)),
            (POOLING, files.pooling.as_ref()),
        ];
        for (name, bytes) in contents {
            let recorded = self.files.get(name).map(|locked| (locked.size, locked.digest));
            if recorded != bytes.map(|bytes| (bytes.len() as u64, Digest::of(bytes))) {
                return Err(altered(&folder.join(name), "differs from the downloaded one"));
            }
        }
        Ok(())
    }
}

fn altered(path: &Path, problem: &str) -> Fault {
    let folder = path.parent().unwrap_or(path);
    Fault::data("BOT-7029", format!("the encoder in the cache {problem}"))
        .file(path)
        .hint(format!("remove `{}` to download it again", folder.display()))
}
