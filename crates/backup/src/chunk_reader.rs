//! Files out of chunks, each verified.

use crate::{
    chunk_writer::LONGEST,
    format::{BACKUPS, ChunkEntry, FileEntry, Header, Piece, Table, chunk_path},
    keys::Keys,
};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Result};
use botops_store::Store;
use botops_text::shell_word;
use futures::{StreamExt as _, TryStreamExt as _};
use std::{collections::VecDeque, sync::Arc};

/// The chunks that are held in memory.
const HELD: usize = 4;
/// The first bytes of a chunk, which name its recipients.
const BEGIN: u64 = 16 << 10;
/// The chunks whose keys are checked at a time.
const CHECKED_AT_A_TIME: usize = 16;

/// The largest header that is read.
const MOST_HEADER_BYTES: u64 = 16 << 20;
/// The largest stored chunk that is read: a chunk that does not pack, with its encryption.
const MOST_STORED_BYTES: u64 = 2 * LONGEST as u64;
/// The largest table that is put together, of some ten million files.
const MOST_TABLE_BYTES: usize = 2 << 30;

/// Reads the chunks of one backup.
pub(crate) struct ChunkReader<'a> {
    from: &'a Store,
    keys: &'a Keys,
    /// Whether every chunk must be encrypted.
    sealed: bool,
    chunks: Vec<ChunkEntry>,
    held: VecDeque<(u32, Arc<Vec<u8>>)>,
}

/// Lists the complete backups, the oldest first, each with its header or the reason why that cannot be read.
///
/// # Errors
/// Those of the store.
pub async fn headers(from: &Store) -> Result<Vec<(String, Result<Header>)>> {
    let mut found = Vec::new();
    for path in from.objects(BACKUPS, None).await? {
        let Some(id) = path.rsplit('/').next().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        // One that is removed meanwhile is gone.
        let Some(bytes) = from.read_range(&path, 0..MOST_HEADER_BYTES + 1).await? else { continue };
        let decoded = match bytes.len() as u64 > MOST_HEADER_BYTES {
            true => Err(Fault::data("BOT-5100", "the header of a backup has more than 16 MiB")
                .file(from.object_url(&path))),
            false => Header::decode(&bytes, &from.object_url(&path)),
        };
        let header = decoded.and_then(|header| {
            if header.id == id {
                return Ok(header);
            }
            Err(Fault::data("BOT-5100", format!("the header of a backup names `{}`", header.id))
                .file(from.object_url(&path)))
        });
        found.push((id.to_owned(), header));
    }
    Ok(found)
}

/// Returns the header of the backup `id`, or of the newest one.
///
/// # Errors
/// `BOT-5102` (exit 2) there is none; `BOT-5100` (exit 3), `BOT-5101` (exit 6) it cannot be read.
pub async fn header(from: &Store, id: Option<&str>) -> Result<Header> {
    let all = headers(from).await?;
    let found = match id {
        None | Some("latest") => all.into_iter().next_back(),
        Some(id) => all.into_iter().find(|(known, _)| known == id),
    };
    match found {
        Some((_, header)) => header,
        None => {
            let message = match id {
                Some(id) if id != "latest" => {
                    let id = botops_text::display(id, 60);
                    format!("`{}` has no backup `{id}`", from.url())
                }
                _ => format!("`{}` has no complete backup", from.url()),
            };
            Err(Fault::usage("BOT-5102", message).hint(others(from)))
        }
    }
}

impl<'a> ChunkReader<'a> {
    /// Reads the table of a backup.
    ///
    /// # Errors
    /// `BOT-5103` (exit 2) the keys do not open it; `BOT-5100` (exit 3) it is damaged.
    pub(crate) async fn open(
        from: &'a Store,
        keys: &'a Keys,
        header: &Header,
    ) -> Result<(Self, Table)> {
        let damaged = |problem: &str| {
            Fault::data("BOT-5100", format!("the table of backup `{}` {problem}", header.id))
                .file(from.object_url(&Header::path(&header.id)))
                .hint(others(from))
        };
        let mut plain = Vec::new();
        for name in &header.table_chunks {
            plain.extend(read_chunk(from, keys, (name, header.encrypted)).await?);
            if plain.len() > MOST_TABLE_BYTES {
                return Err(damaged("has more than 2 GiB"));
            }
        }
        if Digest::of(&plain) != header.table {
            return Err(damaged("does not match its digest"));
        }
        let table: Table = serde_json::from_slice(&plain)
            .map_err(|error| damaged("cannot be read").caused_by(error))?;
        if !table.is_plain(&header.stores) {
            return Err(damaged("has paths or stores that no backup has"));
        }
        let chunks = table.chunks.clone();
        Ok((Self { from, keys, sealed: header.encrypted, chunks, held: VecDeque::new() }, table))
    }

    /// Checks that the keys open every chunk, from the beginnings of the chunks. One that is missing is reported when it is
    /// read.
    ///
    /// # Errors
    /// `BOT-5103` (exit 2) they do not.
    pub(crate) async fn check_keys(&self) -> Result<()> {
        futures::stream::iter(&self.chunks)
            .map(|chunk| async move {
                let path = chunk_path(&chunk.name);
                let Some(begin) = self.from.read_range(&path, 0..BEGIN).await? else {
                    return Ok(());
                };
                if begin.starts_with(b"age-encryption.org/") {
                    self.keys.open(&begin)?;
                }
                Ok(())
            })
            .buffer_unordered(CHECKED_AT_A_TIME)
            .try_collect::<()>()
            .await
    }

    async fn chunk(&mut self, index: u32) -> Result<Arc<Vec<u8>>> {
        if let Some((_, chunk)) = self.held.iter().find(|(held, _)| *held == index) {
            return Ok(Arc::clone(chunk));
        }
        let Some(ChunkEntry { name, digest, .. }) = self.chunks.get(index as usize) else {
            return Err(Fault::data(
                "BOT-5100",
                format!("a file names chunk {index}, which is not listed"),
            ));
        };
        let plain = read_chunk(self.from, self.keys, (name, self.sealed)).await?;
        if Digest::of(&plain) != *digest {
            return Err(damaged(self.from, name, "does not match its digest"));
        }
        let plain = Arc::new(plain);
        if self.held.len() == HELD {
            self.held.pop_front();
        }
        self.held.push_back((index, Arc::clone(&plain)));
        Ok(plain)
    }

    /// Returns a part of a file.
    ///
    /// # Errors
    /// `BOT-5100` (exit 3) names the chunk.
    pub(crate) async fn part(&mut self, Piece(index, offset, length): Piece) -> Result<Vec<u8>> {
        let chunk = self.chunk(index).await?;
        let range = offset
            .checked_add(length)
            .and_then(|end| chunk.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
        range.map(<[u8]>::to_vec).ok_or_else(|| {
            Fault::data("BOT-5100", format!("a file names bytes that chunk {index} does not have"))
                .file(self.from.url())
        })
    }

    /// Passes the bytes of a file on, part by part, and verifies its digest at the end.
    ///
    /// # Errors
    /// `BOT-5100` (exit 3) names the chunk or the file; those of `take`.
    pub(crate) async fn each_part(
        &mut self,
        file: &FileEntry,
        mut take: impl AsyncFnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut hasher = Hasher::default();
        let mut size = 0;
        for piece in &file.pieces {
            let part = self.part(*piece).await?;
            hasher.update(&part);
            size += part.len() as u64;
            take(&part).await?;
        }
        if size != file.size || hasher.finish() != file.digest {
            return Err(self.wrong(file));
        }
        Ok(())
    }

    /// Returns the bytes of a file.
    ///
    /// # Errors
    /// Those of [`Self::each_part`].
    pub(crate) async fn bytes(&mut self, file: &FileEntry) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.each_part(file, async |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })
        .await?;
        Ok(bytes)
    }

    fn wrong(&self, file: &FileEntry) -> Fault {
        let path = &file.path;
        Fault::data(
            "BOT-5100",
            format!("the file `{path}` in the backup does not match its digest"),
        )
        .file(self.from.url())
        .hint(others(self.from))
    }
}

/// The hint that tells how to find another backup in `from`.
fn others(from: &Store) -> String {
    let store = shell_word(from.url());
    format!("see which backups there are: `botops backup list --store {store}`")
}

/// Returns the content of a chunk. With `sealed`, one that is not encrypted is damaged.
///
/// # Errors
/// `BOT-5100` (exit 3) it is missing or damaged; `BOT-5103` (exit 2) the keys do not open it.
pub(crate) async fn read_chunk(
    from: &Store,
    keys: &Keys,
    (name, sealed): (&Digest, bool),
) -> Result<Vec<u8>> {
    let path = chunk_path(name);
    let Some(stored) = from.read_range(&path, 0..MOST_STORED_BYTES + 1).await? else {
        return Err(damaged(from, name, "is missing"));
    };
    if stored.len() as u64 > MOST_STORED_BYTES {
        return Err(damaged(from, name, "is larger than any chunk"));
    }
    let packed = opened(&stored, keys, sealed)?;
    let plain = packed.and_then(|packed| zstd::bulk::decompress(&packed, LONGEST).ok());
    plain.ok_or_else(|| damaged(from, name, "is damaged"))
}

/// Opens stored bytes; the inner result is `None` if they are damaged, or if they had to be `sealed` and are not.
pub(crate) fn opened(stored: &[u8], keys: &Keys, sealed: bool) -> Result<Option<Vec<u8>>> {
    match stored.starts_with(b"age-encryption.org/") {
        true => keys.open(stored),
        false => Ok((!sealed).then(|| stored.to_vec())),
    }
}

fn damaged(from: &Store, name: &Digest, problem: &str) -> Fault {
    Fault::data("BOT-5100", format!("a chunk of the backup {problem}"))
        .file(from.object_url(&chunk_path(name)))
        .hint("use an earlier backup; remove the object, and the next backup stores it again")
}
