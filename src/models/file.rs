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

use super::head::malformed;
use crate::{
    digest::{Digest, Hasher, canonical_json},
    findings::{Fault, Result},
};
use serde::{Deserialize, Serialize};

pub(super) const MAGIC: &[u8] = b"\x89BOTOPS\n";
/// The format written here.
const VERSION: u32 = 1;
const SCHEMA: &str = "botops.model/1";
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
    pub(super) fn get(&self, name: &str) -> Result<&'a [u8]> {
        self.0
            .iter()
            .find(|(part, _)| part == name)
            .map(|(_, bytes)| *bytes)
            .ok_or_else(|| malformed(&format!("file has no part `{name}`")))
    }

    /// Iterates over the parts in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a [u8])> {
        self.0.iter().map(|(name, bytes)| (name.as_str(), *bytes))
    }
}

/// Returns the file of `parts`.
pub(super) fn write(parts: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut offset = 0;
    let header = Header {
        schema: SCHEMA.to_owned(),
        parts: parts
            .iter()
            .map(|(name, bytes)| {
                let length = bytes.len() as u64;
                offset += length;
                Part {
                    name: (*name).to_owned(),
                    offset: offset - length,
                    length,
                    digest: Digest::of(bytes),
                }
            })
            .collect(),
    };
    let header = canonical_json(&header);
    let mut out = Vec::with_capacity(MAGIC.len() + 8 + header.len() + offset as usize + DIGEST);
    out.extend_from_slice(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((header.len() as u32).to_le_bytes());
    out.extend(header);
    for (_, bytes) in parts {
        out.extend_from_slice(bytes);
    }
    let digest = Digest::of(&out);
    out.extend_from_slice(digest.as_bytes());
    out
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
    if version > VERSION {
        return Err(Fault::policy(
            "BOT-7004",
            format!("the model file is of format {version}; this botops reads up to {VERSION}"),
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
        || parts(rest),
    );
    let digest = digest.ok_or_else(|| {
        altered("was cut short or altered: its digest is not that of its contents")
    })?;
    if version != VERSION {
        return Err(malformed(&format!("file is of format {version}, which never was")));
    }
    Ok((parts?, digest))
}

/// Reads header and parts, and checks each part's place and digest.
fn parts(rest: &[u8]) -> Result<PartsOf<'_>> {
    let (length, rest) = rest.split_first_chunk().ok_or_else(|| malformed("file has no header"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return Err(malformed("file's header is longer than the file"));
    }
    let (header, area) = rest.split_at(length);
    let header: Header = serde_json::from_slice(header)
        .map_err(|error| malformed("file has a malformed header").caused_by(error))?;
    if header.schema != SCHEMA {
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
                crate::text::display(&part.name, 40)
            )));
        }
        parts.push((part.name, &area[start as usize..end as usize], part.digest));
    }
    if end != area.len() as u64 {
        return Err(malformed("file holds more than its parts"));
    }
    let wrong = parts.iter().find(|(_, bytes, digest)| Digest::of(bytes) != *digest);
    if let Some((name, ..)) = wrong {
        let name = crate::text::display(name, 40);
        return Err(malformed(&format!("file's part `{name}` is not the one its header names")));
    }
    Ok(PartsOf(parts.into_iter().map(|(name, bytes, _)| (name, bytes)).collect()))
}
