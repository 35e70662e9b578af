//! The log of a knowledge base: its events, and the versions found by name, number or digest.

use super::{
    indexer::Indexer,
    knowledge_indexer::KnowledgeIndexer,
    manifest::{self, KnowledgeFile, KnowledgeManifest},
    reference::{self, KnowledgeReference, KnowledgeSelector},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_spec as spec;
use botops_store::{Entry, KnownLogs, Log, Store, blob_path};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Objects read at a time.
pub(super) const AT_ONCE: usize = 8;

/// An event in the log of a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnowledgeEvent {
    /// The time of the event.
    pub at: DateTime<Utc>,
    /// The person or program that caused it.
    pub actor: String,
    /// The reason that the actor gave.
    pub reason: String,
    /// The action.
    pub action: KnowledgeAction,
}

/// An action on a knowledge base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum KnowledgeAction {
    /// Files were imported; the n-th such entry is version n.
    Imported {
        /// The digest of the manifest, which identifies the version.
        manifest: Digest,
        /// The digest of the index.
        index: Digest,
        /// The size of the index.
        index_bytes: u64,
        /// The number of files.
        files: u64,
        /// The size of the files.
        size_bytes: u64,
        /// Files that the version before did not have.
        added: u64,
        /// Files whose content or metadata changed.
        changed: u64,
        /// Files of the version before that are gone.
        removed: u64,
    },
}

/// A version of a knowledge base with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnowledgeVersion {
    /// The name of the knowledge base.
    pub name: String,
    /// The number of the version, from 1.
    pub number: u64,
    /// The digest of its manifest, which identifies the version.
    pub digest: Digest,
    /// The time when it was imported.
    pub at: DateTime<Utc>,
    /// The person or program that imported it.
    pub actor: String,
    /// The manifest.
    pub manifest: KnowledgeManifest,
}

impl KnowledgeVersion {
    /// Returns `name@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.number)
    }
}

/// The knowledge bases of one store.
///
/// Clones share the entries of the logs that they have read: each is read once, and then only what was appended.
#[derive(Clone)]
pub struct KnowledgeStore {
    pub(super) store: Store,
    pub(super) logs: Arc<KnownLogs<KnowledgeEvent>>,
    pub(super) indexer: Arc<dyn Indexer>,
}

/// Returns the path of the log of the knowledge base `name`.
pub(super) fn log_path(name: &str) -> String {
    format!("knowledge/{name}/log")
}

impl KnowledgeStore {
    /// Opens the knowledge bases of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self::indexed_by(store, Arc::new(KnowledgeIndexer))
    }

    /// Opens the knowledge bases of `store`, whose indexes `indexer` makes.
    #[must_use]
    pub fn indexed_by(store: Store, indexer: Arc<dyn Indexer>) -> Self {
        Self { logs: Arc::new(KnownLogs::new(store.clone())), store, indexer }
    }

    /// Returns the store of the knowledge bases.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn log(&self, name: &str) -> Log<KnowledgeEvent> {
        self.store.log(&log_path(name))
    }

    /// Returns the names of the knowledge bases, sorted.
    ///
    /// # Errors
    /// Those of the store, here and in every function below.
    pub async fn names(&self) -> Result<Vec<String>> {
        let folders = self.store.folders("knowledge").await?;
        futures::stream::iter(folders)
            .map(|name| async move {
                // A folder without a complete first entry is not a knowledge base yet.
                let empty = !reference::is_name(&name) || self.log(&name).is_empty().await?;
                Ok((!empty).then_some(name))
            })
            .buffered(AT_ONCE)
            .try_filter_map(async |name| Ok(name))
            .try_collect()
            .await
    }

    /// Returns the log entries of a knowledge base, of which the n-th is version n.
    ///
    /// # Errors
    /// `BOT-7231` (exit 2) an invalid name; `BOT-7232` (exit 2) no such knowledge base; a hint names the nearest one.
    pub async fn versions(&self, name: &str) -> Result<Vec<Entry<KnowledgeEvent>>> {
        reference::check_name(name)?;
        let entries = self.log(name).entries().await?;
        if entries.is_empty() { Err(self.unknown(name).await) } else { Ok(entries) }
    }

    /// Returns the fault for a knowledge base that does not exist.
    pub(super) async fn unknown(&self, name: &str) -> Fault {
        let message = format!("`{}` has no knowledge base `{name}`", self.store.url());
        let fault = Fault::usage("BOT-7232", message);
        let names = self.names().await.unwrap_or_default();
        let fault = match spec::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        };
        if names.is_empty() {
            fault
                .hint(format!("nothing is stored yet: `botops knowledge import DIR --into {name}`"))
        } else {
            fault.hint("list the knowledge bases: `botops knowledge log`")
        }
    }

    /// Returns the version that `reference` names.
    ///
    /// # Errors
    /// `BOT-7232` no such knowledge base, `BOT-7233` no such version (exit 2); `BOT-5004`, `BOT-5005` the manifest is missing or
    /// damaged, `BOT-5006` malformed, `BOT-5007` newer.
    pub async fn resolve(&self, reference: &KnowledgeReference) -> Result<KnowledgeVersion> {
        reference::check_name(&reference.name)?;
        let entries = self.logs.entries(&log_path(&reference.name)).await?;
        if entries.is_empty() {
            return Err(self.unknown(&reference.name).await);
        }
        let number = select(&entries, reference)?;
        self.load(&reference.name, &entries[number as usize - 1]).await
    }

    /// Returns the index of a version.
    ///
    /// # Errors
    /// `BOT-5004` the index is missing, `BOT-5005` damaged, `BOT-5130` erased.
    pub async fn index(&self, version: &KnowledgeVersion) -> Result<Bytes> {
        self.store.blob(&version.manifest.index).await
    }

    /// Returns the bytes of a file as it was imported.
    ///
    /// # Errors
    /// `BOT-5004` the file is missing, `BOT-5005` damaged, `BOT-5130` erased.
    pub async fn original(&self, file: &KnowledgeFile) -> Result<Bytes> {
        self.store.blob(&file.digest).await
    }

    /// Reads the version of `entry`.
    pub(super) async fn load(
        &self,
        name: &str,
        entry: &Entry<KnowledgeEvent>,
    ) -> Result<KnowledgeVersion> {
        let event = &entry.payload;
        let KnowledgeAction::Imported { manifest: digest, .. } = event.action;
        let bytes = self.store.blob(&digest).await?;
        let place = self.store.object_url(&blob_path(&digest));
        Ok(KnowledgeVersion {
            name: name.to_owned(),
            number: entry.seq,
            digest,
            at: event.at,
            actor: event.actor.clone(),
            manifest: manifest::parse(&bytes, name, &place)?,
        })
    }
}

/// Returns whether a blob is lost or was erased.
pub(super) fn is_gone(fault: &Fault) -> bool {
    matches!(fault.code(), "BOT-5004" | "BOT-5130")
}

/// Returns the number of the version that `reference` names.
fn select(entries: &[Entry<KnowledgeEvent>], reference: &KnowledgeReference) -> Result<u64> {
    let name = &reference.name;
    let newest = entries.len() as u64;
    let absent = |message: String| {
        Fault::usage("BOT-7233", message)
            .hint(format!("list the versions: `botops knowledge log {name}`"))
    };
    match &reference.selector {
        KnowledgeSelector::Latest => Ok(newest),
        KnowledgeSelector::Number(number) if (1..=newest).contains(number) => Ok(*number),
        KnowledgeSelector::Number(number) => {
            Err(absent(format!("`{name}` has no version {number}: its newest is {newest}")))
        }
        KnowledgeSelector::Digest(hex) => {
            let mut found: Vec<(Digest, u64)> = Vec::new();
            for (entry, number) in entries.iter().zip(1..) {
                let KnowledgeAction::Imported { manifest, index, .. } = entry.payload.action;
                let fits = |digest: &Digest| digest.hex().starts_with(hex.as_str());
                // The same content imported again is the same version, and its first number counts.
                let is_known = found.iter().any(|(known, _)| *known == manifest);
                if (fits(&manifest) || fits(&index)) && !is_known {
                    found.push((manifest, number));
                }
            }
            match &found[..] {
                [(_, number)] => Ok(*number),
                [] => Err(absent(format!("`{name}` has no version `sha256:{hex}`"))),
                several => {
                    let all: Vec<_> =
                        several.iter().map(|(_, n)| format!("`{name}@{n}`")).collect();
                    let message = format!("`{reference}` is ambiguous: {}", all.join(" or "));
                    Err(absent(message).hint("give more digits, or the number"))
                }
            }
        }
    }
}
