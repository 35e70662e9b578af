//! Files cut into chunks, and new chunks collected in packs.
//!
//! Everything here blocks. Each step reads a wave of files or a part of a large file, so that the caller can send the
//! packs of one wave while the next one is read. The packs depend on the files, their order and the chunks known before,
//! never on the number of threads.

use crate::{
    file_list::FoundFile,
    file_stamps::Stamp,
    manifest::{Chunk, LONGEST_CHUNK, Pack, SnapshotManifest},
};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Result};
use botops_spec as spec;
use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use rayon::prelude::*;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::File,
    io::Read as _,
    ops::Range,
};

/// The shortest chunk, in bytes, except at the end of a file.
const SHORTEST_CHUNK: usize = 32 << 10;
/// The average chunk, in bytes: a changed record costs one or two chunks, and a file of 100 MB has about 800.
const AVERAGE_CHUNK: usize = 128 << 10;
/// The size at which a pack is closed, in bytes: small enough for one request, large enough to keep packs few.
const PACK: usize = 8 << 20;
/// Bytes of files read at a time. Memory use is about twice this: the bytes read, and the packs made from them.
const WAVE: u64 = 32 << 20;
/// The zstd level: the fastest one; the next levels save a tenth of the size and take twice as long.
const LEVEL: i32 = 1;

/// Returns the chunks of `bytes`. Unless `is_end`, the bytes after the last chunk belong to a chunk that is not complete.
fn cut(bytes: &[u8], is_end: bool) -> Vec<Range<usize>> {
    FastCDC::new(bytes, SHORTEST_CHUNK, AVERAGE_CHUNK, LONGEST_CHUNK)
        // A chunk with fewer bytes after its start than the longest chunk may end only because the bytes end.
        .take_while(|chunk| is_end || bytes.len() - chunk.offset >= LONGEST_CHUNK)
        .map(|chunk| chunk.offset..chunk.offset + chunk.length)
        .collect()
}

/// Decompresses a chunk; `None` when `stored` is damaged or belongs to another chunk.
pub(crate) fn unpacked(stored: &[u8], chunk: &Chunk) -> Option<Vec<u8>> {
    let bytes = zstd::bulk::decompress(stored, chunk.size_bytes as usize).ok()?;
    (bytes.len() as u64 == chunk.size_bytes && Digest::of(&bytes) == chunk.digest).then_some(bytes)
}

/// A file that was read. The chunks name packs by their index in [`Packer::packs`].
#[derive(Debug)]
pub(crate) struct StoredFile {
    pub(crate) found: FoundFile,
    pub(crate) digest: Digest,
    pub(crate) chunks: Vec<Chunk>,
}

/// A complete pack to send.
#[derive(Debug)]
pub(crate) struct SealedPack {
    /// Its index in [`Packer::packs`].
    pub(crate) number: usize,
    pub(crate) bytes: Bytes,
}

/// A file larger than a wave, read in part.
struct LargeFile {
    found: FoundFile,
    file: File,
    hasher: Hasher,
    /// The bytes after the last chunk.
    rest: Vec<u8>,
    n_read: u64,
    chunks: Vec<Chunk>,
}

/// A file that was read and cut into chunks.
struct ReadFile {
    found: FoundFile,
    bytes: Vec<u8>,
    digest: Digest,
    cuts: Vec<(Range<usize>, Digest)>,
}

/// Turns files into packs, wave by wave.
pub(crate) struct Packer {
    waiting: VecDeque<FoundFile>,
    large: Option<LargeFile>,
    /// All chunks so far, by digest.
    known: HashMap<Digest, Chunk>,
    /// The packs of the snapshot before, then the new ones; `None` for a pack that is not sent yet.
    pub(crate) packs: Vec<Option<Pack>>,
    /// The pack being filled, the last of `packs`.
    open: Vec<u8>,
    /// The files read so far.
    pub(crate) done: Vec<StoredFile>,
}

impl Packer {
    /// Starts with the chunks of the snapshot `before`, which are not stored again.
    pub(crate) fn new(files: Vec<FoundFile>, before: Option<&SnapshotManifest>) -> Self {
        let chunks = before.into_iter().flat_map(|manifest| &manifest.files);
        let chunks = chunks.flat_map(|file| &file.chunks);
        let packs = before.map(|manifest| manifest.packs.clone()).unwrap_or_default();
        Self {
            waiting: files.into(),
            large: None,
            known: chunks.map(|chunk| (chunk.digest, chunk.clone())).collect(),
            packs: packs.into_iter().map(Some).collect(),
            open: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Reads the next wave. Returns the packs that it completed, or `None` when all files are done.
    ///
    /// # Errors
    /// `BOT-1001` a file cannot be read, `BOT-5048` (exit 5) it changed while it was read.
    pub(crate) fn step(&mut self) -> Result<Option<Vec<SealedPack>>> {
        if let Some(large) = self.large.take() {
            return self.advance(large).map(Some);
        }
        let mut wave = Vec::new();
        let mut size = 0;
        while let Some(next) = self.waiting.front() {
            if !wave.is_empty() && size + next.size_bytes > WAVE {
                break;
            }
            size += next.size_bytes;
            wave.extend(self.waiting.pop_front());
        }
        if wave.is_empty() {
            let last = !self.open.is_empty();
            return Ok(last.then(|| vec![self.seal()]));
        }
        if size > WAVE {
            let found = wave.swap_remove(0);
            let file = open(&found)?;
            let (hasher, rest) = (Hasher::default(), Vec::new());
            return self
                .advance(LargeFile { found, file, hasher, rest, n_read: 0, chunks: Vec::new() })
                .map(Some);
        }
        let read: Vec<Result<ReadFile>> = wave.into_par_iter().map(read).collect();
        let read: Vec<ReadFile> = read.into_iter().collect::<Result<_>>()?;
        let cuts = read.iter().flat_map(|file| {
            file.cuts.iter().map(|(range, digest)| (&file.bytes[range.clone()], *digest))
        });
        let sealed = self.pack(cuts.collect())?;
        for file in read {
            let chunks = file.cuts.iter().map(|(_, digest)| self.known[digest].clone()).collect();
            self.done.push(StoredFile { found: file.found, digest: file.digest, chunks });
        }
        Ok(Some(sealed))
    }

    /// Reads and packs the next part of a large file.
    fn advance(&mut self, mut large: LargeFile) -> Result<Vec<SealedPack>> {
        let before = large.rest.len();
        let unreadable = |error| spec::unreadable(&large.found.path, &error);
        large.file.by_ref().take(WAVE).read_to_end(&mut large.rest).map_err(unreadable)?;
        let n_read = large.rest.len() - before;
        large.n_read += n_read as u64;
        let is_end = (n_read as u64) < WAVE;
        let LargeFile { hasher, rest, .. } = &mut large;
        let ((), cuts) = rayon::join(
            || hasher.update(&rest[before..]),
            || {
                let digested = |range: Range<usize>| (Digest::of(&rest[range.clone()]), range);
                cut(rest, is_end).into_par_iter().map(digested).collect::<Vec<_>>()
            },
        );
        let chunks = cuts.iter().map(|(digest, range)| (&rest[range.clone()], *digest)).collect();
        let sealed = self.pack(chunks)?;
        large.chunks.extend(cuts.iter().map(|(digest, _)| self.known[digest].clone()));
        let end = cuts.last().map_or(0, |(_, range)| range.end);
        large.rest.drain(..end);
        if is_end {
            check_unchanged(&large.found, &large.file, large.n_read)?;
            let LargeFile { found, hasher, chunks, .. } = large;
            self.done.push(StoredFile { found, digest: hasher.finish(), chunks });
        } else {
            self.large = Some(large);
        }
        Ok(sealed)
    }

    /// Puts the chunks that are not known yet into packs, in order.
    fn pack(&mut self, chunks: Vec<(&[u8], Digest)>) -> Result<Vec<SealedPack>> {
        let mut new = HashSet::new();
        let chunks: Vec<(&[u8], Digest)> = chunks
            .into_iter()
            .filter(|(_, digest)| !self.known.contains_key(digest) && new.insert(*digest))
            .collect();
        // One compressor serves many chunks, because creating it costs as much as compressing one.
        let compressed: Vec<std::io::Result<Vec<u8>>> = chunks
            .par_iter()
            .map_init(
                || zstd::bulk::Compressor::new(LEVEL),
                |compressor, (bytes, _)| match compressor {
                    Ok(compressor) => compressor.compress(bytes),
                    Err(error) => Err(std::io::Error::other(error.to_string())),
                },
            )
            .collect();
        let mut sealed = Vec::new();
        for ((bytes, digest), stored) in chunks.into_iter().zip(compressed) {
            let stored = stored.map_err(|error| {
                Fault::internal("BOT-9001", "a chunk could not be compressed").caused_by(error)
            })?;
            if self.open.is_empty() {
                self.packs.push(None);
            }
            let chunk = Chunk {
                digest,
                size_bytes: bytes.len() as u64,
                pack: (self.packs.len() - 1) as u32,
                start: self.open.len() as u64,
                stored_bytes: stored.len() as u64,
            };
            self.known.insert(digest, chunk);
            self.open.extend_from_slice(&stored);
            if self.open.len() >= PACK {
                sealed.push(self.seal());
            }
        }
        Ok(sealed)
    }

    fn seal(&mut self) -> SealedPack {
        SealedPack { number: self.packs.len() - 1, bytes: std::mem::take(&mut self.open).into() }
    }
}

fn open(found: &FoundFile) -> Result<File> {
    File::open(&found.path).map_err(|error| spec::unreadable(&found.path, &error))
}

fn read(found: FoundFile) -> Result<ReadFile> {
    let mut file = open(&found)?;
    let mut bytes = Vec::with_capacity(found.size_bytes as usize);
    // One byte more than expected shows that the file grew, without reading one that keeps growing.
    file.by_ref()
        .take(found.size_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| spec::unreadable(&found.path, &error))?;
    check_unchanged(&found, &file, bytes.len() as u64)?;
    let mut cuts: Vec<(Range<usize>, Digest)> = Vec::new();
    let ranges = cut(&bytes, true);
    let digest = if ranges.len() == 1 {
        let digest = Digest::of(&bytes);
        cuts.push((0..bytes.len(), digest));
        digest
    } else {
        cuts.extend(ranges.into_iter().map(|range| (range.clone(), Digest::of(&bytes[range]))));
        Digest::of(&bytes)
    };
    Ok(ReadFile { found, bytes, digest, cuts })
}

/// Refuses a file whose size or stamp changed since it was listed.
fn check_unchanged(found: &FoundFile, file: &File, n_read: u64) -> Result<()> {
    let meta = file.metadata().map_err(|error| spec::unreadable(&found.path, &error))?;
    if n_read == found.size_bytes && meta.len() == n_read && Stamp::of(&meta) == found.stamp {
        return Ok(());
    }
    let message = format!("`{}` changed while it was being read", found.path.display());
    Err(Fault::conflict("BOT-5048", message)
        .file(&found.path)
        .hint("run again when no program writes to it; no snapshot was taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_stats::random::Random;

    fn noise(n: usize, seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed);
        let mut bytes: Vec<u8> = Vec::with_capacity(n + 8);
        while bytes.len() < n {
            bytes.extend(random.bits().to_le_bytes());
        }
        bytes.truncate(n);
        bytes
    }

    #[test]
    fn parts_have_the_same_chunks_as_the_whole() {
        let bytes = noise(5 << 20, 1);
        let whole = cut(&bytes, true);
        assert!(whole.len() > 20);
        assert_eq!(whole.last().unwrap().end, bytes.len());
        for part in [LONGEST_CHUNK + 1, 700_001, 2 << 20] {
            let (mut found, mut from, mut to) = (Vec::new(), 0, 0);
            while to < bytes.len() {
                to = (to + part).min(bytes.len());
                let cuts = cut(&bytes[from..to], to == bytes.len());
                found.extend(cuts.iter().map(|range| from + range.start..from + range.end));
                from += cuts.last().map_or(0, |range| range.end);
            }
            assert_eq!(found, whole, "parts of {part} bytes");
        }
    }

    #[test]
    fn an_inserted_byte_changes_at_most_two_chunks() {
        let mut bytes = noise(8 << 20, 2);
        let digests = |bytes: &[u8]| -> HashSet<Digest> {
            cut(bytes, true).into_iter().map(|range| Digest::of(&bytes[range])).collect()
        };
        for at in [0, 1 << 20, 4 << 20, 8 << 20] {
            let before = digests(&bytes);
            bytes.insert(at, 7);
            let after = digests(&bytes);
            assert!(after.difference(&before).count() <= 2, "at {at}");
        }
        bytes.clear();
        assert!(cut(&bytes, true).is_empty());
    }
}
