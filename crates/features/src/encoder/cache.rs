//! A cache of embeddings on disk, so that each text is embedded once.
//!
//! The cache has one folder per encoder, named for its digest. The folder holds segments, which are written
//! once and never changed:
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `0x89 B O T E M B 0x0A` |
//! | 4 | format version, little-endian |
//! | 4 | dim, little-endian |
//! | 8 | n, the number of texts, little-endian |
//! | 32 | digest of the encoder |
//! | 32 n | digests of the texts |
//! | 4 n dim | the embeddings of the texts in that order, `f32`, little-endian |
//! | 32 | SHA-256 of all preceding bytes |
//!
//! A segment is written to a temporary file and renamed when complete, so a reader never sees a partial one,
//! and any number of processes may add to a folder. A segment whose digest does not match is ignored and
//! reported, and its texts are embedded again.

use super::Encoder;
use botops_digest::{Digest, Hasher};
use botops_files::AtomicFile;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const MAGIC: &[u8; 8] = b"\x89BOTEMB\n";
const VERSION: u32 = 1;
const EXTENSION: &str = "embeddings";

/// The most texts in a segment: some seconds of work, which is all that an interruption loses.
const SEGMENT_TEXTS: usize = 4096;

/// A cache of embeddings in one folder; nothing is read or written until it is used.
#[derive(Debug)]
pub struct EmbeddingCache {
    folder: PathBuf,
    findings: Mutex<Vec<Finding>>,
}

impl EmbeddingCache {
    /// Makes a cache in `folder`, such as `.botops/embeddings`; the folder is created at the first use.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), findings: Mutex::default() }
    }

    /// Returns the warnings so far: invalid segments that were ignored, and segments that could not be written.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn warn(&self, path: &Path, message: &str, help: &str) {
        let place = Place { file: Some(path.display().to_string()), ..Place::default() };
        let finding = Finding::new("BOT-7028", Severity::Warning, message, help).at(place);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// Returns the folder of `encoder`, which is created if it does not exist.
    fn folder_of(&self, encoder: &Encoder) -> Result<PathBuf> {
        let folder = self.folder.join(encoder.digest().hex());
        fs::create_dir_all(&folder).map_err(|error| {
            Fault::internal(
                "BOT-7028",
                format!("the cache of embeddings cannot be created: {error}"),
            )
            .file(&folder)
            .hint("check the permissions and the free space of the folder")
            .caused_by(error)
        })?;
        Ok(folder)
    }

    /// Calls `take` once for each embedding in `folder` whose text is in `missing`, and removes it from there.
    fn look_up(
        &self,
        folder: &Path,
        encoder: &Encoder,
        missing: &mut HashMap<Digest, usize>,
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        let unreadable = |error: io::Error| {
            Fault::internal("BOT-7028", format!("the cache of embeddings cannot be read: {error}"))
                .file(folder)
                .hint("check the permissions of the folder, or remove it: it is created again")
        };
        let entries = fs::read_dir(folder).map_err(unreadable)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
            .map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        // Sorted, so that the order in which the folder lists segments does not decide which one is used.
        paths.sort();
        for path in paths {
            if missing.is_empty() {
                break;
            }
            match read(&path, encoder, missing) {
                Ok(found) => {
                    for (digest, embedding) in found {
                        if let Some(place) = missing.remove(&digest) {
                            take(place, &embedding);
                        }
                    }
                }
                Err(problem) => self.warn(
                    &path,
                    &format!("a segment of the cache of embeddings is ignored: it {problem}"),
                    "remove the file; its texts are embedded again in any case",
                ),
            }
        }
        Ok(())
    }
}

/// Returns the embeddings of `texts`, row-major [n_samples, dim], with the help of `cache`.
///
/// Each distinct text is embedded at most once, and not at all if `cache` has it; new embeddings are added
/// to `cache`. `advance` is called with the number of texts finished since its last call; the total is
/// `texts.len()`. Memory holds the result and one segment. Invalid segments, and segments that could not
/// be written, are in [`EmbeddingCache::findings`].
///
/// # Errors
/// `BOT-7028` (exit 1) if the folder of the cache cannot be created or listed.
pub fn embed_cached(
    encoder: &Encoder,
    texts: &[&str],
    cache: Option<&EmbeddingCache>,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Vec<f32>> {
    let dim = encoder.dim();
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
    let mut distinct = Vec::with_capacity(texts.len());
    let of_text: Vec<usize> = texts
        .iter()
        .map(|text| {
            *places.entry(text).or_insert_with(|| {
                distinct.push(*text);
                distinct.len() - 1
            })
        })
        .collect();
    let mut embeddings = vec![0.0; distinct.len() * dim];
    let mut left: Vec<usize> = (0..distinct.len()).collect();
    let folder = cache.map(|cache| Ok((cache, cache.folder_of(encoder)?))).transpose()?;
    if let Some((cache, folder)) = &folder {
        let digests = distinct.iter().map(|text| Digest::of(text.as_bytes()));
        let mut missing: HashMap<Digest, usize> = digests.zip(0..).collect();
        cache.look_up(folder, encoder, &mut missing, &mut |place, embedding| {
            embeddings[place * dim..][..dim].copy_from_slice(embedding);
        })?;
        left = missing.into_values().collect();
        left.sort_unstable();
    }
    advance((texts.len() - left.len()) as u64);
    for left in left.chunks(SEGMENT_TEXTS) {
        let texts: Vec<&str> = left.iter().map(|place| distinct[*place]).collect();
        let new = encoder.embed(&texts, advance);
        for (place, embedding) in left.iter().zip(new.chunks_exact(dim)) {
            embeddings[place * dim..][..dim].copy_from_slice(embedding);
        }
        if let Some((cache, folder)) = &folder
            && let Err(error) = write(folder, encoder, &texts, &new)
        {
            cache.warn(
                folder,
                &format!("embeddings could not be written: {error}"),
                "check the permissions and the free space of the folder; without the cache, texts are embedded again",
            );
        }
    }
    if distinct.len() == texts.len() {
        return Ok(embeddings);
    }
    Ok(of_text.iter().flat_map(|place| &embeddings[place * dim..][..dim]).copied().collect())
}

/// Reads the segment at `path` and returns its embeddings of texts in `missing`; the error describes an invalid segment.
fn read(
    path: &Path,
    encoder: &Encoder,
    missing: &HashMap<Digest, usize>,
) -> Result<Vec<(Digest, Vec<f32>)>, String> {
    let describe = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "is truncated".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let file = File::open(path).map_err(describe)?;
    let length = file.metadata().map_err(describe)?.len();
    let mut reader =
        Digesting { inner: BufReader::with_capacity(1 << 16, file), hasher: Hasher::default() };
    if reader.bytes::<8>().map_err(describe)? != *MAGIC {
        return Err("is not a segment".to_owned());
    }
    let version = u32::from_le_bytes(reader.bytes().map_err(describe)?);
    if version != VERSION {
        return Err(format!("has format {version}; this botops reads {VERSION}"));
    }
    let dim = u32::from_le_bytes(reader.bytes().map_err(describe)?) as usize;
    let n_texts = u64::from_le_bytes(reader.bytes().map_err(describe)?);
    let of_encoder: [u8; 32] = reader.bytes().map_err(describe)?;
    if dim != encoder.dim() || of_encoder != *encoder.digest().as_bytes() {
        return Err("belongs to another encoder".to_owned());
    }
    // The header must agree with the length of the file.
    let rows = n_texts.checked_mul(32 + 4 * dim as u64);
    if rows.and_then(|rows| rows.checked_add(8 + 4 + 4 + 8 + 32 + 32)) != Some(length) {
        return Err("does not have the length in its header".to_owned());
    }
    let keys: Vec<Option<Digest>> = (0..n_texts)
        .map(|_| {
            let digest = Digest::from_bytes(reader.bytes::<32>()?);
            Ok(missing.contains_key(&digest).then_some(digest))
        })
        .collect::<io::Result<_>>()
        .map_err(describe)?;
    let mut row = vec![0; 4 * dim];
    let mut found = Vec::new();
    for key in keys {
        reader.read_exact(&mut row).map_err(describe)?;
        if let Some(digest) = key {
            let values = row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            found.push((digest, values.collect()));
        }
    }
    let digest = reader.hasher.clone().finish();
    if reader.bytes::<32>().map_err(describe)? != *digest.as_bytes() {
        return Err("was altered: its digest does not match its content".to_owned());
    }
    Ok(found)
}

/// Writes one segment; it appears under its name only when complete.
fn write(folder: &Path, encoder: &Encoder, texts: &[&str], embeddings: &[f32]) -> io::Result<()> {
    let mut file = AtomicFile::create(&folder.join("segment")).map_err(io::Error::other)?;
    let digest = write_to(&mut file, encoder, texts, embeddings)?;
    // The name is the digest: two processes with the same texts write the same file.
    file.publish_as(&format!("{}.{EXTENSION}", digest.hex())).map_err(io::Error::other)
}

fn write_to(
    file: &mut AtomicFile,
    encoder: &Encoder,
    texts: &[&str],
    embeddings: &[f32],
) -> io::Result<Digest> {
    let mut writer = Digesting { inner: file, hasher: Hasher::default() };
    writer.write_all(MAGIC)?;
    writer.write_all(&VERSION.to_le_bytes())?;
    writer.write_all(&(encoder.dim() as u32).to_le_bytes())?;
    writer.write_all(&(texts.len() as u64).to_le_bytes())?;
    writer.write_all(encoder.digest().as_bytes())?;
    for text in texts {
        writer.write_all(Digest::of(text.as_bytes()).as_bytes())?;
    }
    for value in embeddings {
        writer.write_all(&value.to_le_bytes())?;
    }
    let digest = writer.hasher.clone().finish();
    writer.write_all(digest.as_bytes())?;
    Ok(digest)
}

/// A reader or writer that digests the bytes that pass through it.
struct Digesting<T> {
    inner: T,
    hasher: Hasher,
}

impl<R: Read> Digesting<R> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }
}

impl<W: Write> Digesting<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}
