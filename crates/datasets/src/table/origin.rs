//! Origins of a table: files, a pipe, or bytes in memory. Each can be opened again.

use crate::{
    opening::{self, Identity, Opened, STDIN, bytes, expand},
    read_options::ReadOptions,
};
use botops_files::Scratch;
use botops_findings::Result;
use botops_spec as spec;
use bytes::Bytes;
use std::{
    fmt,
    fs::File,
    io::{self, Cursor, Read, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The files that are read as one table, in their order.
#[derive(Debug, Clone)]
pub struct Origin {
    name: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    /// A file on disk.
    Path(PathBuf),
    /// A source that can be read only once, and is copied while it is read.
    Pipe(Arc<Pipe>),
    /// Bytes in memory, and their name.
    Held(Bytes, String),
}

/// A source that can be read only once, such as standard input.
struct Pipe {
    path: PathBuf,
    copy: Arc<Scratch>,
    was_read: Mutex<bool>,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pipe {{ {} }}", self.path.display())
    }
}

impl Origin {
    /// Takes the file at `path`, the files it names as a pattern, or standard input for `-`.
    ///
    /// # Errors
    /// Those of [`expand`].
    pub fn of(path: &Path) -> Result<Self> {
        let pieces = expand(path)?.into_iter().map(Piece::Path).collect();
        Ok(Self { name: path.display().to_string(), pieces })
    }

    /// Takes `bytes` that are called `name`. The extension of the name decides their format.
    pub fn held(bytes: Bytes, name: &str) -> Self {
        Self { name: name.to_owned(), pieces: vec![Piece::Held(bytes, name.to_owned())] }
    }

    /// Takes files of these bytes, each with its name, that are read as one table called `name`.
    pub fn held_files(files: Vec<(Bytes, String)>, name: &str) -> Self {
        let pieces = files.into_iter().map(|(bytes, name)| Piece::Held(bytes, name)).collect();
        Self { name: name.to_owned(), pieces }
    }

    /// Makes sure that every file can be opened again: a pipe is copied to `folder` while it is read. Without a folder,
    /// it is read now, and held in memory.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1); `BOT-1001` (exit 2) when it cannot be read.
    pub fn kept(mut self, folder: Option<&Path>) -> Result<Self> {
        for piece in &mut self.pieces {
            if let Piece::Path(path) = &*piece
                && comes_once(path)
            {
                *piece = match folder {
                    Some(folder) => Piece::Pipe(Arc::new(Pipe {
                        path: path.clone(),
                        copy: Arc::new(Scratch::create(folder, "piped")?),
                        was_read: Mutex::new(false),
                    })),
                    None => Piece::Held(bytes(path)?.into(), path.display().to_string()),
                };
            }
        }
        Ok(self)
    }

    /// Returns the name that the user gave.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of the files on disk, in bytes.
    pub(super) fn n_bytes(&self) -> u64 {
        let size = |piece: &Piece| match piece {
            Piece::Path(path) => path.metadata().map_or(0, |metadata| metadata.len()),
            Piece::Held(bytes, _) => bytes.len() as u64,
            Piece::Pipe(_) => 0,
        };
        self.pieces.iter().map(size).sum()
    }

    /// Returns the number of files.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Opens the file `at`, from 0; `None` after the last one.
    ///
    /// # Errors
    /// Those of [`opening::open`].
    pub(super) fn open(
        &self,
        at: usize,
        options: &ReadOptions,
        identity: Identity,
    ) -> Result<Option<Opened>> {
        let ReadOptions { format, encoding, limits, .. } = options;
        let opened = match self.pieces.get(at) {
            None => return Ok(None),
            Some(Piece::Path(path)) => opening::open(path, *format, *encoding, limits, identity),
            Some(Piece::Pipe(pipe)) => pipe.open(options, identity),
            Some(Piece::Held(bytes, name)) => {
                let source = Box::new(Cursor::new(bytes.clone()));
                opening::begin(source, name, *format, *encoding, limits, identity)
            }
        };
        opened.map(Some)
    }
}

/// Returns whether `path` can be read only once. Opening reports a missing file.
fn comes_once(path: &Path) -> bool {
    let is_special = |path: &Path| {
        path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    };
    path == Path::new(STDIN) || is_special(path)
}

impl Pipe {
    fn open(&self, options: &ReadOptions, identity: Identity) -> Result<Opened> {
        let ReadOptions { format, encoding, limits, .. } = options;
        let name = self.path.display().to_string();
        let unreadable = |error: io::Error| spec::unreadable(&self.path, &error);
        let mut was_read = self.was_read.lock().unwrap_or_else(PoisonError::into_inner);
        if *was_read {
            let mut file = File::open(&self.copy.path).map_err(unreadable)?;
            file.rewind().map_err(unreadable)?;
            return opening::of_file(file, &name, *format, *encoding, limits, identity);
        }
        *was_read = true;
        let source: Box<dyn Read + Send> = if self.path == Path::new(STDIN) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.path).map_err(unreadable)?)
        };
        let tee = Tee { source, copy: Arc::clone(&self.copy) };
        opening::begin(Box::new(tee), &name, *format, *encoding, limits, identity)
    }
}

/// Copies a source to a file while it is read.
struct Tee {
    source: Box<dyn Read + Send>,
    copy: Arc<Scratch>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        (&self.copy.file)
            .write_all(&buffer[..n])
            .map_err(|error| io::Error::other(self.copy.fault(error)))?;
        Ok(n)
    }
}
