//! The blobs of knowledge bases that hold a text, for erasure: an original may be compressed, and so may an index.

use super::log::{
    AT_ONCE, KnowledgeAction, KnowledgeEvent, KnowledgeStore, KnowledgeVersion, is_gone,
};
use botops_digest::Digest;
use botops_findings::Result;
use botops_store::Entry;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, BTreeSet};

impl KnowledgeStore {
    /// Returns the blobs whose text `holds`, each with the versions that lose it: indexes with such a passage, the originals of
    /// these passages, and the indexes of originals that `known` names because they hold the text as plain bytes.
    ///
    /// Blobs that are gone already are skipped.
    ///
    /// # Errors
    /// Those of the store, and an index that cannot be read.
    pub async fn blobs_where(
        &self,
        holds: &(dyn Fn(&[u8]) -> bool + Sync),
        known: &BTreeSet<Digest>,
    ) -> Result<BTreeMap<Digest, BTreeSet<String>>> {
        let mut found: BTreeMap<Digest, BTreeSet<String>> = BTreeMap::new();
        for version in self.every_version().await? {
            let manifest = &version.manifest;
            let mut hit: BTreeSet<Digest> = manifest
                .files
                .iter()
                .map(|file| file.digest)
                .filter(|digest| known.contains(digest))
                .collect();
            if let Some(index) = self.unless_gone(&manifest.index).await? {
                let sources: BTreeSet<Digest> = self
                    .indexer
                    .outline(&index)?
                    .into_iter()
                    .filter(|it| it.passages.iter().any(|one| holds(one.text.as_bytes())))
                    .map(|document| document.source)
                    .collect();
                let files = manifest.files.iter().filter(|it| sources.contains(&it.source()));
                hit.extend(files.map(|file| file.digest));
                if !hit.is_empty() || !sources.is_empty() {
                    hit.insert(manifest.index);
                }
            }
            for digest in hit {
                found.entry(digest).or_default().insert(version.reference());
            }
        }
        Ok(found)
    }

    /// Returns every version whose manifest can be read, of every knowledge base.
    async fn every_version(&self) -> Result<Vec<KnowledgeVersion>> {
        let mut versions = Vec::new();
        for name in self.names().await? {
            let entries = self.versions(&name).await?;
            let mut seen = BTreeSet::new();
            let different = entries.iter().filter(|entry| {
                let KnowledgeAction::Imported { manifest, .. } = entry.payload.action;
                seen.insert(manifest)
            });
            let different: Vec<_> = different.collect();
            let loaded: Vec<Option<KnowledgeVersion>> = futures::stream::iter(different)
                .map(|entry| async { self.loaded_unless_gone(&name, entry).await })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            versions.extend(loaded.into_iter().flatten());
        }
        Ok(versions)
    }

    async fn loaded_unless_gone(
        &self,
        name: &str,
        entry: &Entry<KnowledgeEvent>,
    ) -> Result<Option<KnowledgeVersion>> {
        match self.load(name, entry).await {
            Err(fault) if is_gone(&fault) => Ok(None),
            version => version.map(Some),
        }
    }

    async fn unless_gone(&self, digest: &Digest) -> Result<Option<Bytes>> {
        match self.store.blob(digest).await {
            Err(fault) if is_gone(&fault) => Ok(None),
            blob => blob.map(Some),
        }
    }
}
