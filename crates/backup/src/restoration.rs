//! A backup restored into empty places.
//!
//! Each store has a mark until everything is restored and every newer erasure is applied. Servers refuse a store with a
//! mark, so a crash or a full disk leaves nothing that is served. The same restore goes on where it ended.

use crate::{
    chunk_reader::{ChunkReader, unpack},
    erased::{Erased, newer, unfinished},
    format::{FileEntry, Header, PERSON_KEYS, StoreEntry, Table},
    keys::Keys,
    point_in_time::{Cuts, is_cut},
    restored_rows::RestoredRows,
};
use botops_conversations::{Copied, Location, WrappedKey};
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

/// Erases records of the prediction log of a restored store.
#[expect(async_fn_in_trait, reason = "it is polled by the task that made it")]
pub trait ForgetPredictions {
    /// Erases the records of these conversations in `store`.
    ///
    /// # Errors
    /// Those of the log.
    async fn forget(&mut self, store: &Store, erased: &Erased) -> Result<()>;
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

/// Restores the backup `header` of the store `from`.
///
/// # Errors
/// `BOT-5110` (exit 5) a target is not empty; `BOT-5111` (exit 6) the newer erasures are not known; `BOT-5100` (exit 3) the
/// backup is damaged; `BOT-5103` (exit 2) the keys do not open it; those of the targets. The targets have their marks then.
pub async fn restore(
    from: &Store,
    header: &Header,
    keys: &Keys,
    (targets, wishes): (&Targets, &Wishes),
    predictions: &mut impl ForgetPredictions,
) -> Result<Restored> {
    let name = match wishes.at {
        Some(at) => format!("{} at {}", header.id, at.to_rfc3339()),
        None => header.id.clone(),
    };
    let (mut reader, table) = ChunkReader::open(from, keys, header).await?;
    for store in targets.stores.values() {
        store.check_restorable(&name).await?;
    }
    if let Some(location) = &targets.conversations {
        location.check_empty().await?;
    }
    let (later, unfinished) = newer_erasures(&mut reader, &table, wishes).await?;
    let erased = Erased::of(later.iter().chain(&unfinished));
    let mut restored = Restored {
        objects: 0,
        bytes: 0,
        logs_cut: 0,
        conversations: None,
        erasures: later.len() as u64,
    };
    let wanted = || table.stores.iter().filter_map(|it| Some((it, targets.stores.get(&it.name)?)));
    let mut cuts = Vec::new();
    for (entry, _) in wanted() {
        let cut = cuts_of(&mut reader, entry, wishes.at).await?;
        restored.logs_cut += cut.len();
        for file in kept(entry, &cut, &erased) {
            restored.objects += 1;
            restored.bytes += file.size;
        }
        cuts.push(cut);
    }
    if wishes.dry_run {
        restored.conversations = header.conversations.filter(|_| targets.conversations.is_some());
        return Ok(restored);
    }
    // All marks first, so that no part is served while another one is missing.
    let mut marked = Vec::new();
    for (_, store) in wanted() {
        marked.push(store.begin_restore(&name).await?);
    }
    for (((entry, _), store), cut) in wanted().zip(&marked).zip(&cuts) {
        objects(&mut reader, store, kept(entry, cut, &erased)).await?;
    }
    for ((entry, _), store) in wanted().zip(&marked) {
        if entry.files.iter().any(|file| file.path.starts_with("predictions/")) {
            predictions.forget(store, &erased).await?;
        }
        if entry.name == crate::REGISTRY {
            for erasure in &later {
                store.record_erasure(&erasure.payload).await?;
            }
        }
    }
    if let (Some(location), Some(turns)) = (&targets.conversations, &table.turns) {
        let wrapped = person_keys(from, keys).await?;
        let mut rows = RestoredRows::new(&mut reader, turns, wrapped, (&erased, wishes.at));
        restored.conversations = Some(location.import(&mut rows).await?);
    }
    for store in &marked {
        store.end_restore().await?;
    }
    Ok(restored)
}

/// Returns the erasures of the live log that the backup does not have, and those of the backup that were begun only.
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
    Ok((later, unfinished(known)))
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

/// Writes the objects that the store does not have yet.
async fn objects(
    reader: &mut ChunkReader<'_>,
    store: &Store,
    files: Vec<&FileEntry>,
) -> Result<()> {
    let there: BTreeMap<String, u64> = store
        .list("")
        .await?
        .into_iter()
        .map(|Stored { path, size_bytes, .. }| (path, size_bytes))
        .collect();
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

/// Returns the keys of persons in their newest state.
async fn person_keys(from: &Store, keys: &Keys) -> Result<Vec<WrappedKey>> {
    let damaged = |path: &str| {
        Fault::data("BOT-5100", "the keys of persons in the backup are damaged")
            .file(from.object_url(path))
            .hint("make a new backup from the live store: it replaces them")
    };
    // A backup that ends meanwhile replaces them.
    for _ in 0..3 {
        let Some(path) = from.objects(PERSON_KEYS, None).await?.pop() else {
            return Ok(Vec::new());
        };
        let Some(stored) = from.read(&path).await? else { continue };
        let plain = unpack(&stored, keys)?.ok_or_else(|| damaged(&path))?;
        return crate::rows::read_all(&plain).ok_or_else(|| damaged(&path));
    }
    Err(Fault::conflict("BOT-5107", "other backups end again and again")
        .hint("run the command again"))
}
