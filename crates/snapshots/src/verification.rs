//! Verifies data sets: every log, every manifest, every chunk.

use crate::{
    chunks,
    log::{SnapshotAction, Snapshots},
    manifest::{self, Chunk, SnapshotManifest},
    reference,
};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::blob_path;
use botops_text as text;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Packs read at a time; each is held in memory.
const AT_ONCE: usize = 4;
/// The most files or snapshots that a finding names.
const NAMED: usize = 5;

/// The result of [`Snapshots::verify`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct SnapshotVerification {
    /// Data sets checked.
    pub data_sets: u64,
    /// Log entries checked.
    pub entries: u64,
    /// Packs read.
    pub packs: u64,
    /// Bytes of the packs read.
    pub stored_bytes: u64,
    /// Chunks decompressed and digested.
    pub chunks: u64,
    /// The references of snapshots with a damaged or missing object.
    pub damaged: Vec<String>,
    /// All problems.
    pub problems: Vec<Finding>,
    /// The packs that were erased on purpose, for information.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Finding>,
}

/// The chunks of one pack that snapshots use.
#[derive(Default)]
struct PackUse<'a> {
    size_bytes: u64,
    /// The chunks by offset, with the files that contain them.
    chunks: BTreeMap<u64, (&'a Chunk, BTreeSet<&'a str>)>,
    snapshots: BTreeSet<(&'a str, u64)>,
}

/// The result of checking one pack.
struct PackCheck {
    chunks: u64,
    stored_bytes: u64,
    damage: Option<Damage>,
}

/// The damage of a pack.
struct Damage {
    code: &'static str,
    message: String,
    /// The files that cannot be restored.
    files: BTreeSet<String>,
}

impl Snapshots {
    /// Checks every log, and reads and digests every chunk that a snapshot refers to, in one data set or in all.
    ///
    /// - logs: numbers without gaps, the digest of each entry and its link to the entry before
    /// - manifests: exist, can be read, and describe the snapshot in the log
    /// - packs: exist and match their digests; each chunk decompresses to bytes with its digest
    ///
    /// # Errors
    /// Those of the store, when it does not answer; `BOT-5063` no such data set (exit 2).
    pub async fn verify(&self, name: Option<&str>) -> Result<SnapshotVerification> {
        let names = match name {
            Some(name) => {
                reference::check_name(name)?;
                if self.log(name).is_empty().await? {
                    return Err(self.unknown(name).await);
                }
                vec![name.to_owned()]
            }
            None => self.names().await?,
        };
        let mut verification =
            SnapshotVerification { data_sets: names.len() as u64, ..Default::default() };
        let mut damaged: BTreeSet<(String, u64)> = BTreeSet::new();
        let mut manifests: BTreeMap<(String, Digest), (SnapshotManifest, Vec<u64>)> =
            BTreeMap::new();
        for name in &names {
            let inspection = self.log(name).inspect().await?;
            verification.entries += (inspection.entries.len() + inspection.problems.len()) as u64;
            verification.problems.extend(inspection.problems.iter().map(Fault::as_finding));
            for entry in &inspection.entries {
                let SnapshotAction::Taken { snapshot, manifest: digest, .. } = entry.payload.action;
                let reference = format!("{name}@{}", entry.seq);
                if let Some((_, numbers)) = manifests.get_mut(&(name.clone(), digest)) {
                    numbers.push(entry.seq);
                    continue;
                }
                let place = self.store.object_url(&blob_path(&digest));
                let read = Fault::unless_unreachable(self.store.blob(&digest).await)?
                    .and_then(|bytes| manifest::parse(&bytes, name, &place));
                match read {
                    Ok(manifest) if manifest.identity() == snapshot => {
                        manifests.insert((name.clone(), digest), (manifest, vec![entry.seq]));
                    }
                    Ok(_) => {
                        let fault =
                            Fault::data("BOT-5006", "it describes another snapshot").file(place);
                        verification
                            .problems
                            .push(about(&fault, &format!("manifest of `{reference}`")));
                        damaged.insert((name.clone(), entry.seq));
                    }
                    Err(fault) => {
                        verification
                            .problems
                            .push(about(&fault, &format!("manifest of `{reference}`")));
                        damaged.insert((name.clone(), entry.seq));
                    }
                }
            }
        }
        let packs = pack_uses(&manifests);
        verification.packs = packs.len() as u64;
        let checked: Vec<(Digest, PackCheck)> = futures::stream::iter(&packs)
            .map(|(digest, pack_use)| async move {
                Ok::<_, Fault>((*digest, self.check(digest, pack_use).await?))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (digest, checked) in checked {
            verification.chunks += checked.chunks;
            verification.stored_bytes += checked.stored_bytes;
            let Some(Damage { code, message, files }) = checked.damage else { continue };
            let pack_use = &packs[&digest];
            let snapshots: Vec<String> = pack_use
                .snapshots
                .iter()
                .map(|(name, number)| format!("{name}@{number}"))
                .collect();
            let is_erased = code == "BOT-5130";
            if !is_erased {
                damaged.extend(pack_use.snapshots.iter().map(|(name, n)| ((*name).to_owned(), *n)));
            }
            let files: Vec<String> =
                files.into_iter().map(|file| text::display(&file, 120)).collect();
            let snapshots = name_some(&snapshots);
            let message = if files.is_empty() {
                format!(
                    "blob `{digest}` {message}: every file of {snapshots} can still be restored"
                )
            } else {
                let files = name_some(&files);
                format!("blob `{digest}` {message}: {files} of {snapshots} cannot be restored")
            };
            let help = "restore the object from a backup; or delete it, and take the snapshot again from its files under another name";
            let file = Some(self.store.object_url(&blob_path(&digest)));
            let place = Place { file, ..Place::default() };
            if is_erased {
                let help = "take a new snapshot of the files without the utterance";
                let finding = Finding::new(code, Severity::Info, message, help);
                verification.erased.push(finding.at(place));
            } else {
                let finding = Finding::new(code, Severity::Error, message, help);
                verification.problems.push(finding.at(place));
            }
        }
        verification.damaged =
            damaged.into_iter().map(|(name, number)| format!("{name}@{number}")).collect();
        Ok(verification)
    }

    async fn check(&self, digest: &Digest, pack_use: &PackUse<'_>) -> Result<PackCheck> {
        let all: BTreeSet<String> = pack_use
            .chunks
            .values()
            .flat_map(|(_, files)| files.iter().map(|&file| file.to_owned()))
            .collect();
        let bytes = match Fault::unless_unreachable(self.store.read(&blob_path(digest)).await)? {
            Ok(Some(bytes)) => bytes,
            Ok(None) if self.store.erased_blob(digest).await?.is_some() => {
                let message = "was erased on purpose".to_owned();
                let damage = Damage { code: "BOT-5130", message, files: all };
                return Ok(PackCheck { chunks: 0, stored_bytes: 0, damage: Some(damage) });
            }
            Ok(None) => {
                let damage =
                    Damage { code: "BOT-5004", message: "is missing".to_owned(), files: all };
                return Ok(PackCheck { chunks: 0, stored_bytes: 0, damage: Some(damage) });
            }
            Err(fault) => {
                let message = format!("cannot be read ({fault})");
                let damage = Damage { code: fault.code(), message, files: all };
                return Ok(PackCheck { chunks: 0, stored_bytes: 0, damage: Some(damage) });
            }
        };
        let chunks: Vec<(Chunk, BTreeSet<String>)> = pack_use
            .chunks
            .values()
            .map(|(chunk, files)| {
                ((*chunk).clone(), files.iter().map(|&file| file.to_owned()).collect())
            })
            .collect();
        let (digest, size_bytes) = (*digest, pack_use.size_bytes);
        tokio::task::spawn_blocking(move || check_pack(&bytes, &digest, size_bytes, &chunks))
            .await
            .map_err(|error| {
                Fault::internal("BOT-9001", "a pack was not checked to the end").caused_by(error)
            })
    }
}

/// Checks the chunks in use, and the digest of the whole pack.
fn check_pack(
    bytes: &Bytes,
    digest: &Digest,
    size_bytes: u64,
    chunks: &[(Chunk, BTreeSet<String>)],
) -> PackCheck {
    let damaged: Vec<&(Chunk, BTreeSet<String>)> = chunks
        .par_iter()
        .filter(|(chunk, _)| {
            let range = chunk.start as usize..(chunk.start + chunk.stored_bytes) as usize;
            bytes.get(range).and_then(|stored| chunks::unpacked(stored, chunk)).is_none()
        })
        .collect();
    let files: BTreeSet<String> = damaged.iter().flat_map(|(_, files)| files.clone()).collect();
    let message = if !files.is_empty() {
        Some(format!("is damaged in {} of its {} chunks", damaged.len(), chunks.len()))
    } else if bytes.len() as u64 != size_bytes || Digest::of(bytes) != *digest {
        // The pack may also hold chunks that no snapshot uses.
        Some("does not match its digest, although the chunks in use are intact".to_owned())
    } else {
        None
    };
    let damage = message.map(|message| Damage { code: "BOT-5005", message, files });
    PackCheck { chunks: chunks.len() as u64, stored_bytes: bytes.len() as u64, damage }
}

/// Returns the packs of all manifests, with the chunks in use.
fn pack_uses(
    manifests: &BTreeMap<(String, Digest), (SnapshotManifest, Vec<u64>)>,
) -> BTreeMap<Digest, PackUse<'_>> {
    let mut packs: BTreeMap<Digest, PackUse<'_>> = BTreeMap::new();
    for ((name, _), (manifest, numbers)) in manifests {
        for pack in &manifest.packs {
            let pack_use = packs.entry(pack.digest).or_default();
            pack_use.size_bytes = pack.size_bytes;
            pack_use.snapshots.extend(numbers.iter().map(|&number| (name.as_str(), number)));
        }
        for file in &manifest.files {
            for chunk in &file.chunks {
                let pack = manifest.packs[chunk.pack as usize].digest;
                let pack_use = packs.entry(pack).or_default();
                let (_, files) =
                    pack_use.chunks.entry(chunk.start).or_insert_with(|| (chunk, BTreeSet::new()));
                files.insert(&file.path);
            }
        }
    }
    packs
}

/// Lists up to five of `names`, and the number of the others.
fn name_some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        n if n <= NAMED => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - NAMED),
    }
}

fn about(fault: &Fault, name: &str) -> Finding {
    let mut finding = fault.as_finding();
    finding.message = format!("{name}: {}", finding.message);
    finding
}
