//! Small documents and indexes for tests.

use super::{IndexSpec, IndexedDocument, KnowledgeIndex};
use botops_digest::Digest;
use botops_documents::{Block, BlockKind, ChunkSpec, Document};
use std::collections::{BTreeMap, BTreeSet};

/// Makes an English document of one paragraph.
pub(crate) fn document(id: &str, text: &str) -> Document {
    in_language(id, "en", text)
}

pub(crate) fn in_language(id: &str, language: &str, text: &str) -> Document {
    Document {
        id: id.to_owned(),
        title: String::new(),
        url: None,
        language: Some(language.to_owned()),
        updated_at: None,
        access: BTreeSet::new(),
        metadata: BTreeMap::new(),
        blocks: vec![Block { kind: BlockKind::Paragraph, text: text.to_owned(), page: None }],
    }
}

pub(crate) fn spec() -> IndexSpec {
    IndexSpec { chunk: ChunkSpec { tokens: 16, overlap: 4 }, ..IndexSpec::default() }
}

/// Pairs each document with the digest of its contents.
pub(crate) fn indexed(documents: &[Document]) -> Vec<IndexedDocument<'_>> {
    let indexed = |document| IndexedDocument { document, source: Digest::of_json(document) };
    documents.iter().map(indexed).collect()
}

pub(crate) fn build(documents: &[Document]) -> KnowledgeIndex {
    build_from(documents, None)
}

pub(crate) fn build_from(
    documents: &[Document],
    previous: Option<&KnowledgeIndex>,
) -> KnowledgeIndex {
    KnowledgeIndex::build("shop", &indexed(documents), &spec(), None, previous)
        .expect("the documents are sound")
}
