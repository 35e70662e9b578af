//! Taking a snapshot: packs, then the manifest, then the log entry.

use super::{
    Chunk, Pack, SCHEMA, Snapshot, SnapshotAction, SnapshotEvent, SnapshotFile, SnapshotManifest,
    Snapshots,
    chunks::{Sealed, Storing},
    reference,
};
use crate::{
    file_list::{self, Found},
    file_stamps::Stamps,
};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use botops_store::{Appended, Entry, SWEEP_PATIENCE};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};
use tokio::task::JoinSet;

/// Packs sent at a time; each is held meanwhile.
const SENT_AT_ONCE: usize = 4;
/// How often a change is tried against others who write: each failed try means that one of them got through.
const MOST_CONFLICTS: u32 = 100;
/// How often what a sweep took is stored again.
const MOST_SWEEPS: u32 = 3;

/// What to take a snapshot of.
#[derive(Debug, Clone)]
pub struct Taking {
    /// The data set.
    pub name: String,
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Where to remember what files looked like when they were read; none: they are always read.
    pub stamps: Option<PathBuf>,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The time by which the age of files is told: the clock's, whatever `at` is.
    pub clock: DateTime<Utc>,
    /// Whether to look only: read and count, but store nothing.
    pub dry_run: bool,
}

/// What taking a snapshot came to.
#[derive(Debug)]
pub struct Taken {
    /// The snapshot; in a dry run, the one there would be.
    pub snapshot: Snapshot,
    /// Whether it is new; false: nothing changed since the latest one.
    pub is_new: bool,
    /// Bytes stored for it: packs and manifest; in a dry run, those that would be.
    pub stored_bytes: u64,
    /// Files that were read; the others looked as they did when they were read before.
    pub files_read: u64,
    /// Files and folders left out because their names begin with a dot.
    pub hidden: u64,
    /// Why the next one may have to read everything again, when it may.
    pub forgot: Option<Fault>,
}

/// What would be stored.
struct Draft {
    manifest: SnapshotManifest,
    stored_bytes: u64,
    /// By name: path and stamp when read, and digest.
    seen: Vec<(Found, Digest)>,
    files_read: u64,
    /// Packs that the snapshot before did not have.
    new_packs: Vec<Digest>,
}

impl Snapshots {
    /// Stores the files, and logs the snapshot; one that holds what the latest does is that one, and nothing is written.
    ///
    /// `progress` hears how many bytes of files are done, and of how many.
    ///
    /// # Errors
    /// `BOT-5061` a bad name, `BOT-5062` files that cannot be stored, `BOT-1001` (exit 2); `BOT-5048` a file changed
    /// while it was read (exit 1); those of the store.
    pub async fn take(
        &self,
        taking: &Taking,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Taken> {
        reference::check_name(&taking.name)?;
        let walked = file_list::walk(&taking.paths)?;
        self.refuse_store_in(&taking.paths)?;
        let log = self.log(&taking.name);
        let mut entries = log.entries().await?;
        let latest = match entries.len() as u64 {
            0 => None,
            newest => Some(self.load(&taking.name, &entries, newest).await?),
        };
        let before = latest.as_ref().map(|latest| &latest.manifest);
        let stamps = Stamps::open(taking.stamps.as_deref());
        let mut draft = self.draft(taking, &walked.files, before, &stamps, progress).await?;
        let forgot = match taking.dry_run {
            true => None,
            false => remember(stamps, &draft.seen, taking.clock),
        };
        let identity = draft.manifest.identity();
        let taken = |snapshot, is_new, stored_bytes, files_read| Taken {
            snapshot,
            is_new,
            stored_bytes,
            files_read,
            hidden: walked.hidden,
            forgot,
        };
        let before = latest.as_ref().map(|latest| latest.manifest_digest);
        if let Some(latest) = latest.filter(|latest| latest.digest == identity) {
            return Ok(taken(latest, false, 0, draft.files_read));
        }
        let bytes: Bytes = canonical_json(&draft.manifest).into();
        let manifest_digest = Digest::of(&bytes);
        draft.stored_bytes += bytes.len() as u64;
        let mut snapshot = Snapshot {
            name: taking.name.clone(),
            number: entries.len() as u64 + 1,
            digest: identity,
            manifest_digest,
            at: taking.at,
            actor: taking.actor.clone(),
            manifest: draft.manifest,
        };
        if taking.dry_run {
            return Ok(taken(snapshot, true, draft.stored_bytes, draft.files_read));
        }
        self.store.put_blob(bytes.clone()).await?;
        let event = SnapshotEvent {
            at: taking.at,
            actor: taking.actor.clone(),
            reason: taking.reason.clone(),
            action: SnapshotAction::Taken {
                snapshot: identity,
                manifest: manifest_digest,
                files: snapshot.manifest.files.len() as u64,
                size_bytes: snapshot.manifest.size_bytes(),
                stored_bytes: draft.stored_bytes,
            },
        };
        let mut patience = self.store.retries().begin_against(MOST_CONFLICTS);
        let is_new = loop {
            if let Some(same) = latest_with(&entries, &identity) {
                // Somebody else took the very same meanwhile.
                snapshot = self.load(&taking.name, &entries, same).await?;
                break false;
            }
            if let Appended::Written(entry) = log.append(entries.last(), event.clone()).await? {
                snapshot.number = entry.seq;
                break true;
            }
            if !patience.pause().await {
                let message = format!("others keep writing to the log of `{}`", taking.name);
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
            let newer = match entries.last() {
                Some(last) => log.entries_after(last).await?,
                None => log.entries().await?,
            };
            entries.extend(newer);
        };
        if is_new {
            self.restore_swept(taking, &walked.files, before, &draft.new_packs, bytes).await?;
        }
        Ok(taken(snapshot, is_new, draft.stored_bytes, draft.files_read))
    }

    /// Stores again what a sweep removed that began before the log named it.
    ///
    /// A killed run leaves packs that nothing names; a run after it finds them there, and a sweep may take them in the
    /// moment before the log entry. After the entry, no sweep does.
    async fn restore_swept(
        &self,
        taking: &Taking,
        files: &[Found],
        before: Option<Digest>,
        new_packs: &[Digest],
        manifest: Bytes,
    ) -> Result<()> {
        for _ in 0..MOST_SWEEPS {
            self.store.outlast_sweeps(SWEEP_PATIENCE).await?;
            let mut missing = !self.store.has_blob(&Digest::of(&manifest)).await?;
            for pack in new_packs {
                missing |= !self.store.has_blob(pack).await?;
            }
            if !missing {
                return Ok(());
            }
            self.store.put_blob(manifest.clone()).await?;
            let before = match before {
                Some(digest) => Some(self.manifest(&taking.name, &digest).await?),
                None => None,
            };
            let stamps = Stamps::default();
            self.draft(taking, files, before.as_ref(), &stamps, &|_, _| ()).await?;
        }
        Err(Fault::conflict("BOT-5014", "a sweep keeps removing what is being stored")
            .hint("run again once `botops runs gc` has ended"))
    }

    /// Refuses to store the store in itself: every snapshot would hold all before it.
    fn refuse_store_in(&self, paths: &[PathBuf]) -> Result<()> {
        let Some(store) = self.store.folder().and_then(|folder| folder.canonicalize().ok()) else {
            return Ok(());
        };
        let holds = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| store.starts_with(path));
        match paths.iter().find(holds) {
            Some(path) => Err(Fault::usage(
                "BOT-5062",
                format!("`{}` holds the registry that it would be stored in", path.display()),
            )
            .file(path)
            .hint("name the folder of the data, or another registry: `--registry LOCATION`")),
            None => Ok(()),
        }
    }

    /// Stores packs (but in a dry run) and says what the manifest is.
    async fn draft(
        &self,
        taking: &Taking,
        files: &[Found],
        before: Option<&SnapshotManifest>,
        stamps: &Stamps,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Draft> {
        let by_digest: HashMap<Digest, &SnapshotFile> = before
            .into_iter()
            .flat_map(|manifest| &manifest.files)
            .map(|file| (file.digest, file))
            .collect();
        let mut done: Vec<(Found, Digest, Vec<Chunk>)> = Vec::with_capacity(files.len());
        let mut unread = Vec::new();
        for found in files {
            let digest = stamps.digest(&absolute(&found.path), found.stamp);
            match digest.and_then(|digest| by_digest.get(&digest)) {
                Some(known) if known.size_bytes == found.size_bytes => {
                    done.push((found.clone(), known.digest, known.chunks.clone()));
                }
                _ => unread.push(found.clone()),
            }
        }
        let total: u64 = files.iter().map(|found| found.size_bytes).sum();
        let mut n_done: u64 = done.iter().map(|(found, ..)| found.size_bytes).sum();
        progress(n_done, total);
        let n_before = before.map_or(0, |manifest| manifest.packs.len());
        let files_read = unread.len() as u64;
        let mut storing = Storing::new(unread, before);
        let mut sending: JoinSet<Result<(usize, Pack)>> = JoinSet::new();
        let mut sent: Vec<(usize, Pack)> = Vec::new();
        loop {
            let (step, back) = tokio::task::spawn_blocking(move || (storing.step(), storing))
                .await
                .map_err(|error| {
                    Fault::internal("BOT-9001", "the files were not read to the end")
                        .caused_by(error)
                })?;
            storing = back;
            let Some(sealed) = step? else { break };
            for Sealed { number, bytes } in sealed {
                while sending.len() >= SENT_AT_ONCE {
                    sent.extend(joined(&mut sending).await?);
                }
                let (store, dry_run) = (self.store.clone(), taking.dry_run);
                sending.spawn(async move {
                    let size_bytes = bytes.len() as u64;
                    let digest = match dry_run {
                        true => Digest::of(&bytes),
                        false => store.put_blob(bytes).await?,
                    };
                    Ok((number, Pack { digest, size_bytes }))
                });
            }
            for stored in storing.done.drain(..) {
                n_done += stored.found.size_bytes;
                done.push((stored.found, stored.digest, stored.chunks));
            }
            progress(n_done, total);
        }
        while let Some(pack) = joined(&mut sending).await? {
            sent.push(pack);
        }
        for (number, pack) in sent {
            storing.packs[number] = Some(pack);
        }
        let packs: Vec<Pack> = storing.packs.into_iter().flatten().collect();
        let new: Vec<Pack> = packs[n_before..].to_vec();
        let stored_bytes = new.iter().map(|pack| pack.size_bytes).sum();
        let new_packs = new.into_iter().map(|pack| pack.digest).collect();
        let seen = done.iter().map(|(found, digest, _)| (found.clone(), *digest)).collect();
        let manifest = manifest(&taking.name, done, &packs);
        Ok(Draft { manifest, stored_bytes, seen, files_read, new_packs })
    }
}

async fn joined(sending: &mut JoinSet<Result<(usize, Pack)>>) -> Result<Option<(usize, Pack)>> {
    match sending.join_next().await {
        None => Ok(None),
        Some(Ok(sent)) => sent.map(Some),
        Some(Err(error)) => {
            Err(Fault::internal("BOT-9001", "a pack was not sent to the end").caused_by(error))
        }
    }
}

/// Makes a manifest in its one form: files by path, and of `packs` those in use, by digest.
fn manifest(
    name: &str,
    files: Vec<(Found, Digest, Vec<Chunk>)>,
    packs: &[Pack],
) -> SnapshotManifest {
    let used: BTreeSet<&Pack> = files
        .iter()
        .flat_map(|(_, _, chunks)| chunks)
        .map(|chunk| &packs[chunk.pack as usize])
        .collect();
    let place: BTreeMap<&Pack, u32> = used.iter().copied().zip(0..).collect();
    let mut files: Vec<SnapshotFile> = files
        .into_iter()
        .map(|(found, digest, mut chunks)| {
            for chunk in &mut chunks {
                chunk.pack = place[&packs[chunk.pack as usize]];
            }
            SnapshotFile { path: found.name, digest, size_bytes: found.size_bytes, chunks }
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let packs = used.into_iter().cloned().collect();
    SnapshotManifest { schema: SCHEMA.to_owned(), name: name.to_owned(), files, packs }
}

/// Returns the number of the newest entry, if it is of the snapshot `identity`.
fn latest_with(entries: &[Entry<SnapshotEvent>], identity: &Digest) -> Option<u64> {
    let SnapshotAction::Taken { snapshot, .. } = entries.last()?.payload.action;
    (snapshot == *identity).then_some(entries.len() as u64)
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// Remembers what files looked like; returns why it could not.
fn remember(mut stamps: Stamps, seen: &[(Found, Digest)], clock: DateTime<Utc>) -> Option<Fault> {
    for (found, digest) in seen {
        stamps.remember(&absolute(&found.path), found.stamp, *digest, clock);
    }
    stamps.save().err()
}
