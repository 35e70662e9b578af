//! A new backup.

use crate::{
    chunk_reader::{ChunkReader, headers},
    chunk_writer::{ChunkWriter, LARGE, LargeFile, NewFile, Uploaded},
    erased::Erased,
    format::{ChunkEntry, FileEntry, Header, Piece, StoreEntry, Table},
    keys::Keys,
    listing,
    marks::{CREATING, Mark},
    person_keys::{self, Collected},
    rows::Line as _,
};
use botops_conversations::{Copied, Location, Rows, WrappedKey};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_store::{Store, Stored, blob_path};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::{BTreeMap, HashMap};

/// Small objects that are read at a time.
const CONCURRENT_READS: usize = 16;
/// Small objects that are held in memory before they are packed.
const WAVE: usize = 64;
/// The bytes of a large object that are read at a time.
const WINDOW: u64 = 8 << 20;
/// How often a store is listed again because objects were removed meanwhile.
const ROUNDS: usize = 5;

/// The stores to back up.
pub struct Sources {
    /// The stores with their names, such as `registry`; one that others refer to comes after them.
    pub stores: Vec<(String, Store)>,
    /// The conversations; `None` if they are not backed up.
    pub conversations: Option<Location>,
    /// Whether another registry than that of the newest backup is meant to be backed up.
    pub new_registry: bool,
    /// Whether a backup without encryption may follow an encrypted one.
    pub unencrypted: bool,
}

/// A backup that was made.
#[derive(Debug)]
pub struct Created {
    /// The header.
    pub header: Header,
    /// The number of objects that were read; the others are as in the backup before.
    pub read: u64,
    /// The number of chunks that were stored.
    pub new_chunks: u64,
    /// Their size in bytes.
    pub new_bytes: u64,
    /// The blobs of the live store that do not match their digest, which are left out.
    pub damaged: Vec<String>,
}

/// Makes a backup of `sources` in the store `target`. It exists from the moment when its header is stored, the last object
/// that is written. `name` makes its name unique among those of the same second.
///
/// Servers may go on writing. Objects that are as they were in the backup before are not read again, if the keys open it.
///
/// # Errors
/// `BOT-5115` (exit 5) the registry is not that of the newest backup, or is empty; `BOT-5116` (exit 2) no recipient was
/// given, and the newest backup is encrypted; `BOT-5105` (exit 5) objects were removed faster than they could be read; `BOT-5107` (exit 5) old backups are being
/// removed; those of the stores and of the conversations. Nothing counts as a backup then.
pub async fn create(
    target: &Store,
    sources: &Sources,
    keys: &Keys,
    (at, name, dry_run): (DateTime<Utc>, &str, bool),
) -> Result<Created> {
    let id = format!("{}-{name}", at.format("%Y%m%dT%H%M%SZ"));
    let newest = headers(target).await?.into_iter().rev().find_map(|(_, header)| header.ok());
    let registry = check_sources(sources, keys, newest.as_ref()).await?;
    let before = previous(target, keys, newest).await;
    let mark = match dry_run {
        true => Mark::none(target),
        false => Mark::set(target, CREATING, &id).await?,
    };
    mark.outlast_removals().await?;
    let mut creation = Creation {
        writer: ChunkWriter::start(target, keys, mark, dry_run).await?,
        read: 0,
        damaged: Vec::new(),
    };
    let mut table = Table::default();
    for (name, store) in &sources.stores {
        let old = before.as_ref().and_then(|before| before.files(name));
        let files = creation.store(store, old.unwrap_or_default()).await?;
        table.stores.push(StoreEntry { name: name.clone(), files });
    }
    let mut live_keys = Vec::new();
    let mut copied = None;
    if let Some(location) = &sources.conversations {
        let (file, extent) = creation.conversations(location, at, &mut live_keys).await?;
        table.turns = Some(file);
        copied = Some(extent);
    }
    let Creation { mut writer, read, damaged } = creation;
    table.chunks = writer.chunks.clone();
    let (table_digest, table_chunks) = store_table(&mut writer, &table).await?;
    let Uploaded { chunks: new_chunks, bytes: new_bytes } = writer.uploaded;
    let mut chunks: Vec<Digest> = table.chunks.iter().map(|chunk| chunk.name).collect();
    chunks.sort_unstable();
    let all = || table.stores.iter().flat_map(|store| &store.files);
    let header = Header {
        id,
        created_at: at,
        registry,
        encrypted: keys.encrypts(),
        stores: table.stores.iter().map(|store| store.name.clone()).collect(),
        objects: all().count() as u64,
        bytes: all().map(|file| file.size).sum::<u64>()
            + table.turns.as_ref().map_or(0, |it| it.size),
        conversations: copied,
        damaged: damaged.len() as u64,
        table: table_digest,
        table_chunks,
        chunks,
    };
    if !dry_run {
        let erased = erased(sources).await?;
        let collected =
            person_keys::collect(target, keys, live_keys, (&erased, &header.id)).await?;
        commit(target, keys, writer, &header, &collected).await?;
    }
    Ok(Created { header, read, new_chunks, new_bytes, damaged })
}

/// Returns what the log of erasures of the live registry names.
async fn erased(sources: &Sources) -> Result<Erased> {
    let registry = sources.stores.iter().find(|(name, _)| name == crate::REGISTRY);
    let log = match registry {
        Some((_, store)) => store.erasures().await?,
        None => Vec::new(),
    };
    Ok(Erased::of(&log))
}

/// Checks that the registry is that of the `newest` backup, and returns its identity.
async fn check_sources(
    sources: &Sources,
    keys: &Keys,
    newest: Option<&Header>,
) -> Result<Option<String>> {
    let registry = sources.stores.iter().find(|(name, _)| name == crate::REGISTRY);
    let Some((_, store)) = registry else { return Ok(None) };
    let identity = store.identity().await?;
    let Some(newest) = newest else { return Ok(identity) };
    if newest.encrypted && !keys.encrypts() && !sources.unencrypted {
        let message = format!("the backup `{}` is encrypted, and this one would not be", newest.id);
        return Err(Fault::usage("BOT-5116", message)
            .hint("name the recipients: `--recipients-file FILE`, or BOTOPS_BACKUP_RECIPIENTS")
            .hint("if that is meant: `--unencrypted`"));
    }
    let folders = store.folders("").await?;
    let is_empty = folders.iter().all(|folder| ["probes", "sweeps"].contains(&folder.as_str()));
    let problem = match (&identity, &newest.registry) {
        _ if is_empty && newest.objects > 0 => "is empty",
        (None, _) => "has no identity",
        (Some(live), Some(known)) if live != known => "is another one",
        _ => return Ok(identity),
    };
    if sources.new_registry {
        return Ok(identity);
    }
    let message = format!(
        "`{}` {problem}: the newest backup, `{}`, was made of another registry, or this one was lost",
        store.url(),
        newest.id
    );
    Err(Fault::conflict("BOT-5115", message)
        .hint("check that its disk is mounted; if it is lost, restore the backup")
        .hint("if it was restored or made anew on purpose: `--new-registry`"))
}

/// Stores the keys of persons, then the header. Files of keys that the new one replaces are removed.
async fn commit(
    target: &Store,
    keys: &Keys,
    writer: ChunkWriter<'_>,
    header: &Header,
    collected: &Collected,
) -> Result<()> {
    let (mut mark, _) = writer.into_mark();
    if header.conversations.is_some() {
        collected.store(target, keys, &header.id).await?;
    }
    // A removal that took this command for a killed one has removed its mark, and may have removed its chunks.
    mark.refresh(true).await?;
    let path = Header::path(&header.id);
    if !target.create(&path, header.encode().into()).await? {
        return Err(Fault::conflict("BOT-5107", format!("there is a backup `{}`", header.id))
            .file(target.object_url(&path))
            .hint("run the command again"));
    }
    if header.conversations.is_some() {
        collected.remove_covered(target).await?;
    }
    mark.clear().await
}

/// Stores the table, and returns its digest and its chunks.
async fn store_table(writer: &mut ChunkWriter<'_>, table: &Table) -> Result<(Digest, Vec<Digest>)> {
    let bytes = serde_json::to_vec(table).expect("a table can be written as JSON");
    let mut file = LargeFile::default();
    for part in bytes.chunks(WINDOW as usize) {
        writer.large(&mut file, part).await?;
    }
    let of = NewFile { path: String::new(), written_at: DateTime::UNIX_EPOCH };
    let entry = writer.finish(file, of).await?;
    let names = entry.pieces.iter().map(|Piece(index, ..)| writer.chunks[*index as usize].name);
    Ok((entry.digest, names.collect()))
}

/// The table of the backup before.
struct Previous(Table);

impl Previous {
    /// Returns the files of the store `name`, with their chunks.
    fn files(&self, name: &str) -> Option<Known<'_>> {
        let store = self.0.stores.iter().find(|store| store.name == name)?;
        let files = store.files.iter().map(|file| (file.path.as_str(), file));
        Some(Known { chunks: &self.0.chunks, files: files.collect() })
    }
}

#[derive(Default)]
struct Known<'a> {
    chunks: &'a [ChunkEntry],
    files: HashMap<&'a str, &'a FileEntry>,
}

impl<'a> Known<'a> {
    /// Returns the file as it was stored before, if it is unchanged.
    fn unchanged(&self, stored: &Stored) -> Option<(&'a FileEntry, Vec<&'a ChunkEntry>)> {
        let file = *self.files.get(stored.path.as_str())?;
        // The name of a blob is its digest. Of other objects the time is compared, too.
        let is_same = file.size == stored.size_bytes
            && (stored.blob().is_some() || file.written_at == stored.written_at);
        let chunks: Option<Vec<_>> =
            file.pieces.iter().map(|Piece(index, ..)| self.chunks.get(*index as usize)).collect();
        is_same.then_some((file, chunks?))
    }
}

/// Returns the table of the newest backup that can be read; with it, less is read. Without an identity there is none.
async fn previous(target: &Store, keys: &Keys, newest: Option<Header>) -> Option<Previous> {
    // No chunk of a plain backup becomes part of an encrypted one.
    let newest = newest.filter(|it| it.encrypted == keys.encrypts())?;
    let (_, table) = ChunkReader::open(target, keys, &newest).await.ok()?;
    Some(Previous(table))
}

struct Creation<'a> {
    writer: ChunkWriter<'a>,
    read: u64,
    damaged: Vec<String>,
}

impl Creation<'_> {
    /// Stores the objects of a store.
    async fn store(&mut self, store: &Store, old: Known<'_>) -> Result<Vec<FileEntry>> {
        let mut files: BTreeMap<String, FileEntry> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let listed = listing::list(store).await?;
            let mut new = Vec::new();
            for stored in listed {
                let is_read = files.get(&stored.path).is_some_and(|file| {
                    file.size == stored.size_bytes && file.written_at == stored.written_at
                });
                if is_read || self.damaged.contains(&stored.path) {
                    continue;
                }
                match old.unchanged(&stored) {
                    Some((file, chunks)) if self.writer.has(chunks.iter().map(|it| it.name)) => {
                        let file = self.take_over(file, &chunks, stored.written_at);
                        files.insert(stored.path, file);
                    }
                    _ => new.push(stored),
                }
            }
            let n_gone = self.objects(store, new, &mut files).await?;
            if n_gone == 0 {
                return Ok(files.into_values().collect());
            }
            // Their replacements are in a later listing.
        }
        Err(Fault::conflict("BOT-5105", format!("`{}` changes too fast for a backup", store.url()))
            .hint("run the command again, when no compaction and no garbage collection is at work"))
    }

    fn take_over(
        &mut self,
        file: &FileEntry,
        chunks: &[&ChunkEntry],
        written_at: DateTime<Utc>,
    ) -> FileEntry {
        let pieces = file.pieces.iter().zip(chunks);
        let pieces = pieces.map(|(Piece(_, offset, length), chunk)| {
            Piece(self.writer.reuse(chunk), *offset, *length)
        });
        FileEntry { pieces: pieces.collect(), written_at, ..file.clone() }
    }

    /// Reads and stores objects. Returns the number of those that were removed meanwhile.
    async fn objects(
        &mut self,
        store: &Store,
        new: Vec<Stored>,
        files: &mut BTreeMap<String, FileEntry>,
    ) -> Result<u64> {
        let mut gone = 0;
        let (large, small): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|it| it.size_bytes >= LARGE);
        for wave in small.chunks(WAVE) {
            let read: Vec<(&Stored, Option<Bytes>)> =
                futures::stream::iter(wave)
                    .map(|stored| async move {
                        Ok::<_, Fault>((stored, store.read(&stored.path).await?))
                    })
                    .buffered(CONCURRENT_READS)
                    .try_collect()
                    .await?;
            for (stored, bytes) in read {
                let Some(bytes) = bytes else {
                    gone += 1;
                    continue;
                };
                self.read += 1;
                if self.is_damaged(&stored.path, || Digest::of(&bytes)) {
                    continue;
                }
                let file = NewFile { path: stored.path.clone(), written_at: stored.written_at };
                let done = self.writer.small(file, &bytes).await?;
                files.extend(done.into_iter().map(|file| (file.path.clone(), file)));
            }
        }
        let done = self.writer.flush().await?;
        files.extend(done.into_iter().map(|file| (file.path.clone(), file)));
        for stored in large {
            match self.large_object(store, &stored).await? {
                Some(file) => {
                    self.read += 1;
                    let digest = file.digest;
                    if !self.is_damaged(&stored.path, || digest) {
                        files.insert(stored.path, file);
                    }
                }
                None => gone += 1,
            }
        }
        Ok(gone)
    }

    /// Reads and stores a large object; `None` if it was removed meanwhile.
    async fn large_object(&mut self, store: &Store, stored: &Stored) -> Result<Option<FileEntry>> {
        let mut file = LargeFile::default();
        let mut from = 0;
        while from < stored.size_bytes {
            let end = (from + WINDOW).min(stored.size_bytes);
            let Some(bytes) = store.read_range(&stored.path, from..end).await? else {
                return Ok(None);
            };
            if bytes.is_empty() {
                break;
            }
            from += bytes.len() as u64;
            self.writer.large(&mut file, &bytes).await?;
        }
        let of = NewFile { path: stored.path.clone(), written_at: stored.written_at };
        self.writer.finish(file, of).await.map(Some)
    }

    /// Returns whether `path` is that of a blob with another digest, and notes it.
    fn is_damaged(&mut self, path: &str, digest: impl FnOnce() -> Digest) -> bool {
        let name = path.strip_prefix("blobs/sha256/").and_then(|rest| rest.split('/').nth(1));
        let Some(named) = name.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok())
        else {
            return false;
        };
        let is_damaged = blob_path(&named) == path && digest() != named;
        if is_damaged {
            self.damaged.push(path.to_owned());
        }
        is_damaged
    }

    /// Stores the turns, and collects the keys of persons.
    async fn conversations(
        &mut self,
        location: &Location,
        at: DateTime<Utc>,
        live_keys: &mut Vec<WrappedKey>,
    ) -> Result<(FileEntry, Copied)> {
        let mut file = LargeFile::default();
        let writer = &mut self.writer;
        let copied = location
            .export(async |rows| {
                match rows {
                    Rows::Turns(rows) => {
                        let mut lines = Vec::new();
                        rows.iter().for_each(|row| row.write(&mut lines));
                        writer.large(&mut file, &lines).await?;
                    }
                    Rows::Keys(keys) => live_keys.extend(keys),
                }
                Ok(())
            })
            .await?;
        let of = NewFile { path: "turns.jsonl".to_owned(), written_at: at };
        Ok((writer.finish(file, of).await?, copied))
    }
}
