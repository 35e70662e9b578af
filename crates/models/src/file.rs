//! The container of a model file: named parts, each with a digest, and a digest of the whole.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `0x89 B O T O P S 0x0A`: not text, and damaged by what damages text |
//! | 4 | format version, little-endian |
//! | 4 | length of the header, little-endian |
//! | .. | the header: JSON with schema, and name, offset, length and digest of each part |
//! | .. | the parts, one after the other, offsets counted from the first |
//! | 32 | SHA-256 of all bytes before |

pub(crate) mod parts;

use crate::heads::head::{Safetensors, malformed};
use botops_digest::{Digest, Hasher, canonical_json};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};

pub(super) const MAGIC: &[u8] = b"\x89BOTOPS\n";
/// The formats there are. Their layout is the same: a reader of an older version would not know all parts of a file of
/// a newer one, or all keys in them. Version 2 came with encoders, version 3 with confidence.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;
const SCHEMA: &str = "botops.model/";
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

/// The parts of a file that was checked.
pub(super) struct PartsOf<'a>(Vec<(String, &'a [u8])>);

impl<'a> PartsOf<'a> {
    /// Returns part `name`, where there is one.
    pub(super) fn find(&self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(part, _)| part == name).map(|(_, bytes)| *bytes)
    }

    pub(super) fn get(&self, name: &str) -> Result<&'a [u8]> {
        self.find(name).ok_or_else(|| malformed(&format!("file has no part `{name}`")))
    }

    /// Iterates over the parts in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }
}

/// What stands in a part.
pub(super) trait Content {
    /// Returns its length in bytes.
    fn n_bytes(&self) -> usize;
    /// Appends its bytes to `out`.
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

/// Bytes, or tensors of which no copy is made.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    Tensors(Safetensors),
}

impl Content for Piece {
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

/// Returns the file of `parts`, in the oldest `version` whose readers know all that is in them; the parts are written
/// once, into their place.
pub(super) fn write<C: Content>(version: u32, parts: &[(&str, C)]) -> Vec<u8> {
    debug_assert!(VERSIONS.contains(&version), "the format is one there is");
    // A digest has one length, so that the header is as long before they are known as it is afterwards.
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
        assert_eq!(out.len() - start, content.n_bytes(), "a part is as long as it says");
        *digest = Digest::of(&out[start..]);
    }
    out[start..start + length].copy_from_slice(&header(version, parts, &digests));
    let digest = Digest::of(&out);
    out.extend_from_slice(digest.as_bytes());
    out
}

fn header<C: Content>(version: u32, parts: &[(&str, C)], digests: &[Digest]) -> Vec<u8> {
    let mut offset = 0;
    let parts = parts.iter().zip(digests).map(|((name, content), digest)| {
        let length = content.n_bytes() as u64;
        offset += length;
        Part { name: (*name).to_owned(), offset: offset - length, length, digest: *digest }
    });
    canonical_json(&Header { schema: format!("{SCHEMA}{version}"), parts: parts.collect() })
}

/// Checks `bytes` and returns the parts in it, and the digest of all of it.
///
/// # Errors
/// As [`super::IntentModel::from_bytes`].
pub(super) fn read(bytes: &[u8]) -> Result<(PartsOf<'_>, Digest)> {
    let altered = |what: &str| {
        Fault::data("BOT-7002", format!("the model file {what}"))
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
                "the model file is of format {version}; this botops reads up to {}",
                VERSIONS.end()
            ),
        )
        .hint("upgrade botops, or train the model with this version"));
    }
    let body = bytes.len().saturating_sub(DIGEST);
    let (content, wanted) = bytes.split_at(body);
    let rest = &rest[..rest.len().saturating_sub(DIGEST)];
    // Hashing is most of the work; side by side, it takes half the time.
    let (digest, parts) = rayon::join(
        || {
            // One pass gives the digest inside the file and that of the file.
            let mut hasher = Hasher::default();
            hasher.update(content);
            let sound = hasher.clone().finish().as_bytes() == wanted;
            hasher.update(wanted);
            sound.then(|| hasher.finish())
        },
        || parts(rest, version),
    );
    let digest = digest.ok_or_else(|| {
        altered("was cut short or altered: its digest is not that of its contents")
    })?;
    if !VERSIONS.contains(&version) {
        return Err(malformed(&format!("file is of format {version}, which never was")));
    }
    Ok((parts?, digest))
}

/// Reads header and parts, and checks each part's place and digest.
fn parts(rest: &[u8], version: u32) -> Result<PartsOf<'_>> {
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("file has no header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return Err(malformed("file's header is longer than the file"));
    }
    let (header, area) = rest.split_at(length);
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| malformed("file has a malformed header").caused_by(error))?;
    if header.schema != format!("{SCHEMA}{version}") {
        return Err(malformed("file names another schema than its format"));
    }
    let mut parts = Vec::with_capacity(header.parts.len());
    let mut end = 0_u64;
    for part in header.parts {
        let start = end;
        end = start.saturating_add(part.length);
        if part.offset != start || end > area.len() as u64 {
            return Err(malformed(&format!(
                "file's part `{}` lies outside it or not after the one before",
                botops_text::display(&part.name, 40)
            )));
        }
        parts.push((part.name, &area[start as usize..end as usize], part.digest));
    }
    if end != area.len() as u64 {
        return Err(malformed("file holds more than its parts"));
    }
    let wrong = parts.iter().find(|(_, bytes, digest)| Digest::of(bytes) != *digest);
    if let Some((name, ..)) = wrong {
        let name = botops_text::display(name, 40);
        return Err(malformed(&format!("file's part `{name}` is not the one its header names")));
    }
    Ok(PartsOf(parts.into_iter().map(|(name, bytes, _)| (name, bytes)).collect()))
}
