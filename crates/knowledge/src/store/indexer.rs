//! The making of an index from the files of a version.

use botops_digest::Digest;
use botops_documents::{ChunkId, ChunkSpec, Document};
use botops_features::Encoder;
use botops_findings::Result;
use bytes::Bytes;
use std::sync::Arc;

/// Makes and reads the index of a version. A store has one; tests count its work.
pub trait Indexer: Send + Sync {
    /// Makes an index. The same request gives the same bytes.
    ///
    /// # Errors
    /// Those of the index, such as too many passages.
    fn build(&self, request: &IndexRequest<'_>) -> Result<Bytes>;

    /// Returns the documents of an index with their passages.
    ///
    /// # Errors
    /// The bytes are not an index, or one of a newer format.
    fn outline(&self, index: &[u8]) -> Result<Vec<OutlinedDocument>>;
}

/// The files that an index is made of.
pub struct IndexRequest<'a> {
    /// The name of the knowledge base.
    pub name: &'a str,
    /// The files, by name.
    pub files: &'a [IndexFile],
    /// The sizes of passages.
    pub chunks: ChunkSpec,
    /// The encoder.
    pub encoder: RequestedEncoder,
    /// Where the encoder was read from.
    pub encoder_source: Option<&'a str>,
    /// The index of the version before.
    pub previous: Option<&'a [u8]>,
}

/// The encoder that an index is made with.
#[derive(Clone)]
pub enum RequestedEncoder {
    /// None.
    None,
    /// The one in the index before.
    OfPrevious,
    /// This one.
    Given(Arc<Encoder>),
}

/// A file of an index.
pub enum IndexFile {
    /// A file that was read.
    Read {
        /// The digest of the file with its metadata.
        source: Digest,
        /// Its documents.
        documents: Vec<Document>,
    },
    /// A file whose passages are those in the index before.
    Kept {
        /// The digest of the file with its metadata.
        source: Digest,
    },
}

/// A document of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlinedDocument {
    /// Its name.
    pub id: String,
    /// The digest of its file with the metadata.
    pub source: Digest,
    /// Its passages, in the order of reading.
    pub passages: Vec<OutlinedPassage>,
}

/// A passage of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlinedPassage {
    /// Its identity.
    pub id: ChunkId,
    /// The headings above it, joined by ` > `.
    pub section: String,
    /// Its text.
    pub text: String,
}
