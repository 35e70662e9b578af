//! Compares two versions: their files, and the passages of these.

use super::{
    indexer::{OutlinedDocument, OutlinedPassage},
    log::{KnowledgeStore, KnowledgeVersion},
    manifest::KnowledgeFile,
};
use botops_documents::ChunkId;
use botops_findings::Result;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A file that changed, with its passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedFile {
    /// Its name.
    pub id: String,
    /// The sections of the passages that only the newer version has; empty for the text above all headings.
    pub passages_added: Vec<String>,
    /// The sections of the passages that only the older version has.
    pub passages_removed: Vec<String>,
    /// The passages that both have.
    pub passages_kept: u64,
}

/// The differences between two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KnowledgeDiff {
    /// The names of files that only the second version has.
    pub added: Vec<String>,
    /// The names of files that only the first version has.
    pub removed: Vec<String>,
    /// The files whose content or metadata differ.
    pub changed: Vec<ChangedFile>,
    /// The number of the other files.
    pub unchanged: u64,
    /// The settings of the index that differ, by name.
    pub settings: Vec<String>,
}

impl KnowledgeDiff {
    /// Returns whether the versions are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.settings.is_empty()
    }
}

impl KnowledgeStore {
    /// Returns the differences from version `from` to version `to`. Passages are compared by their identities.
    ///
    /// # Errors
    /// Those of [`Self::index`].
    pub async fn diff(
        &self,
        from: &KnowledgeVersion,
        to: &KnowledgeVersion,
    ) -> Result<KnowledgeDiff> {
        let mut diff = KnowledgeDiff::default();
        let (old, new) = (by_name(&from.manifest.files), by_name(&to.manifest.files));
        let mut changed = Vec::new();
        for (id, file) in &new {
            match old.get(id) {
                None => diff.added.push((*id).to_owned()),
                Some(before) if before.source() == file.source() => diff.unchanged += 1,
                Some(_) => changed.push(*id),
            }
        }
        let gone = old.keys().filter(|id| !new.contains_key(*id));
        diff.removed = gone.map(|id| (*id).to_owned()).collect();
        let (a, b) = (&from.manifest.settings, &to.manifest.settings);
        let settings = [
            ("chunk_tokens", a.chunks.tokens != b.chunks.tokens),
            ("overlap", a.chunks.overlap != b.chunks.overlap),
            ("encoder", a.encoder != b.encoder),
        ];
        let differs = settings.into_iter().filter(|(_, differs)| *differs);
        diff.settings = differs.map(|(name, _)| name.to_owned()).collect();
        if !changed.is_empty() {
            let old = self.indexer.outline(&self.index(from).await?)?;
            let new = self.indexer.outline(&self.index(to).await?)?;
            diff.changed = changed.into_iter().map(|id| compare(id, &old, &new)).collect();
        }
        Ok(diff)
    }
}

fn by_name(files: &[KnowledgeFile]) -> BTreeMap<&str, &KnowledgeFile> {
    files.iter().map(|file| (file.id.as_str(), file)).collect()
}

fn compare(id: &str, old: &[OutlinedDocument], new: &[OutlinedDocument]) -> ChangedFile {
    let (old, new) = (passages(id, old), passages(id, new));
    let ids = |side: &[&OutlinedPassage]| -> BTreeSet<ChunkId> {
        side.iter().map(|passage| passage.id).collect()
    };
    let (in_old, in_new) = (ids(&old), ids(&new));
    let sections = |side: &[&OutlinedPassage], other: &BTreeSet<ChunkId>| {
        let only = side.iter().filter(|passage| !other.contains(&passage.id));
        only.map(|passage| passage.section.clone()).collect()
    };
    ChangedFile {
        id: id.to_owned(),
        passages_added: sections(&new, &in_old),
        passages_removed: sections(&old, &in_new),
        passages_kept: in_old.intersection(&in_new).count() as u64,
    }
}

/// Returns the passages of the documents of the file `id`: those of this name, and the rows of a table.
fn passages<'a>(id: &str, documents: &'a [OutlinedDocument]) -> Vec<&'a OutlinedPassage> {
    let is_of = |document: &&OutlinedDocument| {
        let rest = document.id.strip_prefix(id);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    documents.iter().filter(is_of).flat_map(|document| &document.passages).collect()
}
