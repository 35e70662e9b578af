//! The indexer of knowledge bases: [`KnowledgeIndex`].

use super::{
    indexer::{
        IndexFile, IndexRequest, Indexer, OutlinedDocument, OutlinedPassage, RequestedEncoder,
    },
    log::KnowledgeStore,
};
use crate::{IndexSpec, IndexedDocument, KnowledgeIndex};
use botops_digest::Digest;
use botops_documents::Document;
use botops_findings::{Fault, Result};
use botops_store::Store;
use bytes::Bytes;
use std::{collections::HashMap, sync::Arc};

/// Makes indexes of words, and of vectors if there is an encoder.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnowledgeIndexer;

impl KnowledgeStore {
    /// Opens the knowledge bases of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self::indexed_by(store, Arc::new(KnowledgeIndexer))
    }
}

impl Indexer for KnowledgeIndexer {
    fn build(&self, request: &IndexRequest<'_>) -> Result<Bytes> {
        let previous = request.previous.map(KnowledgeIndex::from_bytes).transpose()?;
        let mut by_source: HashMap<Digest, Vec<Document>> = HashMap::new();
        for entry in previous.iter().flat_map(|previous| previous.documents()) {
            by_source.entry(entry.source).or_default().push(entry.without_text());
        }
        let mut documents: Vec<(Document, Digest)> = Vec::new();
        for file in request.files {
            match file {
                IndexFile::Read { source, documents: read } => {
                    documents.extend(read.iter().map(|document| (document.clone(), *source)));
                }
                IndexFile::Kept { source } => {
                    let kept = by_source.remove(source).ok_or_else(|| {
                        let message =
                            "the index of the version before lacks a file that did not change";
                        Fault::internal("BOT-9001", message).hint("report it as a defect of botops")
                    })?;
                    documents.extend(kept.into_iter().map(|document| (document, *source)));
                }
            }
        }
        let encoder = match &request.encoder {
            RequestedEncoder::None => None,
            RequestedEncoder::Given(encoder) => Some(Arc::clone(encoder)),
            RequestedEncoder::OfPrevious => {
                previous.as_ref().and_then(|previous| previous.encoder().cloned())
            }
        };
        let mut spec = IndexSpec { chunk: request.chunks, ..previous_spec(previous.as_ref()) };
        if encoder.is_none() {
            spec.encoder = None;
        }
        let indexed: Vec<IndexedDocument<'_>> = documents
            .iter()
            .map(|(document, source)| IndexedDocument { document, source: *source })
            .collect();
        let index =
            KnowledgeIndex::build(request.name, &indexed, &spec, encoder, previous.as_ref())?;
        Ok(index.to_bytes().into())
    }

    fn outline(&self, index: &[u8]) -> Result<Vec<OutlinedDocument>> {
        let index = KnowledgeIndex::from_bytes(index)?;
        let documents = index.documents().iter().enumerate().map(|(at, entry)| {
            let passages = index.chunks_of(at).map(|chunk| {
                let passage = index.passage(chunk);
                OutlinedPassage {
                    id: passage.id,
                    section: passage.section.to_owned(),
                    text: passage.text.to_owned(),
                }
            });
            OutlinedDocument {
                id: entry.id.clone(),
                source: entry.source,
                passages: passages.collect(),
            }
        });
        Ok(documents.collect())
    }
}

/// Returns the settings of the version before, without its encoder and its decision not to answer, which were fitted on other
/// documents.
fn previous_spec(previous: Option<&KnowledgeIndex>) -> IndexSpec {
    let spec = previous.map(|previous| previous.spec().clone()).unwrap_or_default();
    IndexSpec { abstention: None, ..spec }
}
