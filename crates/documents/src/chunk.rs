//! A chunk: a passage of one section, small enough to be found and quoted.

use botops_digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The sizes of chunks, in tokens: words and numbers, as the lexical index counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkSpec {
    /// The most tokens of a chunk. A longer paragraph is cut between sentences.
    pub tokens: u32,
    /// The tokens that a chunk repeats of the end of the one before, in whole sentences, where a section was cut.
    pub overlap: u32,
}

/// A passage of one section of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its identity.
    pub id: ChunkId,
    /// The headings above it, from the highest; without the title of the document.
    pub section: Vec<String>,
    /// The text as it stands in the document, with a line feed between blocks.
    pub text: String,
    /// The page on which it begins, from 1.
    pub page: Option<u32>,
}

/// The identity of a chunk: 16 hex digits of the SHA-256 of the document's name, the section, the text, and how many chunks
/// before it have the same three. An edit elsewhere in the document does not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(u64);

impl ChunkId {
    /// Returns the identity of the `n`-th chunk, from 0, of the document `document` with this section and text.
    #[must_use]
    pub fn of(document: &str, section: &[String], text: &str, n: u32) -> Self {
        let digest = Digest::of_json(&(document, section, text, n));
        let first = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
        Self(u64::from_be_bytes(*first))
    }

    /// Returns the number that the 16 hex digits write.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// Returns the identity with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::str::FromStr for ChunkId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for ChunkId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
