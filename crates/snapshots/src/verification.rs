//! Checking data sets: every log, every manifest, every chunk.

use super::{Chunk, SnapshotAction, SnapshotManifest, Snapshots, chunks, reference};
use crate::log;
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_store::blob_path;
use botops_text as text;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Packs read at a time; each is held whole.
const AT_ONCE: usize = 4;
/// Files and snapshots that a finding names.
const NAMED: usize = 5;

/// What [`Snapshots::verify`] found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SnapshotVerification {
    /// Data sets checked.
    pub data_sets: u64,
    /// Log entries checked.
    pub entries: u64,
    /// Packs read.
    pub packs: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Chunks unpacked and digested.
    pub chunks: u64,
    /// The snapshots that cannot be written back whole.
    pub damaged: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

/// What snapshots want of one pack.
#[derive(Default)]
struct Wanted<'a> {
    size_bytes: u64,
    /// By where they begin: the chunks, and the files they are of.
    chunks: BTreeMap<u64, (&'a Chunk, BTreeSet<&'a str>)>,
    snapshots: BTreeSet<(&'a str, u64)>,
}

/// What one pack came to: the chunks that are not right, and why.
struct Checked {
    chunks: u64,
    stored_bytes: u64,
    wrong: Option<(&'static str, String, BTreeSet<String>)>,
}

impl Snapshots {
    /// Checks every log, and reads and digests every chunk that a snapshot names, of one data set or of all.
    ///
    /// - logs: numbered without gaps, each entry's digest and its link to the one before
    /// - manifests: there, readable, of the snapshot that the log says
    /// - packs: there, their bytes as their digest says; each chunk unpacks to bytes of its digest
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
                    .and_then(|bytes| log::parse(&bytes, name, &place));
                match read {
                    Ok(manifest) if manifest.identity() == snapshot => {
                        manifests.insert((name.clone(), digest), (manifest, vec![entry.seq]));
                    }
                    Ok(_) => {
                        let fault =
                            Fault::data("BOT-5006", "it is of another snapshot").file(place);
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
        let packs = wanted(&manifests);
        verification.packs = packs.len() as u64;
        let checked: Vec<(Digest, Checked)> = futures::stream::iter(&packs)
            .map(|(digest, wanted)| async move {
                Ok::<_, Fault>((*digest, self.check(digest, wanted).await?))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (digest, checked) in checked {
            verification.chunks += checked.chunks;
            verification.stored_bytes += checked.stored_bytes;
            let Some((code, what, files)) = checked.wrong else { continue };
            let wanted = &packs[&digest];
            let snapshots: Vec<String> =
                wanted.snapshots.iter().map(|(name, number)| format!("{name}@{number}")).collect();
            damaged.extend(wanted.snapshots.iter().map(|(name, n)| ((*name).to_owned(), *n)));
            let files: Vec<String> =
                files.into_iter().map(|file| text::display(&file, 120)).collect();
            let message = format!(
                "blob `{digest}` {what}: {} of {} cannot be written back",
                some(&files, "file"),
                some(&snapshots, "snapshot")
            );
            let help = "restore the object from a backup; or delete it, and take the snapshot again from the files under another name";
            let file = Some(self.store.object_url(&blob_path(&digest)));
            verification.problems.push(
                Finding::new(code, Severity::Error, message, help)
                    .at(Place { file, ..Place::default() }),
            );
        }
        verification.damaged =
            damaged.into_iter().map(|(name, number)| format!("{name}@{number}")).collect();
        Ok(verification)
    }

    async fn check(&self, digest: &Digest, wanted: &Wanted<'_>) -> Result<Checked> {
        let all: BTreeSet<String> = wanted
            .chunks
            .values()
            .flat_map(|(_, files)| files.iter().map(|&file| file.to_owned()))
            .collect();
        let bytes = match Fault::unless_unreachable(self.store.read(&blob_path(digest)).await)? {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let wrong = Some(("BOT-5004", "is gone".to_owned(), all));
                return Ok(Checked { chunks: 0, stored_bytes: 0, wrong });
            }
            Err(fault) => {
                let wrong = Some((fault.code(), format!("cannot be read ({fault})"), all));
                return Ok(Checked { chunks: 0, stored_bytes: 0, wrong });
            }
        };
        let chunks: Vec<(Chunk, BTreeSet<String>)> = wanted
            .chunks
            .values()
            .map(|(chunk, files)| {
                ((*chunk).clone(), files.iter().map(|&file| file.to_owned()).collect())
            })
            .collect();
        let (digest, size_bytes) = (*digest, wanted.size_bytes);
        tokio::task::spawn_blocking(move || judge(&bytes, &digest, size_bytes, &chunks))
            .await
            .map_err(|error| {
                Fault::internal("BOT-9001", "a pack was not checked to the end").caused_by(error)
            })
    }
}

fn judge(
    bytes: &Bytes,
    digest: &Digest,
    size_bytes: u64,
    chunks: &[(Chunk, BTreeSet<String>)],
) -> Checked {
    let wrong: Vec<&(Chunk, BTreeSet<String>)> = chunks
        .par_iter()
        .filter(|(chunk, _)| {
            let range = chunk.start as usize..(chunk.start + chunk.stored_bytes) as usize;
            bytes.get(range).and_then(|stored| chunks::unpacked(stored, chunk)).is_none()
        })
        .collect();
    let files: BTreeSet<String> = wrong.iter().flat_map(|(_, files)| files.clone()).collect();
    let wrong = if !files.is_empty() {
        let n = wrong.len();
        Some(("BOT-5005", format!("is damaged in {n} of its {} chunks", chunks.len()), files))
    } else if bytes.len() as u64 != size_bytes || Digest::of(bytes) != *digest {
        // Between the chunks in use there may be some that no snapshot needs any more.
        Some(("BOT-5005", "does not match its digest, outside of what is in use".to_owned(), files))
    } else {
        None
    };
    Checked { chunks: chunks.len() as u64, stored_bytes: bytes.len() as u64, wrong }
}

fn wanted(
    manifests: &BTreeMap<(String, Digest), (SnapshotManifest, Vec<u64>)>,
) -> BTreeMap<Digest, Wanted<'_>> {
    let mut packs: BTreeMap<Digest, Wanted<'_>> = BTreeMap::new();
    for ((name, _), (manifest, numbers)) in manifests {
        for pack in &manifest.packs {
            let wanted = packs.entry(pack.digest).or_default();
            wanted.size_bytes = pack.size_bytes;
            wanted.snapshots.extend(numbers.iter().map(|&number| (name.as_str(), number)));
        }
        for file in &manifest.files {
            for chunk in &file.chunks {
                let pack = manifest.packs[chunk.pack as usize].digest;
                let wanted = packs.entry(pack).or_default();
                let (_, files) =
                    wanted.chunks.entry(chunk.start).or_insert_with(|| (chunk, BTreeSet::new()));
                files.insert(&file.path);
            }
        }
    }
    packs
}

/// Names up to five of `names`, and how many more there are.
fn some(names: &[String], what: &str) -> String {
    let shown: Vec<String> = names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => format!("no {what}"),
        n if n <= NAMED => shown.join(", "),
        n => format!("{} and {} more", shown.join(", "), n - NAMED),
    }
}

fn about(fault: &Fault, name: &str) -> Finding {
    let mut finding = fault.as_finding();
    finding.message = format!("{name}: {}", finding.message);
    finding
}
