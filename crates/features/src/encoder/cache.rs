//! Embeddings kept on disk, so that a text is embedded once in the life of a project.
//!
//! A folder holds one folder for each encoder (its digest), and that one segments, each written once:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `0x89 B O T E M B 0x0A` |
//! | 4 | format version, little-endian |
//! | 4 | dim, little-endian |
//! | 8 | n, the number of texts, little-endian |
//! | 32 | digest of the encoder |
//! | 32 n | digests of the texts |
//! | 4 n dim | their embeddings, `f32`, little-endian, in that order |
//! | 32 | SHA-256 of all bytes before |
//!
//! A segment is written aside and named when it is complete, so a reader never meets half of one, and any number
//! of processes may add to a folder. One that was altered is found by its digest, ignored, and said; its texts are
//! embedded again.

use super::Encoder;
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Finding, Place, Result, Severity};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const MAGIC: &[u8; 8] = b"\x89BOTEMB\n";
const VERSION: u32 = 1;
const EXTENSION: &str = "embeddings";

/// Texts that are embedded between two segments: some seconds of work, all that an interruption loses.
const SEGMENT_TEXTS: usize = 4096;

/// Segments of embeddings below one folder; nothing is read or written before it is used.
#[derive(Debug)]
pub struct EmbeddingCache {
    folder: PathBuf,
    findings: Mutex<Vec<Finding>>,
}

impl EmbeddingCache {
    /// Names the folder, such as `.botops/embeddings`; it is made when something is kept.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), findings: Mutex::default() }
    }

    /// Returns what was set aside since it was made: a segment that cannot be trusted, one that could not be kept.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn say(&self, path: &Path, message: &str, help: &str) {
        let place = Place { file: Some(path.display().to_string()), ..Place::default() };
        let finding = Finding::new("BOT-7028", Severity::Warning, message, help).at(place);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    /// Returns the folder of `encoder`, which is made if it is not there.
    fn folder_of(&self, encoder: &Encoder) -> Result<PathBuf> {
        let folder = self.folder.join(encoder.digest().hex());
        fs::create_dir_all(&folder).map_err(|error| {
            Fault::internal("BOT-7028", format!("the cache of embeddings cannot be used: {error}"))
                .file(&folder)
                .hint("check the permissions and the free space of the folder")
                .caused_by(error)
        })?;
        Ok(folder)
    }

    /// Hands every embedding of the segments in `folder` that is asked for to `take`, once each.
    fn look_up(
        &self,
        folder: &Path,
        encoder: &Encoder,
        wanted: &mut HashMap<Digest, usize>,
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<()> {
        let unreadable = |error: io::Error| {
            Fault::internal("BOT-7028", format!("the cache of embeddings cannot be read: {error}"))
                .file(folder)
                .hint("check the permissions of the folder, or remove it: it is made again")
        };
        let entries = fs::read_dir(folder).map_err(unreadable)?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()
            .map_err(unreadable)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == EXTENSION));
        // Whatever order the folder lists them in, the first of two that hold a text is the same.
        paths.sort();
        for path in paths {
            if wanted.is_empty() {
                break;
            }
            match read(&path, encoder, wanted) {
                Ok(found) => {
                    for (digest, embedding) in found {
                        if let Some(place) = wanted.remove(&digest) {
                            take(place, &embedding);
                        }
                    }
                }
                Err(why) => self.say(
                    &path,
                    &format!("a segment of the cache of embeddings is ignored: it {why}"),
                    "remove the file; its texts are embedded again either way",
                ),
            }
        }
        Ok(())
    }
}

/// Returns the embeddings of `texts`, row-major [n_samples, dim]: each different text is embedded once, and not at
/// all when `cache` has it; what is new is kept there.
///
/// `advance` is told the number of texts that were done since it was told last; in all, `texts.len()`. Besides the
/// result, memory holds one segment. What could not be trusted or kept is in [`EmbeddingCache::findings`].
///
/// # Errors
/// `BOT-7028` (exit 1) when the folder of the cache cannot be made or listed.
pub fn embed_cached(
    encoder: &Encoder,
    texts: &[&str],
    cache: Option<&EmbeddingCache>,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Vec<f32>> {
    let dim = encoder.dim();
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
    let mut different = Vec::with_capacity(texts.len());
    let of_text: Vec<usize> = texts
        .iter()
        .map(|text| {
            *places.entry(text).or_insert_with(|| {
                different.push(*text);
                different.len() - 1
            })
        })
        .collect();
    let mut embeddings = vec![0.0; different.len() * dim];
    let mut left: Vec<usize> = (0..different.len()).collect();
    let folder = cache.map(|cache| Ok((cache, cache.folder_of(encoder)?))).transpose()?;
    if let Some((cache, folder)) = &folder {
        let digests = different.iter().map(|text| Digest::of(text.as_bytes()));
        let mut wanted: HashMap<Digest, usize> = digests.zip(0..).collect();
        cache.look_up(folder, encoder, &mut wanted, &mut |place, embedding| {
            embeddings[place * dim..][..dim].copy_from_slice(embedding);
        })?;
        left = wanted.into_values().collect();
        left.sort_unstable();
    }
    advance((texts.len() - left.len()) as u64);
    for left in left.chunks(SEGMENT_TEXTS) {
        let texts: Vec<&str> = left.iter().map(|place| different[*place]).collect();
        let made = encoder.embed(&texts, advance);
        for (place, embedding) in left.iter().zip(made.chunks_exact(dim)) {
            embeddings[place * dim..][..dim].copy_from_slice(embedding);
        }
        if let Some((cache, folder)) = &folder
            && let Err(error) = write(folder, encoder, &texts, &made)
        {
            cache.say(
                folder,
                &format!("embeddings could not be kept: {error}"),
                "check the permissions and the free space of the folder; nothing is lost but time",
            );
        }
    }
    if different.len() == texts.len() {
        return Ok(embeddings);
    }
    Ok(of_text.iter().flat_map(|place| &embeddings[place * dim..][..dim]).copied().collect())
}

/// Reads the segment at `path` and returns the embeddings of it that are `wanted`, or why it cannot be trusted.
fn read(
    path: &Path,
    encoder: &Encoder,
    wanted: &HashMap<Digest, usize>,
) -> Result<Vec<(Digest, Vec<f32>)>, String> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "is cut short".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let file = File::open(path).map_err(told)?;
    let length = file.metadata().map_err(told)?.len();
    let mut reader =
        Digesting { inner: BufReader::with_capacity(1 << 16, file), hasher: Hasher::default() };
    if reader.bytes::<8>().map_err(told)? != *MAGIC {
        return Err("is none".to_owned());
    }
    let version = u32::from_le_bytes(reader.bytes().map_err(told)?);
    if version != VERSION {
        return Err(format!("is of format {version}, and this botops reads {VERSION}"));
    }
    let dim = u32::from_le_bytes(reader.bytes().map_err(told)?) as usize;
    let n_texts = u64::from_le_bytes(reader.bytes().map_err(told)?);
    let of_encoder: [u8; 32] = reader.bytes().map_err(told)?;
    if dim != encoder.dim() || of_encoder != *encoder.digest().as_bytes() {
        return Err("is of another encoder".to_owned());
    }
    // The numbers of the header are believed only as far as the file is long.
    let rows = n_texts.checked_mul(32 + 4 * dim as u64);
    if rows.and_then(|rows| rows.checked_add(8 + 4 + 4 + 8 + 32 + 32)) != Some(length) {
        return Err("is not as long as it says".to_owned());
    }
    let keys: Vec<Option<Digest>> = (0..n_texts)
        .map(|_| {
            let digest = Digest::from_bytes(reader.bytes::<32>()?);
            Ok(wanted.contains_key(&digest).then_some(digest))
        })
        .collect::<io::Result<_>>()
        .map_err(told)?;
    let mut row = vec![0; 4 * dim];
    let mut found = Vec::new();
    for key in keys {
        reader.read_exact(&mut row).map_err(told)?;
        if let Some(digest) = key {
            let values = row.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            found.push((digest, values.collect()));
        }
    }
    let digest = reader.hasher.clone().finish();
    if reader.bytes::<32>().map_err(told)? != *digest.as_bytes() {
        return Err("was altered: its digest is not that of its contents".to_owned());
    }
    Ok(found)
}

/// Writes one segment: complete under its name, or not at all.
fn write(folder: &Path, encoder: &Encoder, texts: &[&str], embeddings: &[f32]) -> io::Result<()> {
    let (mut file, aside) = aside(folder)?;
    let written = write_to(&mut file, encoder, texts, embeddings).and_then(|digest| {
        file.sync_all()?;
        // Named for its contents: two processes that keep the same texts write the same file.
        fs::rename(&aside, folder.join(digest.hex()).with_extension(EXTENSION))?;
        File::open(folder)?.sync_all()
    });
    if written.is_err() {
        // What could not be finished is of no use; that it cannot be removed either is no second fault.
        let _ = fs::remove_file(&aside);
    }
    written
}

fn write_to(
    file: &mut File,
    encoder: &Encoder,
    texts: &[&str],
    embeddings: &[f32],
) -> io::Result<Digest> {
    let mut writer =
        Digesting { inner: BufWriter::with_capacity(1 << 16, file), hasher: Hasher::default() };
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
    writer.flush()?;
    Ok(digest)
}

/// Opens a new file that nobody else writes; what a killed process left of its own is passed over.
fn aside(folder: &Path) -> io::Result<(File, PathBuf)> {
    for number in 0_u32.. {
        let path = folder.join(format!("{number}.part"));
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return Ok((opened?, path)),
        }
    }
    unreachable!("a folder does not hold four thousand million unfinished segments")
}

/// Digests what passes.
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

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
