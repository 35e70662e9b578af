//! The container of a model file: named parts, each with a digest, and a digest of the whole.
//!
//! | bytes | contents |
//! |---|---|
//! | 8 | `0x89 B O T O P S 0x0A`: not valid text, and altered by tools that convert text |
//! | 4 | format version, little-endian |
//! | 4 | length of the header, little-endian |
//! | .. | the header: JSON with the schema, and the name, offset, length and digest of each part |
//! | .. | the parts, one after the other; offsets are relative to the first |
//! | 32 | SHA-256 of all preceding bytes |

use crate::heads::head::{Safetensors, malformed};
use botops_digest::{Digest, Hasher, canonical_json};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

/// The first bytes of a model file.
pub(crate) const MAGIC: &[u8] = b"\x89BOTOPS\n";
/// The format versions. They share one layout, but a reader of an older version does not know all parts of a newer
/// file, or all keys in them. Version 2 added encoders, version 3 confidence, version 4 taggers.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=4;
const SCHEMA: &str = "botops.model/";
/// Length of a digest, in bytes.
const DIGEST: usize = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    schema: String,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    offset: u64,
    length: u64,
    digest: Digest,
}

/// The parts of a checked file.
pub(crate) struct FileParts<'a>(Vec<(String, &'a [u8])>);

impl<'a> FileParts<'a> {
    /// Returns the part `name`, if it exists.
    pub(crate) fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(part, _)| part == name).map(|(_, bytes)| *bytes)
    }

    /// Returns the part `name`.
    ///
    /// # Errors
    /// `BOT-7003` (exit 3) if it does not exist.
    pub(crate) fn get(&self, name: &str) -> Result<&'a [u8]> {
        self.find(name).ok_or_else(|| malformed(&format!("file has no part `{name}`")))
    }

    /// Iterates over the parts in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }
}

/// Content of a part, whose length is known before it is written.
pub(crate) trait Content {
    /// Returns the length in bytes.
    fn n_bytes(&self) -> usize;
    /// Appends the bytes to `out`.
    fn append_to(&self, out: &mut Vec<u8>);
}

impl Content for Vec<u8> {
    fn n_bytes(&self) -> usize {
        self.len()
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// Content of a part: bytes, or tensors, which are written without a copy.
#[derive(Debug)]
pub(crate) enum PartContent {
    Bytes(Vec<u8>),
    Tensors(Safetensors),
}

impl Content for PartContent {
    fn n_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Tensors(tensors) => tensors.n_bytes(),
        }
    }

    fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Tensors(tensors) => tensors.append_to(out),
        }
    }
}

/// Returns the file of `parts`, each with its name; `version` is the oldest format version whose readers know all of
/// their contents.
///
/// Every part is written once, directly to its place.
pub(crate) fn write<C: Content>(version: u32, parts: &[(&str, C)]) -> Vec<u8> {
    debug_assert!(VERSIONS.contains(&version), "the format version exists");
    // All digests have the same length, so the length of the header is known before the digests are.
    let mut digests = vec![Digest::of(b""); parts.len()];
    let length = header(version, parts, &digests).len();
    let content: usize = parts.iter().map(|(_, content)| content.n_bytes()).sum();
    let mut out = Vec::with_capacity(MAGIC.len() + 8 + length + content + DIGEST);
    out.extend_from_slice(MAGIC);
    out.extend(version.to_le_bytes());
    out.extend((length as u32).to_le_bytes());
    let start = out.len();
    out.resize(start + length, 0);
    for ((_, content), digest) in parts.iter().zip(&mut digests) {
        let start = out.len();
        content.append_to(&mut out);
        assert_eq!(out.len() - start, content.n_bytes(), "a part has its declared length");
        *digest = Digest::of(&out[start..]);
    }
    out[start..start + length].copy_from_slice(&header(version, parts, &digests));
    let digest = Digest::of(&out);
    out.extend_from_slice(digest.as_bytes());
    out
}

/// Returns the header as JSON.
fn header<C: Content>(version: u32, parts: &[(&str, C)], digests: &[Digest]) -> Vec<u8> {
    let mut offset = 0;
    let parts = parts.iter().zip(digests).map(|((name, content), digest)| {
        let length = content.n_bytes() as u64;
        offset += length;
        Part { name: (*name).to_owned(), offset: offset - length, length, digest: *digest }
    });
    canonical_json(&Header { schema: format!("{SCHEMA}{version}"), parts: parts.collect() })
}

/// Checks `bytes`, and returns the parts and the digest of the whole file.
///
/// # Errors
/// Those of [`crate::IntentModel::from_bytes`].
pub(crate) fn read(bytes: &[u8]) -> Result<(FileParts<'_>, Digest)> {
    let altered = |problem: &str| {
        Fault::data("BOT-7002", format!("the model file {problem}"))
            .hint("copy it again, pull it again from the registry, or train the model again")
    };
    if bytes.is_empty() {
        return Err(Fault::data("BOT-7001", "the file is empty, not a model")
            .hint("train one: `botops train train.csv --out model.botops`"));
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(match MAGIC.starts_with(bytes) {
            true => altered("is cut short"),
            false => Fault::data("BOT-7001", "the file is not a model")
                .hint("train one: `botops train train.csv --out model.botops`"),
        });
    };
    let (version, rest) = rest.split_first_chunk().ok_or_else(|| altered("is cut short"))?;
    let version = u32::from_le_bytes(*version);
    if version > *VERSIONS.end() {
        return Err(Fault::policy(
            "BOT-7004",
            format!(
                "the model file has format {version}, and this botops reads formats up to {}",
                VERSIONS.end()
            ),
        )
        .hint("upgrade botops, or train the model with this version"));
    }
    let body = bytes.len().saturating_sub(DIGEST);
    let (content, stored_digest) = bytes.split_at(body);
    let rest = &rest[..rest.len().saturating_sub(DIGEST)];
    // Hashing is most of the work; the two digests are computed in parallel, in half the time.
    let (digest, parts) = rayon::join(
        || {
            // One pass computes both the digest stored in the file and the digest of the file.
            let mut hasher = Hasher::default();
            hasher.update(content);
            let matches = hasher.clone().finish().as_bytes() == stored_digest;
            hasher.update(stored_digest);
            matches.then(|| hasher.finish())
        },
        || read_parts(rest, version),
    );
    let digest = digest.ok_or_else(|| {
        altered("was cut short or altered: its digest does not match its contents")
    })?;
    if !VERSIONS.contains(&version) {
        return Err(malformed(&format!("file has format {version}, which does not exist")));
    }
    Ok((parts?, digest))
}

/// Reads header and parts, and checks the position and the digest of each part.
fn read_parts(rest: &[u8], version: u32) -> Result<FileParts<'_>> {
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("file has no header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return Err(malformed("file has a header that is longer than the file"));
    }
    let (header, area) = rest.split_at(length);
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| malformed("file has a malformed header").caused_by(error))?;
    if header.schema != format!("{SCHEMA}{version}") {
        return Err(malformed("file has a schema that does not match its format"));
    }
    let mut parts = Vec::with_capacity(header.parts.len());
    let mut end = 0_u64;
    for part in header.parts {
        let start = end;
        end = start.saturating_add(part.length);
        if part.offset != start || end > area.len() as u64 {
            return Err(malformed(&format!(
                "file has a part `{}` outside the file, or not directly after the previous part",
                botops_text::display(&part.name, 40)
            )));
        }
        parts.push((part.name, &area[start as usize..end as usize], part.digest));
    }
    if end != area.len() as u64 {
        return Err(malformed("file has bytes that belong to no part"));
    }
    let altered = parts.iter().find(|(_, bytes, digest)| Digest::of(bytes) != *digest);
    if let Some((name, ..)) = altered {
        let name = botops_text::display(name, 40);
        return Err(malformed(&format!(
            "file has a part `{name}` whose digest does not match its header"
        )));
    }
    Ok(FileParts(parts.into_iter().map(|(name, bytes, _)| (name, bytes)).collect()))
}
