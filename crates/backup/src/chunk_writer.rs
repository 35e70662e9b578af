//! Files into chunks. Small files share a chunk; a large one has its own, cut where its content says.
//!
//! Which chunks there are depends on the files and their order only. So a second backup of the same files makes the same
//! chunks, which are stored already.

use crate::{
    format::{ChunkEntry, FileEntry, Piece, chunk_path},
    keys::Keys,
    marks::Mark,
};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Result};
use botops_store::Store;
use chrono::{DateTime, Utc};
use fastcdc::v2020::FastCDC;
use std::collections::{HashMap, HashSet};

/// The size from which a file has chunks of its own, in bytes.
pub(crate) const LARGE: u64 = 1 << 20;
/// The shortest chunk of a large file, in bytes, except at its end.
const SHORTEST: usize = 256 << 10;
/// The average chunk of a large file, in bytes.
const AVERAGE: usize = 1 << 20;
/// The longest chunk, in bytes.
pub(crate) const LONGEST: usize = 4 << 20;
/// The size from which a shared chunk may end, in bytes.
const SHARED: usize = 256 << 10;
/// The zstd level: fast, as most bytes are compressed already.
const LEVEL: i32 = 3;

/// The chunks that were stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uploaded {
    pub(crate) chunks: u64,
    /// The stored bytes.
    pub(crate) bytes: u64,
}

/// A file to store.
pub(crate) struct NewFile {
    pub(crate) path: String,
    pub(crate) written_at: DateTime<Utc>,
}

/// Writes the chunks of one backup.
pub(crate) struct ChunkWriter<'a> {
    target: &'a Store,
    keys: &'a Keys,
    mark: Mark,
    dry_run: bool,
    /// The names of the chunks in the target.
    stored: HashSet<Digest>,
    /// The chunks of this backup, and where each is.
    pub(crate) chunks: Vec<ChunkEntry>,
    by_name: HashMap<Digest, u32>,
    /// Small files that wait for the rest of their chunk.
    shared: Vec<u8>,
    waiting: Vec<(NewFile, Digest, u64)>,
    pub(crate) uploaded: Uploaded,
}

/// The parts of a large file as it is read.
#[derive(Default)]
pub(crate) struct LargeFile {
    hasher: Option<Hasher>,
    rest: Vec<u8>,
    size: u64,
    pieces: Vec<Piece>,
}

impl<'a> ChunkWriter<'a> {
    /// Starts. The chunks in the target are listed after the mark was set, so that none of them is removed from now on.
    pub(crate) async fn start(
        target: &'a Store,
        keys: &'a Keys,
        mark: Mark,
        dry_run: bool,
    ) -> Result<Self> {
        let listed = target.objects(crate::format::CHUNKS, None).await?;
        let stored = listed.iter().filter_map(|path| {
            format!("sha256:{}", path.rsplit('/').next()?).parse::<Digest>().ok()
        });
        Ok(Self {
            target,
            keys,
            mark,
            dry_run,
            stored: stored.collect(),
            chunks: Vec::new(),
            by_name: HashMap::new(),
            shared: Vec::new(),
            waiting: Vec::new(),
            uploaded: Uploaded::default(),
        })
    }

    /// Returns whether the target has all `chunks`.
    pub(crate) fn has(&self, chunks: impl IntoIterator<Item = Digest>) -> bool {
        chunks.into_iter().all(|name| self.stored.contains(&name))
    }

    /// Takes a chunk over from the backup before, and returns its index.
    pub(crate) fn reuse(&mut self, chunk: &ChunkEntry) -> u32 {
        if let Some(index) = self.by_name.get(&chunk.name) {
            return *index;
        }
        self.add(chunk.clone())
    }

    fn add(&mut self, chunk: ChunkEntry) -> u32 {
        let index = u32::try_from(self.chunks.len()).expect("fewer chunks than 4 TB have");
        self.by_name.insert(chunk.name, index);
        self.chunks.push(chunk);
        index
    }

    /// Stores a chunk unless the target has it, and returns its index.
    ///
    /// # Errors
    /// Those of the target; `BOT-5107` (exit 5) a removal took the mark of this command away.
    pub(crate) async fn put(&mut self, plain: Vec<u8>) -> Result<u32> {
        let name = self.keys.name(&plain);
        if let Some(index) = self.by_name.get(&name) {
            return Ok(*index);
        }
        let digest = Digest::of(&plain);
        let size = plain.len() as u64;
        if self.stored.insert(name) {
            let packed = zstd::bulk::compress(&plain, LEVEL).map_err(|error| {
                Fault::internal("BOT-9001", "a chunk could not be packed").caused_by(error)
            })?;
            let sealed = self.keys.seal(packed)?;
            self.uploaded.chunks += 1;
            self.uploaded.bytes += sealed.len() as u64;
            if !self.dry_run {
                self.mark.refresh(false).await?;
                self.target.create(&chunk_path(&name), sealed.into()).await?;
            }
        }
        Ok(self.add(ChunkEntry { name, digest, size }))
    }

    /// Adds a small file, and returns the files that are complete now.
    pub(crate) async fn small(&mut self, file: NewFile, bytes: &[u8]) -> Result<Vec<FileEntry>> {
        let mut done = Vec::new();
        if self.shared.len() + bytes.len() > LONGEST {
            done = self.flush().await?;
        }
        let digest = Digest::of(bytes);
        self.shared.extend_from_slice(bytes);
        self.waiting.push((file, digest, bytes.len() as u64));
        // One file in 16 ends a chunk that is long enough, always the same ones: a new file moves the ends nearby only.
        if self.shared.len() >= SHARED && digest.as_bytes()[0] & 0x0F == 0 {
            done.extend(self.flush().await?);
        }
        Ok(done)
    }

    /// Ends the chunk of small files, and returns them.
    pub(crate) async fn flush(&mut self) -> Result<Vec<FileEntry>> {
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        let shared = std::mem::take(&mut self.shared);
        let index = self.put(shared).await?;
        let mut offset = 0;
        let waiting = std::mem::take(&mut self.waiting);
        Ok(waiting
            .into_iter()
            .map(|(NewFile { path, written_at }, digest, size)| {
                let pieces = if size == 0 { Vec::new() } else { vec![Piece(index, offset, size)] };
                offset += size;
                FileEntry { path, size, digest, written_at, pieces }
            })
            .collect())
    }

    /// Adds a part of a large file.
    pub(crate) async fn large(&mut self, file: &mut LargeFile, bytes: &[u8]) -> Result<()> {
        file.hasher.get_or_insert_default().update(bytes);
        file.size += bytes.len() as u64;
        file.rest.extend_from_slice(bytes);
        self.cut(file, false).await
    }

    /// Ends a large file.
    pub(crate) async fn finish(&mut self, mut file: LargeFile, of: NewFile) -> Result<FileEntry> {
        self.cut(&mut file, true).await?;
        let digest = file.hasher.unwrap_or_default().finish();
        let NewFile { path, written_at } = of;
        Ok(FileEntry { path, size: file.size, digest, written_at, pieces: file.pieces })
    }

    async fn cut(&mut self, file: &mut LargeFile, is_end: bool) -> Result<()> {
        let mut start = 0;
        // With fewer bytes than the longest chunk has, it may end only because the bytes end.
        while file.rest.len() - start > if is_end { 0 } else { LONGEST } {
            let found = FastCDC::new(&file.rest[start..], SHORTEST, AVERAGE, LONGEST).next();
            let Some(found) = found else { break };
            let chunk = file.rest[start..start + found.length].to_vec();
            start += found.length;
            let size = chunk.len() as u64;
            let index = self.put(chunk).await?;
            file.pieces.push(Piece(index, 0, size));
        }
        file.rest.drain(..start);
        Ok(())
    }

    /// Returns the mark, to commit the backup under it.
    pub(crate) fn into_mark(self) -> (Mark, Vec<ChunkEntry>) {
        (self.mark, self.chunks)
    }
}
