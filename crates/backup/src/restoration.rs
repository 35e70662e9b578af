//! A backup restored into empty places.
//!
//! Each store has a mark until everything is restored and every newer erasure is applied. Servers refuse a store with a
//! mark, so a crash or a full disk leaves nothing that is served. The same restore goes on where it ended.

use crate::{
    chunk_reader::ChunkReader,
    erased::{Erased, newer, of_blobs, unfinished},
    format::{FileEntry, Header, StoreEntry, Table},
    keys::Keys,
    person_keys,
    point_in_time::{Cuts, is_cut},
    restored_rows::RestoredRows,
};
use botops_conversations::{Copied, Location};
use botops_findings::{Fault, Result};
use botops_store::{ERASURES, Entry, Erasure, Store, Stored, blob_path};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Where a backup is restored.
pub struct Targets {
    /// A store for each name in the header; those without one are not restored.
    pub stores: BTreeMap<String, Store>,
    /// The conversations; `None` if they are not restored.
    pub conversations: Option<Location>,
}

/// The wishes of a restore.
pub struct Wishes {
    /// The time as of which to restore; `None` for all of the backup.
    pub at: Option<DateTime<Utc>>,
    /// The log of erasures of the live store; `None` if it is lost, and the user said so.
    pub erasures: Option<(String, Vec<Entry<Erasure>>)>,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// The extent of a restore.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// The number of objects, including those that an interrupted restore had written.
    pub objects: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The number of logs that end at the wished time.
    pub logs_cut: u64,
    /// The extent of the conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversations: Option<Copied>,
    /// The entries of the log of erasures that were applied.
    pub erasures: u64,
}

/// The parts of an erasure that other rooms know how to apply.
#[expect(async_fn_in_trait, reason = "it is polled by the task that made it")]
pub trait ApplyErasures {
    /// Erases the records of these conversations from the prediction logs in `store`.
    ///
    /// # Errors
    /// Those of the logs.
    async fn predictions(&mut self, store: &Store, erased: &Erased) -> Result<()>;

    /// Erases the messages of channels of these conversations and persons in `store`.
    ///
    /// # Errors
    /// Those of the store.
    async fn messages(&mut self, store: &Store, erased: &Erased) -> Result<()>;

    /// Writes to the logs of the models in `store` that the blobs of `erasure` are erased. The blobs themselves are not
    /// there, and are marked afterwards.
    ///
    /// # Errors
    /// Those of the logs.
    async fn versions(&mut self, store: &Store, erasure: &Erasure) -> Result<()>;
}

/// Chooses the backup for a restore to `at`: the first one that was made then or later.
///
/// # Errors
/// `BOT-5108` (exit 2) there is none.
pub fn covering(headers: &[Header], at: DateTime<Utc>) -> Result<&Header> {
    headers.iter().find(|header| header.created_at >= at).ok_or_else(|| {
        let newest = match headers.last() {
            Some(header) => format!("the newest one is `{}`, of {}", header.id, header.created_at),
            None => "there is none".to_owned(),
        };
        Fault::usage("BOT-5108", format!("no backup was made at {at} or later; {newest}"))
            .hint("restore the newest backup as it is, or name an earlier time")
    })
}

/// A store to restore into.
struct Target<'a> {
    entry: &'a StoreEntry,
    /// With the mark of this restore, unless an earlier try had ended with it.
    store: Store,
    is_marked: bool,
    files: Vec<&'a FileEntry>,
}

/// Restores the backup `header` of the store `from`. One that was interrupted goes on where it ended.
///
/// # Errors
/// `BOT-5110` (exit 5) a target is not empty; `BOT-5111` (exit 6) the newer erasures are not known; `BOT-5100` (exit 3) the
/// backup is damaged; `BOT-5103` (exit 2) the keys do not open it; those of the targets. The targets have their marks then.
pub async fn restore(
    from: &Store,
    header: &Header,
    keys: &Keys,
    (targets, wishes): (&Targets, &Wishes),
    erasing: &mut impl ApplyErasures,
) -> Result<Restored> {
    let name = match wishes.at {
        Some(at) => format!("{} at {}", header.id, at.to_rfc3339()),
        None => header.id.clone(),
    };
    let (mut reader, table) = ChunkReader::open(from, keys, header).await?;
    let goes_on = check_targets(targets, &name).await?;
    let (known, later) = newer_erasures(&mut reader, &table, wishes).await?;
    let unfinished = unfinished(known.clone());
    let erased = Erased::of(later.iter().chain(&unfinished));
    let mut restored = Restored {
        objects: 0,
        bytes: 0,
        logs_cut: 0,
        conversations: None,
        erasures: later.len() as u64,
    };
    // All keys are tried before the first write.
    reader.check_keys().await?;
    let wrapped = match targets.conversations {
        Some(_) => person_keys::read(from, keys, header).await?,
        None => Vec::new(),
    };
    let mut filled = Vec::new();
    for entry in &table.stores {
        let Some(store) = targets.stores.get(&entry.name) else { continue };
        let cut = cuts_of(&mut reader, entry, wishes.at).await?;
        let files = kept(entry, &cut, &erased);
        restored.logs_cut += cut.len();
        restored.objects += files.len() as u64;
        restored.bytes += files.iter().map(|file| file.size).sum::<u64>();
        let has_ended = goes_on && has_all(store, &files).await?;
        if !has_ended {
            store.check_restorable(&name).await?;
        }
        filled.push(Target { entry, store: store.clone(), is_marked: !has_ended, files });
    }
    if wishes.dry_run {
        restored.conversations = header.conversations.filter(|_| targets.conversations.is_some());
        return Ok(restored);
    }
    // All marks first, so that no part is served while another one is missing.
    for target in filled.iter_mut().filter(|target| target.is_marked) {
        target.store = target.store.begin_restore(&name).await?;
    }
    for target in filled.iter().filter(|target| target.is_marked) {
        objects(&mut reader, &target.store, &target.files).await?;
    }
    let applied = of_blobs(unfinished.iter().chain(&later));
    for Target { entry, store, .. } in &filled {
        if entry.files.iter().any(|file| file.path.starts_with("predictions/")) {
            erasing.predictions(store, &erased).await?;
        }
        if entry.files.iter().any(|file| file.path.starts_with("channels/")) {
            erasing.messages(store, &erased).await?;
        }
        if entry.name == crate::REGISTRY {
            // An earlier try may have recorded some of them.
            let recorded = store.erasures().await?.len().saturating_sub(known.len());
            for erasure in later.iter().skip(recorded) {
                store.record_erasure(&erasure.payload).await?;
            }
            for erasure in &applied {
                erasing.versions(store, erasure).await?;
            }
        }
        for erasure in &applied {
            for blob in &erasure.blobs {
                store.erase_blob(blob, &erasure.id, erasure.at).await?;
            }
        }
    }
    if let (Some(location), Some(turns)) = (&targets.conversations, &table.turns) {
        let rows = RestoredRows::new(&mut reader, turns, wrapped, (&erased, wishes.at));
        restored.conversations = Some(import(location, rows, goes_on).await?);
    }
    // The registry, without which nothing is served, loses its mark last.
    for target in filled.iter().rev().filter(|target| target.is_marked) {
        target.store.end_restore().await?;
    }
    Ok(restored)
}

/// Checks that the targets are empty, or that an earlier try of the restore `name` left them. Returns whether one did.
async fn check_targets(targets: &Targets, name: &str) -> Result<bool> {
    let mut goes_on = false;
    for store in targets.stores.values() {
        goes_on |= store.restore().await?.as_deref() == Some(name);
    }
    if goes_on {
        return Ok(true);
    }
    for store in targets.stores.values() {
        store.check_restorable(name).await?;
    }
    if let Some(location) = &targets.conversations {
        location.check_empty().await?;
    }
    Ok(false)
}

/// Returns whether `store` has no mark and has all of `files`: an earlier try of the restore had ended with it.
async fn has_all(store: &Store, files: &[&FileEntry]) -> Result<bool> {
    if store.restore().await?.is_some() {
        return Ok(false);
    }
    let there = sizes(store).await?;
    Ok(!there.is_empty() && files.iter().all(|file| there.get(&file.path) == Some(&file.size)))
}

/// Writes the turns and keys to an empty place: all of them or none. If the restore goes on, they may be there.
async fn import(
    location: &Location,
    mut rows: RestoredRows<'_, '_>,
    goes_on: bool,
) -> Result<Copied> {
    let fault = match location.check_empty().await {
        Ok(()) => return location.import(&mut rows).await,
        Err(fault) => fault,
    };
    if fault.code() != "BOT-5110" || !goes_on {
        return Err(fault);
    }
    let extent = rows.extent().await?;
    match location.export(async |_| Ok(())).await? == extent {
        true => Ok(extent),
        false => Err(fault),
    }
}

/// Returns the erasures in the log of the backup, and those of the live log that the backup does not have.
async fn newer_erasures(
    reader: &mut ChunkReader<'_>,
    table: &Table,
    wishes: &Wishes,
) -> Result<(Vec<Entry<Erasure>>, Vec<Entry<Erasure>>)> {
    let registry = table.stores.iter().find(|store| store.name == crate::REGISTRY);
    let log = format!("{ERASURES}/");
    let mut known = Vec::new();
    for file in registry.into_iter().flat_map(|store| &store.files) {
        if !file.path.starts_with(&log) {
            continue;
        }
        let bytes = reader.bytes(file).await?;
        let entry = serde_json::from_slice::<Entry<Erasure>>(&bytes).map_err(|error| {
            Fault::data("BOT-5100", format!("`{}` in the backup cannot be read", file.path))
                .caused_by(error)
        })?;
        known.push(entry);
    }
    let later = match &wishes.erasures {
        Some((place, live)) => newer(live.clone(), &known, place)?,
        None => Vec::new(),
    };
    Ok((known, later))
}

/// Finds where the logs of a store end at `at`.
async fn cuts_of(
    reader: &mut ChunkReader<'_>,
    entry: &StoreEntry,
    at: Option<DateTime<Utc>>,
) -> Result<Cuts> {
    let mut cuts = Cuts::default();
    let Some(at) = at else { return Ok(cuts) };
    for file in entry.files.iter().filter(|file| is_cut(&file.path)) {
        let bytes = reader.bytes(file).await?;
        cuts.note(&file.path, &bytes, at)?;
    }
    Ok(cuts)
}

/// Returns the files to restore: blobs first, logs last, and nothing that was erased.
fn kept<'a>(entry: &'a StoreEntry, cuts: &Cuts, erased: &Erased) -> Vec<&'a FileEntry> {
    let blobs: Vec<String> = erased.blobs.iter().map(blob_path).collect();
    let mut files: Vec<&FileEntry> = entry
        .files
        .iter()
        .filter(|file| cuts.keeps(&file.path) && !blobs.contains(&file.path))
        .collect();
    files.sort_by_key(|file| !file.path.starts_with("blobs/"));
    files
}

/// Returns the sizes of the objects in a store, by path.
async fn sizes(store: &Store) -> Result<BTreeMap<String, u64>> {
    let listed = store.list("").await?.into_iter();
    Ok(listed.map(|Stored { path, size_bytes, .. }| (path, size_bytes)).collect())
}

/// Writes the objects that the store does not have yet.
async fn objects(reader: &mut ChunkReader<'_>, store: &Store, files: &[&FileEntry]) -> Result<()> {
    let there = sizes(store).await?;
    for file in files {
        // An object is complete or absent, so one of the same size is that of the interrupted restore.
        if there.get(&file.path) == Some(&file.size) {
            continue;
        }
        let bytes = reader.bytes(file).await?;
        if !store.create(&file.path, bytes.into()).await? {
            return Err(Fault::conflict(
                "BOT-5110",
                format!("`{}` holds another object than the backup", store.url()),
            )
            .file(store.object_url(&file.path))
            .hint("somebody else wrote there: restore into an empty place"));
        }
    }
    Ok(())
}
