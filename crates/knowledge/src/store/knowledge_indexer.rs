//! The indexer of every store: a version has a [`KnowledgeIndex`].

use super::indexer::{
    IndexFile, IndexRequest, Indexer, OutlinedDocument, OutlinedPassage, RequestedEncoder,
};
use crate::{
    FieldWeights,
    index::{IndexSpec, IndexedDocument, KnowledgeIndex},
};
use botops_digest::Digest;
use botops_documents::Document;
use botops_findings::{Fault, Result};
use bytes::Bytes;
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// Makes the `.knowledge` file of a version.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnowledgeIndexer;

impl Indexer for KnowledgeIndexer {
    fn build(&self, request: &IndexRequest<'_>) -> Result<Bytes> {
        let previous = request.previous.map(KnowledgeIndex::from_bytes).transpose()?;
        let previous = previous.as_ref();
        let mut kept: HashMap<Digest, Vec<Document>> = HashMap::new();
        for entry in previous.map(KnowledgeIndex::documents).unwrap_or_default() {
            kept.entry(entry.source).or_default().push(entry.without_text());
        }
        let mut documents: Vec<(Cow<'_, Document>, Digest)> = Vec::new();
        for file in request.files {
            match file {
                IndexFile::Read { source, documents: read } => {
                    documents
                        .extend(read.iter().map(|document| (Cow::Borrowed(document), *source)));
                }
                IndexFile::Kept { source } => {
                    let Some(found) = kept.remove(source) else {
                        let message = "an unchanged file is not in the index before";
                        return Err(Fault::internal("BOT-9001", message));
                    };
                    documents.extend(found.into_iter().map(|one| (Cow::Owned(one), *source)));
                }
            }
        }
        let encoder = match &request.encoder {
            RequestedEncoder::None => None,
            RequestedEncoder::Given(encoder) => Some(Arc::clone(encoder)),
            RequestedEncoder::OfPrevious => previous.and_then(KnowledgeIndex::encoder).cloned(),
        };
        let spec = IndexSpec {
            chunk: request.chunks,
            encoder: request.encoder_source.map(str::to_owned),
            languages: Vec::new(),
            weights: FieldWeights::default(),
            // That of the version before was fitted on other documents.
            abstention: None,
        };
        let indexed: Vec<IndexedDocument<'_>> = documents
            .iter()
            .map(|(document, source)| IndexedDocument { document, source: *source })
            .collect();
        let index = KnowledgeIndex::build(request.name, &indexed, &spec, encoder, previous)?;
        Ok(index.to_bytes().into())
    }

    fn outline(&self, index: &[u8]) -> Result<Vec<OutlinedDocument>> {
        let index = KnowledgeIndex::from_bytes(index)?;
        let outlined = |(at, entry): (usize, &crate::index::DocumentEntry)| {
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
        };
        Ok(index.documents().iter().enumerate().map(outlined).collect())
    }
}
