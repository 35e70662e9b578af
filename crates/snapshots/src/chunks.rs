//! Files become chunks, and new chunks become packs.
//!
//! Everything here blocks, a wave of files or a part of a large file at a time, so that whoever drives
//! it can send one wave's packs while the next is read. What comes out depends on the files, their
//! order and the chunks known before, never on the number of threads.

use super::{Chunk, Pack, SnapshotManifest};
use crate::{file_list::Found, file_stamps::Stamp};
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

/// Chunks have 32 to 512 KiB, mostly 128 KiB: a changed record costs one or two, and a file of 100 MB has 800 to name.
const LEAST: usize = 32 << 10;
const USUAL: usize = 128 << 10;
pub(crate) const MOST: usize = 512 << 10;
/// Bytes after which a pack is closed: an object that a bucket takes in one go, and few of them.
const PACK: usize = 8 << 20;
/// Bytes of files read at a time; of them and of what becomes of them, twice as much may be held.
const WAVE: u64 = 32 << 20;
/// Of zstd: the fastest level; the next ones gain a tenth and take twice as long.
const LEVEL: i32 = 1;

/// Returns where `bytes` are cut; unless they are the end of the file, what follows the last cut is not a chunk yet.
fn cut(bytes: &[u8], is_end: bool) -> Vec<Range<usize>> {
    FastCDC::new(bytes, LEAST, USUAL, MOST)
        // With less than the longest chunk before it, a cut may be there only because the bytes ended.
        .take_while(|chunk| is_end || bytes.len() - chunk.offset >= MOST)
        .map(|chunk| chunk.offset..chunk.offset + chunk.length)
        .collect()
}

/// Unpacks a chunk from its stored bytes; nothing when they are not of it.
pub(crate) fn unpacked(stored: &[u8], chunk: &Chunk) -> Option<Vec<u8>> {
    let bytes = zstd::bulk::decompress(stored, chunk.size_bytes as usize).ok()?;
    (bytes.len() as u64 == chunk.size_bytes && Digest::of(&bytes) == chunk.digest).then_some(bytes)
}

/// A file as stored: what a manifest says of it, packs by the numbers that [`Storing`] gives them.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) found: Found,
    pub(crate) digest: Digest,
    pub(crate) chunks: Vec<Chunk>,
}

/// A pack to be sent.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Its place in [`Storing::packs`].
    pub(crate) number: usize,
    pub(crate) bytes: Bytes,
}

/// A file too large to be held, half-way through.
struct Large {
    found: Found,
    file: File,
    hasher: Hasher,
    /// What follows the last cut.
    rest: Vec<u8>,
    n_read: u64,
    chunks: Vec<Chunk>,
}

/// A file that was read and cut.
struct Read {
    found: Found,
    bytes: Vec<u8>,
    digest: Digest,
    cuts: Vec<(Range<usize>, Digest)>,
}

/// Files on their way into packs.
pub(crate) struct Storing {
    waiting: VecDeque<Found>,
    large: Option<Large>,
    /// The chunks there are, by digest.
    known: HashMap<Digest, Chunk>,
    /// Those of the snapshot before, then those made here; none: not sent yet.
    pub(crate) packs: Vec<Option<Pack>>,
    /// The pack being filled, the last of `packs`.
    open: Vec<u8>,
    pub(crate) done: Vec<Stored>,
}

impl Storing {
    /// Begins with the chunks of `before`, which need not be stored again.
    pub(crate) fn new(files: Vec<Found>, before: Option<&SnapshotManifest>) -> Self {
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

    /// Reads the next wave; returns the packs it filled, or nothing when all is done.
    ///
    /// # Errors
    /// `BOT-1001` a file cannot be read, `BOT-5048` (exit 1) it changed meanwhile.
    pub(crate) fn step(&mut self) -> Result<Option<Vec<Sealed>>> {
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
                .advance(Large { found, file, hasher, rest, n_read: 0, chunks: Vec::new() })
                .map(Some);
        }
        let read: Vec<Result<Read>> = wave.into_par_iter().map(read).collect();
        let read: Vec<Read> = read.into_iter().collect::<Result<_>>()?;
        let cuts = read.iter().flat_map(|file| {
            file.cuts.iter().map(|(range, digest)| (&file.bytes[range.clone()], *digest))
        });
        let sealed = self.place(cuts.collect())?;
        for file in read {
            let chunks = file.cuts.iter().map(|(_, digest)| self.known[digest].clone()).collect();
            self.done.push(Stored { found: file.found, digest: file.digest, chunks });
        }
        Ok(Some(sealed))
    }

    fn advance(&mut self, mut large: Large) -> Result<Vec<Sealed>> {
        let before = large.rest.len();
        let unreadable = |error| spec::unreadable(&large.found.path, &error);
        large.file.by_ref().take(WAVE).read_to_end(&mut large.rest).map_err(unreadable)?;
        let n_read = large.rest.len() - before;
        large.n_read += n_read as u64;
        let is_end = (n_read as u64) < WAVE;
        let Large { hasher, rest, .. } = &mut large;
        let ((), cuts) = rayon::join(
            || hasher.update(&rest[before..]),
            || {
                let digested = |range: Range<usize>| (Digest::of(&rest[range.clone()]), range);
                cut(rest, is_end).into_par_iter().map(digested).collect::<Vec<_>>()
            },
        );
        let chunks = cuts.iter().map(|(digest, range)| (&rest[range.clone()], *digest)).collect();
        let sealed = self.place(chunks)?;
        large.chunks.extend(cuts.iter().map(|(digest, _)| self.known[digest].clone()));
        let end = cuts.last().map_or(0, |(_, range)| range.end);
        large.rest.drain(..end);
        if is_end {
            check_unchanged(&large.found, &large.file, large.n_read)?;
            let Large { found, hasher, chunks, .. } = large;
            self.done.push(Stored { found, digest: hasher.finish(), chunks });
        } else {
            self.large = Some(large);
        }
        Ok(sealed)
    }

    /// Puts those of `chunks` that are not known into packs, in order.
    fn place(&mut self, chunks: Vec<(&[u8], Digest)>) -> Result<Vec<Sealed>> {
        let mut new = HashSet::new();
        let chunks: Vec<(&[u8], Digest)> = chunks
            .into_iter()
            .filter(|(_, digest)| !self.known.contains_key(digest) && new.insert(*digest))
            .collect();
        // A compressor is made once for many chunks: making one costs as much as a chunk does.
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

    fn seal(&mut self) -> Sealed {
        Sealed { number: self.packs.len() - 1, bytes: std::mem::take(&mut self.open).into() }
    }
}

fn open(found: &Found) -> Result<File> {
    File::open(&found.path).map_err(|error| spec::unreadable(&found.path, &error))
}

fn read(found: Found) -> Result<Read> {
    let mut file = open(&found)?;
    let mut bytes = Vec::with_capacity(found.size_bytes as usize);
    // One byte more than there should be: a file that grows without end is not read to it.
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
    Ok(Read { found, bytes, digest, cuts })
}

/// Refuses a file that does not look as it did when it was found, or was not read to its end.
fn check_unchanged(found: &Found, file: &File, n_read: u64) -> Result<()> {
    let meta = file.metadata().map_err(|error| spec::unreadable(&found.path, &error))?;
    if n_read == found.size_bytes && meta.len() == n_read && Stamp::of(&meta) == found.stamp {
        return Ok(());
    }
    let message = format!("`{}` changed while it was being read", found.path.display());
    Err(Fault::conflict("BOT-5048", message)
        .file(&found.path)
        .hint("run again once nothing writes to it: nothing was taken down"))
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
    fn parts_are_cut_where_the_whole_is() {
        let bytes = noise(5 << 20, 1);
        let whole = cut(&bytes, true);
        assert!(whole.len() > 20);
        assert_eq!(whole.last().unwrap().end, bytes.len());
        for part in [MOST + 1, 700_001, 2 << 20] {
            let (mut found, mut from, mut to) = (Vec::new(), 0, 0);
            while to < bytes.len() {
                to = (to + part).min(bytes.len());
                let cuts = cut(&bytes[from..to], to == bytes.len());
                found.extend(cuts.iter().map(|range| from + range.start..from + range.end));
                from += cuts.last().map_or(0, |range| range.end);
            }
            assert_eq!(found, whole, "by {part}");
        }
    }

    #[test]
    fn an_inserted_byte_changes_a_chunk_or_two() {
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
