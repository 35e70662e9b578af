//! One loaded index, and the passages it returns.

use super::{
    analysis::Group, chunk_table::ChunkTable, document_entry::DocumentEntry, lexicon::Lexicon,
    spec::IndexSpec, vectors::Vectors,
};
use crate::Abstention;
use botops_digest::Digest;
use botops_documents::ChunkId;
use botops_features::Encoder;
use botops_findings::{Fault, Result};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// One knowledge base, ready for questions: a loaded `.knowledge` file.
///
/// - documents are sorted by name, and chunks are in the order of documents and of their text
/// - vectors exist exactly if there is an encoder, one for each chunk
pub struct KnowledgeIndex {
    pub(crate) name: String,
    pub(crate) spec: IndexSpec,
    pub(crate) documents: Vec<DocumentEntry>,
    pub(crate) chunks: ChunkTable,
    pub(crate) lexicon: Lexicon,
    pub(crate) vectors: Option<Vectors>,
    pub(crate) encoder: Option<Arc<Encoder>>,
    /// The digest of the file, once it is known.
    pub(crate) digest: OnceLock<Digest>,
    /// Distinguishes the index from others of the process.
    pub(crate) identity: u64,
}

/// A passage of a document, as an index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage<'a> {
    /// The identity of the chunk.
    pub id: ChunkId,
    /// The name of the document.
    pub document: &'a str,
    /// The title of the document.
    pub title: &'a str,
    /// The headings above the passage, joined by ` > `; empty at the top.
    pub section: &'a str,
    /// The address of the document.
    pub url: Option<&'a str>,
    /// The page on which the passage begins, from 1.
    pub page: Option<u32>,
    /// The language of the document.
    pub language: Option<&'a str>,
    /// The text.
    pub text: &'a str,
}

/// Returns a number that no other index of the process has.
pub(crate) fn new_identity() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl KnowledgeIndex {
    /// Returns the name of the knowledge base.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the settings.
    #[must_use]
    pub fn spec(&self) -> &IndexSpec {
        &self.spec
    }

    /// Sets the decision not to answer, which calibration chose. The digest changes with it.
    pub fn set_abstention(&mut self, abstention: Option<Abstention>) {
        self.spec.abstention = abstention;
        self.digest = OnceLock::new();
    }

    /// Returns the number of chunks.
    #[must_use]
    pub fn n_chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns the number of documents.
    #[must_use]
    pub fn n_documents(&self) -> usize {
        self.documents.len()
    }

    /// Returns the documents, sorted by name.
    #[must_use]
    pub fn documents(&self) -> &[DocumentEntry] {
        &self.documents
    }

    /// Returns the languages of the documents, sorted, each once.
    #[must_use]
    pub fn languages(&self) -> Vec<&str> {
        let languages = self.documents.iter().filter_map(|document| document.language.as_deref());
        let languages: std::collections::BTreeSet<&str> = languages.collect();
        languages.into_iter().collect()
    }

    /// Returns whether a document has access tags.
    pub(crate) fn has_access_tags(&self) -> bool {
        self.documents.iter().any(|document| !document.access.is_empty())
    }

    /// Returns the encoder of the vectors.
    #[must_use]
    pub fn encoder(&self) -> Option<&Arc<Encoder>> {
        self.encoder.as_ref()
    }

    /// Replaces the encoder by an equal one, so that several indexes share its memory.
    ///
    /// # Errors
    /// `BOT-7204` (exit 3) if the index has no encoder, or one with another digest.
    pub fn adopt_encoder(&mut self, encoder: Arc<Encoder>) -> Result<()> {
        let Some(mine) = &self.encoder else {
            return Err(Fault::data(
                "BOT-7204",
                format!("the knowledge `{}` has no vectors, and no use for an encoder", self.name),
            )
            .hint("build it again with `encoder:` in its settings"));
        };
        if mine.digest() != encoder.digest() {
            return Err(Fault::data(
                "BOT-7204",
                format!(
                    "the encoder {} ({} dimensions) does not fit the knowledge `{}`, which was built with {} ({} dimensions)",
                    encoder.digest().short(),
                    encoder.dim(),
                    self.name,
                    mine.digest().short(),
                    mine.dim()
                ),
            )
            .hint("use the encoder of the file, or build the knowledge again with this one"));
        }
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Returns the passage of chunk `chunk`.
    ///
    /// # Panics
    /// If `chunk` is not below [`Self::n_chunks`].
    #[must_use]
    pub fn passage(&self, chunk: u32) -> Passage<'_> {
        let at = chunk as usize;
        let document = &self.documents[self.chunks.document[at] as usize];
        Passage {
            id: self.chunks.ids[at],
            document: &document.id,
            title: &document.title,
            section: self.chunks.section(chunk),
            url: document.url.as_deref(),
            page: Some(self.chunks.page[at]).filter(|page| *page > 0),
            language: document.language.as_deref(),
            text: self.chunks.text(chunk),
        }
    }

    /// Returns the chunks of document `document`, a place in [`Self::documents`].
    ///
    /// # Panics
    /// If `document` is not below [`Self::n_documents`].
    #[must_use]
    pub fn chunks_of(&self, document: usize) -> std::ops::Range<u32> {
        let of = |document: usize| {
            self.chunks.document.partition_point(|at| (*at as usize) < document) as u32
        };
        assert!(document < self.documents.len(), "the document exists");
        of(document)..of(document + 1)
    }
}

/// Returns the group whose rules stem the words of a document in `language`.
pub(crate) fn group_of(language: Option<&str>, spec: &IndexSpec) -> Group {
    match (language, spec.languages.as_slice()) {
        (None, [only]) => Group::of(Some(only)),
        (language, _) => Group::of(language),
    }
}

impl std::fmt::Debug for KnowledgeIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KnowledgeIndex")
            .field("name", &self.name)
            .field("n_documents", &self.n_documents())
            .field("n_chunks", &self.n_chunks())
            .finish_non_exhaustive()
    }
}
