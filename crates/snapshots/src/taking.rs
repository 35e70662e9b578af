//! Takes a snapshot: stores packs, then the manifest, then the log entry.

use crate::{
    chunks::{Packer, SealedPack},
    file_list::{self, FoundFile},
    file_stamps::Stamps,
    log::{Snapshot, SnapshotAction, SnapshotEvent, Snapshots, log_path},
    manifest::{Chunk, Pack, SCHEMA, SnapshotFile, SnapshotManifest},
    reference,
};
use botops_digest::{Digest, canonical_json};
use botops_findings::{Fault, Result};
use botops_store::{Appended, Entry, SWEEP_PATIENCE};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinSet;

/// Packs sent at a time; each is held in memory until it is stored.
const SENT_AT_ONCE: usize = 4;
/// Blobs whose existence is asked for at a time.
const ASKED_AT_ONCE: usize = 16;
/// The most attempts to append an entry; each failed one means that another writer succeeded.
const MOST_CONFLICTS: u32 = 100;
/// The most attempts to store again the blobs that a sweep removed.
const MOST_SWEEPS: u32 = 3;

/// A request to take a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotRequest {
    /// The name of the data set.
    pub name: String,
    /// The files and folders to store.
    pub paths: Vec<PathBuf>,
    /// The file for stamps of files that were read; `None` to read every file.
    pub stamps: Option<PathBuf>,
    /// The person or program that takes the snapshot.
    pub actor: String,
    /// The reason for the log.
    pub reason: String,
    /// The time for the log.
    pub at: DateTime<Utc>,
    /// The time of the clock, whatever `at` is; the age of files is measured against it.
    pub clock: DateTime<Utc>,
    /// Whether to read and count only, and store nothing.
    pub dry_run: bool,
}

/// The result of taking a snapshot.
#[derive(Debug)]
pub struct Taken {
    /// The snapshot; in a dry run, the one that would be taken.
    pub snapshot: Snapshot,
    /// Whether it is new; `false` when nothing changed since the latest one.
    pub is_new: bool,
    /// Bytes stored for it, packs and manifest; in a dry run, those that would be stored.
    pub stored_bytes: u64,
    /// Blobs of the latest snapshot that were missing in the store, and were written again; in a dry run, those that would
    /// be.
    pub restored: u64,
    /// Blobs of the latest snapshot that are missing in the store, and could not be made from the files. Snapshots taken
    /// before this one are damaged.
    pub lost: u64,
    /// Files that were read; the stamps of the others did not change.
    pub files_read: u64,
    /// Hidden files and folders (their names begin with a dot), which were skipped.
    pub hidden: u64,
    /// The reason why the stamps could not be saved, so that the next run reads every file again.
    pub forgot: Option<Fault>,
}

/// A manifest whose packs are stored (or, in a dry run, counted).
struct Draft {
    manifest: SnapshotManifest,
    stored_bytes: u64,
    /// All files with their digests.
    seen: Vec<(FoundFile, Digest)>,
    files_read: u64,
    /// Packs that the snapshot before did not have.
    new_packs: Vec<Digest>,
}

/// The digests of a drafted snapshot, and the bytes stored for it.
struct Drafted {
    /// The identity of the snapshot.
    identity: Digest,
    /// The digest of its manifest.
    manifest: Digest,
    stored_bytes: u64,
}

/// The latest snapshot of a data set, as far as the store has it.
#[derive(Default)]
struct Latest {
    /// The latest one whose manifest exists; `None` if there is none.
    snapshot: Option<Snapshot>,
    /// The packs of that one that are missing, and the manifests of the later ones.
    missing: BTreeSet<Digest>,
}

impl Latest {
    /// Returns its manifest without the chunks of missing packs. The list of packs is complete, because chunks name packs
    /// by index.
    fn usable(&self) -> Option<SnapshotManifest> {
        let mut manifest = self.snapshot.as_ref()?.manifest.clone();
        if !self.missing.is_empty() {
            let packs = &manifest.packs;
            for file in &mut manifest.files {
                file.chunks
                    .retain(|chunk| !self.missing.contains(&packs[chunk.pack as usize].digest));
            }
        }
        Some(manifest)
    }

    /// Returns the snapshot if it is complete and has the drafted content.
    fn same(&self, drafted: &Drafted) -> Option<&Snapshot> {
        self.snapshot
            .as_ref()
            .filter(|latest| latest.digest == drafted.identity && self.missing.is_empty())
    }
}

impl Snapshots {
    /// Stores the files and logs the snapshot. If the content equals that of the latest snapshot, returns that one and
    /// logs nothing.
    ///
    /// The store decides which blobs of the latest snapshot exist: a new snapshot does not name a missing one. What a
    /// missing blob held is stored again, under the same digest if the files still hold all of it.
    ///
    /// `progress` receives the bytes of files done so far and the total.
    ///
    /// # Errors
    /// `BOT-5061` an invalid name, `BOT-5062` files that cannot be stored, `BOT-1001` (exit 2); `BOT-5048` a file changed
    /// while it was read (exit 5); those of the store.
    pub async fn take(
        &self,
        request: &SnapshotRequest,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Taken> {
        reference::check_name(&request.name)?;
        let list = file_list::list_files(&request.paths)?;
        self.refuse_store_in(&request.paths)?;
        let entries = self.logs.entries(&log_path(&request.name)).await?;
        let latest = self.latest(&request.name, &entries).await?;
        let before = latest.usable();
        let stamps = Stamps::open(request.stamps.as_deref());
        let draft = self.draft(request, &list.files, before.as_ref(), &stamps, progress).await?;
        let forgot = match request.dry_run {
            true => None,
            false => save_stamps(stamps, &draft.seen, request.clock),
        };
        let bytes: Bytes = canonical_json(&draft.manifest).into();
        let drafted = Drafted {
            identity: draft.manifest.identity(),
            manifest: Digest::of(&bytes),
            stored_bytes: draft.stored_bytes + bytes.len() as u64,
        };
        let made: BTreeSet<Digest> =
            draft.new_packs.iter().copied().chain([drafted.manifest]).collect();
        let restored = latest.missing.intersection(&made).count() as u64;
        let taken = |snapshot, is_new, stored_bytes| Taken {
            snapshot,
            is_new,
            stored_bytes,
            restored,
            lost: latest.missing.len() as u64 - restored,
            files_read: draft.files_read,
            hidden: list.hidden,
            forgot,
        };
        if let Some(same) = latest.same(&drafted) {
            return Ok(taken(same.clone(), false, 0));
        }
        let is_new = !is_newest(&entries, &drafted, entries.len());
        let snapshot = Snapshot {
            name: request.name.clone(),
            number: entries.len() as u64 + u64::from(is_new),
            digest: drafted.identity,
            manifest_digest: drafted.manifest,
            at: request.at,
            actor: request.actor.clone(),
            manifest: draft.manifest,
        };
        if request.dry_run {
            return Ok(taken(snapshot, is_new, drafted.stored_bytes));
        }
        self.store.put_blob(bytes.clone()).await?;
        let (snapshot, is_new) = self.log_snapshot(request, entries, snapshot, &drafted).await?;
        if is_new {
            let before = before.as_ref();
            self.restore_swept(request, &list.files, before, &draft.new_packs, bytes).await?;
        }
        Ok(taken(snapshot, is_new, drafted.stored_bytes))
    }

    /// Reads the latest snapshot whose manifest exists, and asks the store which of its packs exist.
    async fn latest(&self, name: &str, entries: &[Entry<SnapshotEvent>]) -> Result<Latest> {
        let mut latest = Latest::default();
        for (index, entry) in entries.iter().enumerate().rev() {
            match self.load(name, entries, index as u64 + 1).await {
                Err(fault) if fault.code() == "BOT-5004" => {
                    let SnapshotAction::Taken { manifest, .. } = entry.payload.action;
                    latest.missing.insert(manifest);
                }
                snapshot => {
                    latest.snapshot = Some(snapshot?);
                    break;
                }
            }
        }
        let mut packs: Vec<Digest> = Vec::new();
        if let Some(snapshot) = &latest.snapshot {
            packs.extend(snapshot.manifest.packs.iter().map(|pack| pack.digest));
        }
        let missing: Vec<Digest> = futures::stream::iter(packs)
            .map(|pack| async move {
                let exists = self.store.has_blob(&pack).await?;
                Ok::<_, Fault>((!exists).then_some(pack))
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .try_filter_map(async |missing| Ok(missing))
            .try_collect()
            .await?;
        latest.missing.extend(missing);
        Ok(latest)
    }

    /// Appends the entry of `snapshot`. Returns the snapshot with its number, and whether it is new: another run may have
    /// taken one of the same content in the meantime.
    async fn log_snapshot(
        &self,
        request: &SnapshotRequest,
        mut entries: Arc<Vec<Entry<SnapshotEvent>>>,
        snapshot: Snapshot,
        drafted: &Drafted,
    ) -> Result<(Snapshot, bool)> {
        let event = SnapshotEvent {
            at: request.at,
            actor: request.actor.clone(),
            reason: request.reason.clone(),
            action: SnapshotAction::Taken {
                snapshot: drafted.identity,
                manifest: drafted.manifest,
                files: snapshot.manifest.files.len() as u64,
                size_bytes: snapshot.manifest.size_bytes(),
                stored_bytes: drafted.stored_bytes,
            },
        };
        let path = log_path(&request.name);
        let n_seen = entries.len();
        let mut retries = self.store.retries().begin_against(MOST_CONFLICTS);
        loop {
            if is_newest(&entries, drafted, n_seen) {
                let newest = entries.len() as u64;
                return Ok((self.load(&request.name, &entries, newest).await?, false));
            }
            let appended = self.logs.append(&path, entries.last(), event.clone()).await?;
            if let Appended::Written(entry) = appended {
                return Ok((Snapshot { number: entry.seq, ..snapshot }, true));
            }
            if !retries.pause().await {
                let message = format!("other runs keep writing to the log of `{}`", request.name);
                return Err(Fault::conflict("BOT-5014", message).hint("try again in a moment"));
            }
            entries = self.logs.entries(&path).await?;
        }
    }

    /// Stores again the blobs that a concurrent sweep removed before the log entry was written.
    ///
    /// A killed run leaves packs without a reference. The next run reuses them, and a sweep may remove them until the log
    /// entry refers to them. A sweep that begins after the entry keeps them.
    async fn restore_swept(
        &self,
        request: &SnapshotRequest,
        files: &[FoundFile],
        before: Option<&SnapshotManifest>,
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
            let stamps = Stamps::default();
            self.draft(request, files, before, &stamps, &|_, _| ()).await?;
        }
        Err(Fault::conflict("BOT-5014", "a sweep keeps removing the blobs of this snapshot")
            .hint("run again when `botops runs gc` has ended"))
    }

    /// Refuses paths that contain the store, because every snapshot would hold all earlier ones.
    fn refuse_store_in(&self, paths: &[PathBuf]) -> Result<()> {
        let Some(store) = self.store.folder().and_then(|folder| folder.canonicalize().ok()) else {
            return Ok(());
        };
        let holds = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| store.starts_with(path));
        match paths.iter().find(holds) {
            Some(path) => Err(Fault::usage(
                "BOT-5062",
                format!("`{}` contains the registry that would store it", path.display()),
            )
            .file(path)
            .hint("name the folder of the data, or another registry: `--registry LOCATION`")),
            None => Ok(()),
        }
    }

    /// Stores the packs, except in a dry run, and makes the manifest.
    async fn draft(
        &self,
        request: &SnapshotRequest,
        files: &[FoundFile],
        before: Option<&SnapshotManifest>,
        stamps: &Stamps,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Draft> {
        let by_digest: HashMap<Digest, &SnapshotFile> = before
            .into_iter()
            .flat_map(|manifest| &manifest.files)
            .map(|file| (file.digest, file))
            .collect();
        let mut done: Vec<(FoundFile, Digest, Vec<Chunk>)> = Vec::with_capacity(files.len());
        let mut unread = Vec::new();
        for found in files {
            let digest = stamps.digest(&absolute(&found.path), found.stamp);
            match digest.and_then(|digest| by_digest.get(&digest)) {
                Some(known) if known.size_bytes == found.size_bytes && is_whole(known) => {
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
        let mut packer = Packer::new(unread, before);
        let mut sending: JoinSet<Result<(usize, Pack)>> = JoinSet::new();
        let mut sent: Vec<(usize, Pack)> = Vec::new();
        loop {
            let (step, returned) = tokio::task::spawn_blocking(move || (packer.step(), packer))
                .await
                .map_err(|error| {
                    Fault::internal("BOT-9001", "the files were not read to the end")
                        .caused_by(error)
                })?;
            packer = returned;
            let Some(sealed) = step? else { break };
            for SealedPack { number, bytes } in sealed {
                while sending.len() >= SENT_AT_ONCE {
                    sent.extend(next_sent(&mut sending).await?);
                }
                let (store, dry_run) = (self.store.clone(), request.dry_run);
                sending.spawn(async move {
                    let size_bytes = bytes.len() as u64;
                    let digest = match dry_run {
                        true => Digest::of(&bytes),
                        false => store.put_blob(bytes).await?,
                    };
                    Ok((number, Pack { digest, size_bytes }))
                });
            }
            for stored in packer.done.drain(..) {
                n_done += stored.found.size_bytes;
                done.push((stored.found, stored.digest, stored.chunks));
            }
            progress(n_done, total);
        }
        while let Some(pack) = next_sent(&mut sending).await? {
            sent.push(pack);
        }
        for (number, pack) in sent {
            packer.packs[number] = Some(pack);
        }
        let packs: Vec<Pack> = packer.packs.into_iter().flatten().collect();
        let new: Vec<Pack> = packs[n_before..].to_vec();
        let stored_bytes = new.iter().map(|pack| pack.size_bytes).sum();
        let new_packs = new.into_iter().map(|pack| pack.digest).collect();
        let seen = done.iter().map(|(found, digest, _)| (found.clone(), *digest)).collect();
        let manifest = manifest(&request.name, done, &packs);
        Ok(Draft { manifest, stored_bytes, seen, files_read, new_packs })
    }
}

/// Waits for the next pack to be stored; `None` when all are.
async fn next_sent(sending: &mut JoinSet<Result<(usize, Pack)>>) -> Result<Option<(usize, Pack)>> {
    match sending.join_next().await {
        None => Ok(None),
        Some(Ok(sent)) => sent.map(Some),
        Some(Err(error)) => {
            Err(Fault::internal("BOT-9001", "a pack was not sent to the end").caused_by(error))
        }
    }
}

/// Makes the canonical manifest: files by path, and the packs in use by digest.
fn manifest(
    name: &str,
    files: Vec<(FoundFile, Digest, Vec<Chunk>)>,
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

/// Returns whether all chunks of a file are known: [`Latest::usable`] leaves out those of missing packs.
fn is_whole(file: &SnapshotFile) -> bool {
    file.chunks.iter().map(|chunk| chunk.size_bytes).sum::<u64>() == file.size_bytes
}

/// Returns whether the newest entry logs the drafted snapshot.
///
/// Of the first `n_seen` entries, the manifest must be the same, too: it may name packs that are missing.
fn is_newest(entries: &[Entry<SnapshotEvent>], drafted: &Drafted, n_seen: usize) -> bool {
    let Some(newest) = entries.last() else { return false };
    let SnapshotAction::Taken { snapshot, manifest, .. } = newest.payload.action;
    snapshot == drafted.identity && (entries.len() > n_seen || manifest == drafted.manifest)
}

fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.display().to_string()
}

/// Saves the stamps of the files read; returns the fault if that failed.
fn save_stamps(
    mut stamps: Stamps,
    seen: &[(FoundFile, Digest)],
    clock: DateTime<Utc>,
) -> Option<Fault> {
    for (found, digest) in seen {
        stamps.remember(&absolute(&found.path), found.stamp, *digest, clock);
    }
    stamps.save().err()
}
