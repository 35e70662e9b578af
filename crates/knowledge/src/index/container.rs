//! The container of a `.knowledge` file: a header, named parts, and a digest of the whole.
//!
//! | bytes | contents |
//! |---|---|
//! | 8 | `0x89 B O T K N W 0x0A`: not valid text, and altered by tools that convert text |
//! | 4 | format version, little-endian |
//! | 4 | length of the header, little-endian |
//! | .. | the header: JSON with the schema, the settings, and the name and length of each part |
//! | .. | the parts, one after the other |
//! | 32 | SHA-256 of all preceding bytes |

use super::spec::IndexSpec;
use botops_digest::{Digest, Hasher, canonical_json};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8] = b"\x89BOTKNW\n";
const VERSION: u32 = 1;
const SCHEMA: &str = "botops.knowledge/1";
/// Length of a digest, in bytes.
const DIGEST: usize = 32;

/// The header of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) spec: IndexSpec,
    pub(crate) n_documents: u64,
    pub(crate) n_chunks: u64,
    /// The dimensions of the vectors and the digest of their encoder.
    pub(crate) encoder: Option<EncoderKey>,
    pub(crate) parts: Vec<Part>,
}

/// The encoder of the vectors of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EncoderKey {
    pub(crate) dim: u64,
    pub(crate) digest: Digest,
}

/// One part of a file. It begins where the part before ends.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) length: u64,
}

impl Header {
    /// Returns a header with no parts yet.
    pub(crate) fn new(name: &str, spec: &IndexSpec, n_documents: usize, n_chunks: usize) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            spec: spec.clone(),
            n_documents: n_documents as u64,
            n_chunks: n_chunks as u64,
            encoder: None,
            parts: Vec::new(),
        }
    }
}

/// Returns the file of `parts`, and its digest.
pub(crate) fn write(mut header: Header, parts: &[(&str, Vec<u8>)]) -> (Vec<u8>, Digest) {
    header.parts = parts
        .iter()
        .map(|(name, bytes)| Part { name: (*name).to_owned(), length: bytes.len() as u64 })
        .collect();
    let json = canonical_json(&header);
    let content: usize = parts.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut out = Vec::with_capacity(MAGIC.len() + 8 + json.len() + content + DIGEST);
    out.extend_from_slice(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((json.len() as u32).to_le_bytes());
    out.extend_from_slice(&json);
    parts.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
    let mut hasher = Hasher::default();
    hasher.update(&out);
    let digest = hasher.clone().finish();
    hasher.update(digest.as_bytes());
    out.extend_from_slice(digest.as_bytes());
    (out, hasher.finish())
}

/// The parts of a checked file.
pub(crate) struct FileParts<'a> {
    pub(crate) header: Header,
    pub(crate) digest: Digest,
    parts: Vec<(String, &'a [u8])>,
}

impl<'a> FileParts<'a> {
    /// Returns the part `name`.
    pub(crate) fn get(&self, name: &str) -> Result<&'a [u8]> {
        let part = self.parts.iter().find(|(part, _)| part == name);
        part.map(|(_, bytes)| *bytes).ok_or_else(|| malformed(&format!("has no part `{name}`")))
    }
}

/// Makes the fault of a file whose digest matches and whose contents do not.
pub(crate) fn malformed(problem: &str) -> Fault {
    Fault::data("BOT-7202", format!("the knowledge file {problem}"))
        .hint("build it again from its documents: `botops knowledge import DIR --into NAME`")
}

/// Checks `bytes` and returns the parts.
///
/// # Errors
/// Those of [`super::KnowledgeIndex::from_bytes`].
pub(crate) fn read(bytes: &[u8]) -> Result<FileParts<'_>> {
    let other = |problem: &str| {
        Fault::data("BOT-7200", format!("the file is {problem}"))
            .hint("import the documents: `botops knowledge import DIR --into NAME`")
    };
    let altered = |problem: &str| {
        Fault::data("BOT-7201", format!("the knowledge file {problem}"))
            .hint("copy it again, or import its documents again: `botops knowledge import DIR --into NAME`")
    };
    if bytes.is_empty() {
        return Err(other("empty, not a knowledge file"));
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(match MAGIC.starts_with(bytes) {
            true => altered("is cut short"),
            false => other("not a knowledge file"),
        });
    };
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| altered("is cut short"))?;
    let version = u32::from_le_bytes(*version);
    if version > VERSION {
        return Err(Fault::policy(
            "BOT-7203",
            format!("the knowledge file has format {version}, and this botops reads formats up to {VERSION}"),
        )
        .hint("upgrade botops, or import the documents with this version: `botops knowledge import DIR --into NAME`"));
    }
    let (content, stored) = bytes.split_at(bytes.len().saturating_sub(DIGEST));
    let mut hasher = Hasher::default();
    hasher.update(content);
    if hasher.clone().finish().as_bytes() != stored {
        return Err(altered("was cut short or altered: its digest does not match its contents"));
    }
    hasher.update(stored);
    if version != VERSION {
        return Err(malformed(&format!("has format {version}, which does not exist")));
    }
    let rest = &rest[..rest.len().saturating_sub(DIGEST)];
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("has no header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let (json, mut area) = rest
        .split_at_checked(length)
        .ok_or_else(|| malformed("has a header that is longer than the file"))?;
    let header: Header = serde_json::from_slice(json)
        .map_err(|error| malformed("has a malformed header").caused_by(error))?;
    if header.schema != SCHEMA {
        return Err(malformed("has a schema that does not match its format"));
    }
    let mut parts = Vec::with_capacity(header.parts.len());
    for part in &header.parts {
        let length = usize::try_from(part.length).ok();
        let (bytes, after) = length
            .and_then(|length| area.split_at_checked(length))
            .ok_or_else(|| malformed("has a part that is longer than the file"))?;
        parts.push((part.name.clone(), bytes));
        area = after;
    }
    if !area.is_empty() {
        return Err(malformed("has bytes that belong to no part"));
    }
    Ok(FileParts { header, digest: hasher.finish(), parts })
}
