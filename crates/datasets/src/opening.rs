//! Opening: a file becomes one stream of bytes that is unpacked, bounded, and without its byte-order mark.
//!
//! In: a path, a pattern of paths, or `-` for standard input. Out: [`Opened`], with the format of the file.

mod limits;

pub use limits::Limits;

use crate::formats::encoding::{self, Encoding, Transcoded};
use botops_digest::{Digest, Hasher};
use botops_findings::{Fault, Place, Result};
use botops_spec as spec;
use std::{
    fmt,
    fs::{self, File},
    io::{self, BufReader, Cursor, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The name of standard input on a command line.
pub const STDIN: &str = "-";
/// The bytes at the start of a file that decide its packing and its format.
const BEGINNING: usize = 8 << 10;
/// The size of the buffer before an unpacker, in bytes.
const BUFFER: usize = 64 << 10;
/// The largest Parquet file that is held in memory because its source cannot seek, in bytes.
const LARGEST_HELD: u64 = 2 << 30;

/// The format of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Separated by commas, or by semicolons or tabs if the first line has no comma.
    Csv,
    /// Separated by tabs.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
    /// Columns in Apache Parquet.
    Parquet,
    /// Training data of Rasa, in YAML.
    Rasa,
}

impl Format {
    /// Every format, with its name on a command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("csv", Self::Csv),
        ("tsv", Self::Tsv),
        ("jsonl", Self::Jsonl),
        ("json", Self::Json),
        ("parquet", Self::Parquet),
        ("rasa", Self::Rasa),
    ];

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    /// Returns the format for the extension of `name`, which a packing extension may follow (`.csv.gz`).
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let bare = [".gz", ".gzip", ".zst", ".zstd"]
            .into_iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        match Path::new(bare).extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "json" => Some(Self::Json),
            "parquet" | "pq" => Some(Self::Parquet),
            "yml" | "yaml" => Some(Self::Rasa),
            _ => None,
        }
    }

    /// Returns the format of a file by its `name`, or else by its first bytes. The default is CSV.
    fn of(name: &str, beginning: &[u8]) -> Self {
        let first = beginning.iter().find(|byte| !byte.is_ascii_whitespace());
        match Self::of_name(name) {
            // Many tools use `.json` for one object a line.
            Some(Self::Json) if first != Some(&b'[') => Self::Jsonl,
            Some(format) => format,
            None if beginning.starts_with(b"PAR1") => Self::Parquet,
            None => match first {
                Some(b'{') => Self::Jsonl,
                Some(b'[') => Self::Json,
                _ if is_rasa(beginning) => Self::Rasa,
                _ => Self::Csv,
            },
        }
    }
}

/// Returns whether `beginning` has a line that only Rasa training data has.
fn is_rasa(beginning: &[u8]) -> bool {
    beginning
        .split(|&byte| byte == b'\n')
        .any(|line| line.trim_ascii_end() == b"nlu:" || line.starts_with(b"- intent:"))
}

/// The packing of a file. When reading, the first bytes decide it, never the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not packed.
    Plain,
    /// gzip, with one member or several.
    Gzip,
    /// zstd, with one frame or several.
    Zstd,
}

impl Packing {
    /// Returns the packing for a file to be written, by the extension of its `name`.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.to_lowercase();
        if name.ends_with(".gz") || name.ends_with(".gzip") {
            Self::Gzip
        } else if name.ends_with(".zst") || name.ends_with(".zstd") {
            Self::Zstd
        } else {
            Self::Plain
        }
    }

    fn of(beginning: &[u8]) -> Self {
        match beginning {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame before it.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A file that was opened.
///
/// - `reader` yields the unpacked bytes, without a byte-order mark; binary, UTF-16 and empty files were refused
/// - an error of `reader` holds a [`Fault`], which [`unread`] takes out
pub struct Opened<R = Box<dyn Read + Send>> {
    /// The name that the user gave.
    pub name: String,
    /// The format of its records.
    pub format: Format,
    /// Its packing.
    pub packing: Packing,
    /// The unpacked bytes.
    pub reader: R,
    /// The length of the byte-order mark that was removed, in bytes: 0 or 3.
    pub mark: u64,
    size: Option<u64>,
    taken: Arc<Taken>,
    plain: Option<File>,
}

impl<R> fmt::Debug for Opened<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, format, packing, size, .. } = self;
        write!(f, "Opened {{ {name}, {format:?}, {packing:?}, {size:?} bytes }}")
    }
}

/// The number of bytes read of the stored file, and their digest.
#[derive(Default)]
struct Taken {
    bytes: AtomicU64,
    hasher: Option<Mutex<Hasher>>,
}

/// A view of how much of a file was read, which outlives its [`Opened`].
#[derive(Clone)]
pub struct Progress {
    size: Option<u64>,
    taken: Arc<Taken>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, taken) = self.bytes();
        write!(f, "Progress {{ {taken} of {size} }}")
    }
}

impl Progress {
    /// Returns the size of the stored file in bytes, and how many of them were read. If the size is not known, it is the
    /// number of bytes read.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let taken = self.taken.bytes.load(Ordering::Relaxed);
        let size = self.size.unwrap_or(taken);
        (size, taken.min(size))
    }

    /// Counts the given fraction of the stored file as read, for a reader that does not read it in order.
    pub(crate) fn reach(&self, fraction: f64) {
        if let Some(size) = self.size {
            let bytes = (size as f64 * fraction) as u64;
            self.taken.bytes.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Returns the digest of the bytes read of the stored file; `None` unless it was opened with [`Identity::Digested`].
    pub(crate) fn digest(&self) -> Option<Digest> {
        let hasher = self.taken.hasher.as_ref()?;
        Some(hasher.lock().unwrap_or_else(PoisonError::into_inner).clone().finish())
    }
}

/// Whether the bytes of the stored file are digested while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The digest is computed.
    Digested,
    /// No digest is computed.
    Unknown,
}

impl<R> Opened<R> {
    /// Returns a view of how much was read.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress { size: self.size, taken: Arc::clone(&self.taken) }
    }
}

/// Opens `path`, or standard input for `-`. Without a `format`, the name and the content decide it.
///
/// # Errors
/// Exit 2: `BOT-1001` missing, unreadable or a directory; `BOT-1040` another encoding than the file names. Exit 3: `BOT-2102` empty, `BOT-2103` binary, `BOT-2104` UTF-16
/// or UTF-32, `BOT-2161` a damaged packed file. While reading, also `BOT-2160`: more than `limits` allow.
pub fn open(
    path: &Path,
    format: Option<Format>,
    encoding: Encoding,
    limits: &Limits,
    identity: Identity,
) -> Result<Opened> {
    #[cfg(test)]
    OPENED.with(|opened| opened.set(opened.get() + 1));
    let name = path.display().to_string();
    if path == Path::new(STDIN) {
        return begin(Box::new(io::stdin()), &name, format, encoding, limits, identity);
    }
    let file = File::open(path).map_err(|error| spec::unreadable(path, &error))?;
    of_file(file, &name, format, encoding, limits, identity)
}

/// Opens a file as [`open`] does, from the current position of `file`.
pub(crate) fn of_file(
    file: File,
    name: &str,
    format: Option<Format>,
    encoding: Encoding,
    limits: &Limits,
    identity: Identity,
) -> Result<Opened> {
    let unreadable = |error: io::Error| spec::unreadable(Path::new(name), &error);
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let whole = metadata.is_file().then(|| file.try_clone()).transpose().map_err(unreadable)?;
    let source: Box<dyn Read + Send> = Box::new(file);
    let mut opened = begin(source, name, format, encoding, limits, identity)?;
    opened.size = metadata.is_file().then_some(metadata.len());
    opened.plain = whole.filter(|_| opened.packing == Packing::Plain);
    Ok(opened)
}

/// Opens `source`, which is called `name`, as [`open`] opens a file.
pub(crate) fn begin<'a>(
    source: Box<dyn Read + Send + 'a>,
    name: &str,
    format: Option<Format>,
    encoding: Encoding,
    limits: &Limits,
    identity: Identity,
) -> Result<Opened<Box<dyn Read + Send + 'a>>> {
    let hasher = (identity == Identity::Digested).then(Mutex::default);
    let taken = Arc::new(Taken { hasher, ..Taken::default() });
    let mut source = Counted { source, name: name.to_owned(), taken: Arc::clone(&taken) };
    let beginning = beginning(&mut source).map_err(|error| unread(error, name))?;
    let packing = Packing::of(&beginning);
    let packed = Cursor::new(beginning).chain(source);
    let mut reader: Box<dyn Read + Send + 'a> = match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => {
            let packed = BufReader::with_capacity(BUFFER, packed);
            let reader = flate2::bufread::MultiGzDecoder::new(packed);
            Box::new(Unpacked::new(reader, name, packing, *limits, Arc::clone(&taken)))
        }
        Packing::Zstd => {
            let reader =
                zstd::stream::read::Decoder::with_buffer(BufReader::with_capacity(BUFFER, packed))
                    .map_err(|error| unread(error, name))?;
            Box::new(Unpacked::new(reader, name, packing, *limits, Arc::clone(&taken)))
        }
    };
    let mut beginning = self::beginning(&mut reader).map_err(|error| unread(error, name))?;
    let mark: u64 = if beginning.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    if mark > 0 {
        beginning.drain(..3);
    }
    let format = format.unwrap_or_else(|| Format::of(name, &beginning));
    if format != Format::Parquet {
        if beginning.is_empty() {
            return Err(encoding::empty(name));
        }
        encoding.check(&beginning, mark > 0, name)?;
    }
    let unpacked = Cursor::new(beginning).chain(reader);
    Ok(Opened {
        name: name.to_owned(),
        format,
        packing,
        reader: match encoding {
            Encoding::Windows1252 if format != Format::Parquet => {
                Box::new(Transcoded::new(unpacked))
            }
            _ => Box::new(unpacked),
        },
        mark,
        size: None,
        taken,
        plain: None,
    })
}

/// Reads the bytes that decide the packing and the format.
fn beginning(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(BEGINNING);
    source.take(BEGINNING as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Takes the fault out of an error of [`Opened::reader`]; any other becomes one.
#[must_use]
pub fn unread(error: io::Error, name: &str) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(error) => spec::unreadable(Path::new(name), &error),
    }
}

/// A source of bytes that can be read in any order.
#[derive(Debug)]
pub(crate) enum Seekable {
    /// A file on disk.
    File(File),
    /// Bytes in memory.
    Held(bytes::Bytes),
}

impl Seekable {
    /// Returns its size in bytes.
    pub(crate) fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Held(bytes) => Ok(bytes.len() as u64),
        }
    }
}

impl<R: Read> Opened<R> {
    /// Returns the file itself, or, if it is packed or comes through a pipe, its bytes in memory.
    ///
    /// # Errors
    /// Those of the reader; `BOT-2160` when more than 2 GiB would have to be held.
    pub(crate) fn seekable(mut self) -> Result<Seekable> {
        if let Some(file) = self.plain {
            if self.taken.hasher.is_some() {
                // Reading in any order does not digest the bytes, so that they are read once more.
                io::copy(&mut self.reader, &mut io::sink())
                    .map_err(|error| unread(error, &self.name))?;
            }
            return Ok(Seekable::File(file));
        }
        let mut bytes = Vec::new();
        let held = self.reader.by_ref().take(LARGEST_HELD + 1).read_to_end(&mut bytes);
        held.map_err(|error| unread(error, &self.name))?;
        if bytes.len() as u64 > LARGEST_HELD {
            let message = "a Parquet file that is packed or piped is held in memory, which is limited to 2 GiB";
            return Err(Fault::data("BOT-2160", message)
                .at(whole(&self.name))
                .hint("unpack it to a file and name that file: it is read part by part"));
        }
        Ok(Seekable::Held(bytes.into()))
    }
}

/// Returns the bytes of the stored data file at `path`, or those of standard input for `-`.
///
/// # Errors
/// `BOT-1001` (exit 2) when it is missing, unreadable or a directory.
pub fn bytes(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: io::Error| spec::unreadable(path, &error);
    if path == Path::new(STDIN) {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    fs::read(path).map_err(unreadable)
}

fn whole(name: &str) -> Place {
    Place { file: Some(name.to_owned()), ..Place::default() }
}

/// Counts and digests the bytes read of the stored file.
struct Counted<R> {
    source: R,
    name: String,
    taken: Arc<Taken>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(n) => {
                self.taken.bytes.fetch_add(n as u64, Ordering::Relaxed);
                if let Some(hasher) = &self.taken.hasher {
                    hasher.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..n]);
                }
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) if error.get_ref().is_some_and(|inner| inner.is::<Fault>()) => Err(error),
            // A fault of the source, which is not one of the unpacker.
            Err(error) => Err(io::Error::other(spec::unreadable(Path::new(&self.name), &error))),
        }
    }
}

/// Bounds the output of an unpacker, and turns its errors into faults.
struct Unpacked<R> {
    reader: R,
    name: String,
    packing: Packing,
    limits: Limits,
    taken: Arc<Taken>,
    n_bytes: u64,
}

impl<R> Unpacked<R> {
    fn new(reader: R, name: &str, packing: Packing, limits: Limits, taken: Arc<Taken>) -> Self {
        Self { reader, name: name.to_owned(), packing, limits, taken, n_bytes: 0 }
    }

    fn damage(&self, error: &io::Error) -> Fault {
        let packing = self.packing.name();
        let message = match error.kind() {
            io::ErrorKind::UnexpectedEof => format!("the {packing} file is cut off"),
            _ => format!("the {packing} file is damaged"),
        };
        let n = self.n_bytes;
        Fault::data("BOT-2161", format!("{message}: {n} bytes could be unpacked"))
            .at(whole(&self.name))
            .hint("copy or write it again")
            .hint(match self.packing {
                Packing::Zstd => {
                    "a window of more than 128 MiB (`zstd --long=28` and above) is not read"
                }
                _ => "`gunzip --test` says more",
            })
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Ok(n) => {
                self.n_bytes += n as u64;
                let taken = self.taken.bytes.load(Ordering::Relaxed);
                self.limits.check(self.n_bytes, taken, &self.name).map_err(io::Error::other)?;
                Ok(n)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => match error.downcast::<Fault>() {
                Ok(fault) => Err(io::Error::other(fault)),
                Err(error) => Err(io::Error::other(self.damage(&error).caused_by(error))),
            },
        }
    }
}

/// Returns the files that `path` names, sorted by name.
///
/// If no file has that name, and it contains `*`, `?` or `[`, it is a pattern. A `*` matches within one folder, a `**`
/// over several. Hidden files do not match.
///
/// # Errors
/// `BOT-1001` (exit 2) when no file matches, or a folder cannot be read.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_string_lossy();
    let is_pattern = pattern.contains(['*', '?', '[']);
    if !is_pattern || path == Path::new(STDIN) || path.symlink_metadata().is_ok() {
        return Ok(vec![path.to_owned()]);
    }
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let matched = glob::glob_with(&pattern, options).map_err(|error| {
        Fault::usage("BOT-1001", format!("`{pattern}` is not a valid pattern: {}", error.msg))
            .file(path)
            .hint("write a literal `[` as `[[]`")
    })?;
    let mut files = Vec::new();
    for entry in matched {
        let found = entry.map_err(|error| spec::unreadable(error.path(), error.error()))?;
        if !found.is_dir() {
            files.push(found);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Fault::usage("BOT-1001", format!("no file matches `{pattern}`"))
            .file(path)
            .hint(
                "a `*` matches within one folder: `data/**/*.csv` also searches the folders below",
            ));
    }
    Ok(files)
}

#[cfg(test)]
thread_local! {
    /// The number of times that this thread opened a data file.
    pub(crate) static OPENED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
mod tests;
