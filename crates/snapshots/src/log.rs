//! The log of a data set: its events, and the snapshots found by name, number or digest.

use crate::{
    manifest::{self, SnapshotFile, SnapshotManifest},
    reference::{self, SnapshotReference, SnapshotSelector},
};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_spec as spec;
use botops_store::{Entry, KnownLogs, Log, Store, blob_path};
use botops_text as text;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Objects read at a time.
const AT_ONCE: usize = 8;

/// An event in the log of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvent {
    /// The time of the event.
    pub at: DateTime<Utc>,
    /// The person or program that caused it.
    pub actor: String,
    /// The reason that the actor gave.
    pub reason: String,
    /// The action.
    pub action: SnapshotAction,
}

/// An action on a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum SnapshotAction {
    /// A snapshot was taken; the n-th such entry is snapshot n.
    Taken {
        /// The identity of the snapshot.
        snapshot: Digest,
        /// The digest of its manifest.
        manifest: Digest,
        /// The number of its files.
        files: u64,
        /// The size of its files.
        size_bytes: u64,
        /// Bytes stored for it: packs that the snapshot before did not have, and the manifest.
        stored_bytes: u64,
    },
}

/// A snapshot with its manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The name of the data set.
    pub name: String,
    /// The number of the snapshot, from 1.
    pub number: u64,
    /// The identity of the snapshot.
    pub digest: Digest,
    /// The digest of its manifest.
    pub manifest_digest: Digest,
    /// The time when it was taken.
    pub at: DateTime<Utc>,
    /// The person or program that took it.
    pub actor: String,
    /// The manifest.
    pub manifest: SnapshotManifest,
}

impl Snapshot {
    /// Returns `name@number`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.number)
    }

    /// Returns `name@sha256:…`, the reference that stays valid when the data set moves to another store.
    #[must_use]
    pub fn lasting_reference(&self) -> String {
        format!("{}@{}", self.name, self.digest)
    }

    /// Returns every digest by which a run or a version may refer to the snapshot, with the path of the file, or
    /// `the whole snapshot`.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<Digest, String> {
        let files = self.manifest.files.iter().map(|file| (file.digest, file.path.clone()));
        files.chain([(self.digest, "the whole snapshot".to_owned())]).collect()
    }
}

/// The data sets of one store.
///
/// Clones share the entries of the logs that they have read: each is read once, and then only what was appended.
#[derive(Clone)]
pub struct Snapshots {
    pub(crate) store: Store,
    pub(crate) logs: Arc<KnownLogs<SnapshotEvent>>,
}

/// Returns the path of the log of the data set `name`.
pub(crate) fn log_path(name: &str) -> String {
    format!("datasets/{name}/log")
}

impl Snapshots {
    /// Opens the data sets of `store`.
    #[must_use]
    pub fn open(store: Store) -> Self {
        Self { logs: Arc::new(KnownLogs::new(store.clone())), store }
    }

    /// Returns the store of the data sets.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn log(&self, name: &str) -> Log<SnapshotEvent> {
        self.store.log(&log_path(name))
    }

    /// Returns the names of the data sets, sorted.
    ///
    /// # Errors
    /// Those of the store, here and in every function below.
    pub async fn names(&self) -> Result<Vec<String>> {
        let folders = self.store.folders("datasets").await?;
        futures::stream::iter(folders)
            .map(|name| async move {
                // A folder without a complete first entry is not a data set yet.
                let empty = !reference::is_name(&name) || self.log(&name).is_empty().await?;
                Ok((!empty).then_some(name))
            })
            .buffered(AT_ONCE)
            .try_filter_map(async |name| Ok(name))
            .try_collect()
            .await
    }

    /// Returns the log entries of a data set.
    ///
    /// # Errors
    /// `BOT-5063` no such data set (exit 2); a hint names the nearest one.
    pub async fn history(&self, name: &str) -> Result<Vec<Entry<SnapshotEvent>>> {
        reference::check_name(name)?;
        let entries = self.log(name).entries().await?;
        if entries.is_empty() { Err(self.unknown(name).await) } else { Ok(entries) }
    }

    /// Returns the fault for a data set that does not exist.
    pub(crate) async fn unknown(&self, name: &str) -> Fault {
        let message = format!("`{}` has no data set `{name}`", self.store.url());
        let fault = Fault::usage("BOT-5063", message);
        let names = self.names().await.unwrap_or_default();
        let fault = match spec::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => fault.hint(format!("did you mean `{near}`?")),
            None => fault,
        };
        if names.is_empty() {
            fault.hint(format!("nothing is stored yet: `botops data snapshot PATH --name {name}`"))
        } else {
            fault.hint("list the data sets: `botops data log`")
        }
    }

    /// Returns the snapshot that `reference` names.
    ///
    /// # Errors
    /// `BOT-5063` no such data set, `BOT-5064` no such snapshot or file (exit 2); `BOT-5004`, `BOT-5005` the manifest is
    /// missing or damaged, `BOT-5006` malformed, `BOT-5007` newer.
    pub async fn resolve(&self, reference: &SnapshotReference) -> Result<Snapshot> {
        reference::check_name(&reference.name)?;
        let entries = self.logs.entries(&log_path(&reference.name)).await?;
        if entries.is_empty() {
            return Err(self.unknown(&reference.name).await);
        }
        let number = select(&entries, reference)?;
        let snapshot = self.load(&reference.name, &entries, number).await?;
        match &reference.file {
            Some(file) if snapshot.manifest.file(file).is_none() => Err(no_file(&snapshot, file)),
            _ => Ok(snapshot),
        }
    }

    /// Returns the file of `snapshot` that `file` names, or its only one.
    ///
    /// # Errors
    /// `BOT-5064` (exit 2) no file has that name, or the snapshot does not have exactly one file and `file` names none.
    pub fn file<'a>(&self, snapshot: &'a Snapshot, file: Option<&str>) -> Result<&'a SnapshotFile> {
        match (file, &snapshot.manifest.files[..]) {
            (None, [only]) => Ok(only),
            (None, files) => {
                let message = format!(
                    "`{}` has {} files, and the reference names none of them",
                    snapshot.reference(),
                    files.len()
                );
                Err(name_a_file(snapshot, message))
            }
            (Some(name), _) => snapshot.manifest.file(name).ok_or_else(|| no_file(snapshot, name)),
        }
    }

    /// Returns every blob that a snapshot in any log needs: manifests and packs.
    ///
    /// # Errors
    /// Those of the store, and of [`Self::resolve`]: the packs of an unreadable manifest are unknown.
    pub async fn blobs(&self) -> Result<BTreeSet<Digest>> {
        let mut blobs = BTreeSet::new();
        for name in self.names().await? {
            let entries = self.history(&name).await?;
            let mut manifests = BTreeSet::new();
            for entry in &entries {
                let SnapshotAction::Taken { manifest, .. } = entry.payload.action;
                manifests.insert(manifest);
            }
            let packs: Vec<Vec<Digest>> = futures::stream::iter(&manifests)
                .map(|manifest| async {
                    let manifest = self.manifest(&name, manifest).await?;
                    Ok::<_, Fault>(manifest.packs.into_iter().map(|pack| pack.digest).collect())
                })
                .buffered(AT_ONCE)
                .try_collect()
                .await?;
            blobs.extend(manifests);
            blobs.extend(packs.into_iter().flatten());
        }
        Ok(blobs)
    }

    /// Reads the manifest of snapshot `number`, and checks that it describes this snapshot.
    pub(crate) async fn load(
        &self,
        name: &str,
        entries: &[Entry<SnapshotEvent>],
        number: u64,
    ) -> Result<Snapshot> {
        let event = &entries[number as usize - 1].payload;
        let SnapshotAction::Taken { snapshot, manifest: manifest_digest, .. } = event.action;
        let manifest = self.manifest(name, &manifest_digest).await?;
        if manifest.identity() != snapshot {
            let message = format!("the manifest of `{name}@{number}` describes another snapshot");
            return Err(Fault::data("BOT-5006", message)
                .file(self.store.object_url(&blob_path(&manifest_digest)))
                .hint(format!("list all problems: `botops data verify {name}`")));
        }
        Ok(Snapshot {
            name: name.to_owned(),
            number,
            digest: snapshot,
            manifest_digest,
            at: event.at,
            actor: event.actor.clone(),
            manifest,
        })
    }

    /// Reads the manifest `digest` of the data set `name`.
    pub(crate) async fn manifest(&self, name: &str, digest: &Digest) -> Result<SnapshotManifest> {
        let bytes = self.store.blob(digest).await?;
        manifest::parse(&bytes, name, &self.store.object_url(&blob_path(digest)))
    }
}

fn no_file(snapshot: &Snapshot, file: &str) -> Fault {
    let message = format!("`{}` has no file `{}`", snapshot.reference(), text::display(file, 120));
    name_a_file(snapshot, message)
}

/// Returns a fault whose hint lists the first files of `snapshot`.
fn name_a_file(snapshot: &Snapshot, message: String) -> Fault {
    let reference = snapshot.reference();
    let paths: Vec<String> = snapshot
        .manifest
        .files
        .iter()
        .take(5)
        .map(|file| format!("`{reference}:{}`", text::display(&file.path, 120)))
        .collect();
    let more = if snapshot.manifest.files.len() > 5 { " and others" } else { "" };
    Fault::usage("BOT-5064", message).hint(format!("name one of {}{more}", paths.join(", ")))
}

/// Returns the number of the snapshot that `reference` names.
fn select(entries: &[Entry<SnapshotEvent>], reference: &SnapshotReference) -> Result<u64> {
    let name = &reference.name;
    let newest = entries.len() as u64;
    let absent = |message: String| {
        Fault::usage("BOT-5064", message)
            .hint(format!("list the snapshots: `botops data log {name}`"))
    };
    match &reference.selector {
        SnapshotSelector::Latest => Ok(newest),
        SnapshotSelector::Number(number) if (1..=newest).contains(number) => Ok(*number),
        SnapshotSelector::Number(number) => {
            Err(absent(format!("`{name}` has no snapshot {number}: its newest is {newest}")))
        }
        SnapshotSelector::Digest(hex) => {
            let mut found: Vec<(Digest, u64)> = Vec::new();
            for (entry, number) in entries.iter().zip(1..) {
                let SnapshotAction::Taken { snapshot, .. } = entry.payload.action;
                // The same content taken again is the same snapshot, and its first number counts.
                if snapshot.hex().starts_with(hex.as_str())
                    && !found.iter().any(|(known, _)| *known == snapshot)
                {
                    found.push((snapshot, number));
                }
            }
            match &found[..] {
                [(_, number)] => Ok(*number),
                [] => Err(absent(format!("`{name}` has no snapshot `sha256:{hex}`"))),
                several => {
                    let all: Vec<_> =
                        several.iter().map(|(_, n)| format!("`{name}@{n}`")).collect();
                    Err(absent(format!("`{reference}` is ambiguous: {}", all.join(" or ")))
                        .hint("give more digits"))
                }
            }
        }
    }
}
