//! The blobs of an erasure, and the versions that have them.

use super::Needles;
use crate::{Act, Action, GATE_FILE, MODEL_FILE, Registry, Version};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Store, blob_path};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::collections::BTreeSet;

/// Blobs that are searched at a time.
const AT_ONCE: usize = 4;
/// The bytes that are searched at a time.
const WINDOW: u64 = 8 << 20;
/// The bytes that two windows share: longer than an utterance with all its escapes.
const OVERLAP: u64 = 256 << 10;

/// A version that loses files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AffectedVersion {
    /// The version, such as `support@2`.
    pub version: String,
    /// The files that are erased.
    pub files: Vec<String>,
    /// The environments whose champion it is.
    pub champion_of: Vec<String>,
    /// Whether it can no longer be served or promoted: its model or its gate report is among the files.
    pub unusable: bool,
    #[serde(skip)]
    model: String,
    #[serde(skip)]
    manifest: Digest,
    #[serde(skip)]
    blobs: Vec<Digest>,
    /// Whether the log does not yet say that all of it is erased.
    #[serde(skip)]
    is_new: bool,
}

/// The blobs of an erasure, and the versions that have them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErasurePlan {
    /// The blobs to erase, by digest.
    pub blobs: BTreeSet<Digest>,
    /// The versions that lose files.
    pub versions: Vec<AffectedVersion>,
}

/// Returns the blobs of `store` that hold one of the utterances, read in windows.
///
/// Packs of data sets are compressed, and not searched here.
///
/// # Errors
/// Those of the store.
pub async fn blobs_holding(store: &Store, needles: &Needles) -> Result<BTreeSet<Digest>> {
    let blobs = store.blobs().await?;
    let found: Vec<Option<Digest>> = futures::stream::iter(blobs)
        .map(|(digest, stored)| async move {
            let path = blob_path(&digest);
            let mut from = 0;
            while from < stored.size_bytes {
                let range = from..(from + WINDOW + OVERLAP).min(stored.size_bytes);
                // It was removed since it was listed.
                let Some(bytes) = store.read_range(&path, range).await? else { break };
                if needles.are_in(&bytes) {
                    return Ok(Some(digest));
                }
                from += WINDOW;
            }
            Ok::<_, Fault>(None)
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

impl Registry {
    /// Returns what the erasure of `blobs` does to the versions of all models. Changes nothing.
    ///
    /// # Errors
    /// `BOT-5141` (exit 6) a blob is a manifest or a policy, which the logs need; those of the store and of
    /// [`Self::versions`].
    pub async fn plan_erasure(&self, blobs: BTreeSet<Digest>) -> Result<ErasurePlan> {
        let mut versions = Vec::new();
        for model in self.models().await? {
            let champions = self.champions_everywhere(&model).await?;
            for version in self.versions(&model).await? {
                if blobs.contains(&version.manifest_digest) {
                    return Err(self.names_utterance(&version));
                }
                let hit = version.manifest.files.iter().filter(|file| blobs.contains(&file.digest));
                let (files, lost): (Vec<_>, Vec<_>) =
                    hit.map(|file| (file.path.clone(), file.digest)).unzip();
                if files.is_empty() {
                    continue;
                }
                let is_champion =
                    |(_, manifest): &(&String, &Digest)| **manifest == version.manifest_digest;
                let known = version.erased.as_ref().map(|erased| &erased.files);
                versions.push(AffectedVersion {
                    version: version.reference(),
                    champion_of: champions
                        .iter()
                        .filter(is_champion)
                        .map(|(name, _)| name.clone())
                        .collect(),
                    unusable: files.iter().any(|file| file == MODEL_FILE || file == GATE_FILE),
                    is_new: known
                        .is_none_or(|known| files.iter().any(|file| !known.contains(file))),
                    files,
                    model: model.clone(),
                    manifest: version.manifest_digest,
                    blobs: lost,
                });
            }
        }
        Ok(ErasurePlan { blobs, versions })
    }

    /// Returns the blobs of whole versions: all their files.
    ///
    /// # Errors
    /// `BOT-5142` (exit 6) another version has one of these files, too.
    pub async fn blobs_of(&self, versions: &[Version]) -> Result<BTreeSet<Digest>> {
        let named: BTreeSet<Digest> = versions.iter().map(|it| it.manifest_digest).collect();
        let files = versions.iter().flat_map(|version| &version.manifest.files);
        let blobs: BTreeSet<Digest> = files.map(|file| file.digest).collect();
        let mut others = Vec::new();
        for affected in self.plan_erasure(blobs.clone()).await?.versions {
            if !named.contains(&affected.manifest) {
                others.push(affected);
            }
        }
        let Some(first) = others.first() else { return Ok(blobs) };
        let message = format!(
            "`{}` has `{}` in common with the versions to forget: nothing was erased",
            first.version, first.files[0]
        );
        let names: Vec<&str> = others.iter().map(|it| it.version.as_str()).collect();
        Err(Fault::policy("BOT-5142", message)
            .hint(format!("to forget these as well, name them: {}", names.join(", "))))
    }

    /// Refuses an erasure that takes the model or the gate report of a champion.
    ///
    /// # Errors
    /// `BOT-5143` (exit 6).
    pub fn refuse_champion_erasure(&self, plan: &ErasurePlan) -> Result<()> {
        let champion = plan.versions.iter().find(|it| it.unusable && !it.champion_of.is_empty());
        let Some(AffectedVersion { version, champion_of, files, model, .. }) = champion else {
            return Ok(());
        };
        let environments: Vec<String> =
            champion_of.iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "{version} is the champion of {}, and would lose `{}`: nothing was erased",
            environments.join(" and "),
            files[0]
        );
        Err(Fault::policy("BOT-5143", message)
            .hint(format!(
                "train without the utterance, and promote that version first: `botops promote {model}@latest`"
            ))
            .hint("or erase it now with `--force`: a server that starts later finds no model to serve"))
    }

    /// Erases the blobs of `plan`: first the log of each model says so, then each blob is marked and removed. `erasure` is
    /// its id in the log of erasures, which the caller writes before and after.
    ///
    /// After an interruption, the same call goes on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn erase(&self, plan: &ErasurePlan, erasure: &str, act: &Act) -> Result<()> {
        for version in plan.versions.iter().filter(|version| version.is_new) {
            let action = Action::Erased {
                manifest: version.manifest,
                files: version.files.clone(),
                erasure: erasure.to_owned(),
            };
            self.commit(&version.model, |_| Ok(Some(act.event(action.clone())))).await?;
        }
        for digest in &plan.blobs {
            self.store.erase_blob(digest, erasure, act.at).await?;
        }
        Ok(())
    }

    /// The fault of a manifest that holds an utterance: as the name of an intent, a param, or the name of a person.
    fn names_utterance(&self, version: &Version) -> Fault {
        let message = format!(
            "the manifest of {} holds the utterance, and the log needs it: nothing was erased",
            version.reference()
        );
        Fault::policy("BOT-5141", message)
            .file(self.store.object_url(&blob_path(&version.manifest_digest)))
            .hint("it holds names of intents, params and the creator: look at it with `botops registry show MODEL@VERSION`")
            .hint("search for a longer utterance")
    }
}
