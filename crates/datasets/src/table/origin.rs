//! Where a table comes from: files, a pipe, or bytes in memory. Each can be opened again.

use crate::{
    ReadOptions,
    opening::{self, Identity, Opened, STDIN, expand},
    read::bytes,
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

/// What is read as one table, in its order.
#[derive(Debug, Clone)]
pub struct Origin {
    name: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    /// Opened where it lies.
    Path(PathBuf),
    /// Read but once, and kept while it is.
    Pipe(Arc<Pipe>),
    /// In memory.
    Held(Bytes, String),
}

/// What comes but once, such as standard input.
struct Pipe {
    path: PathBuf,
    kept: Arc<Scratch>,
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

    /// Takes `bytes` that are called `name`, whose ending says their format.
    pub fn held(bytes: Bytes, name: &str) -> Self {
        Self { name: name.to_owned(), pieces: vec![Piece::Held(bytes, name.to_owned())] }
    }

    /// Makes sure that it can be opened more than once: what comes through a pipe is kept in `folder` while it is read;
    /// `None`: it is read now, and held.
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
                        kept: Arc::new(Scratch::create(folder, "piped")?),
                        was_read: Mutex::new(false),
                    })),
                    None => Piece::Held(bytes(path)?.into(), path.display().to_string()),
                };
            }
        }
        Ok(self)
    }

    /// Returns what the user called it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns how many files it is.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Opens its file `at`; `None` when it has no more.
    ///
    /// # Errors
    /// Those of [`opening::open`].
    pub(super) fn open(&self, at: usize, options: &ReadOptions) -> Result<Option<Opened>> {
        let ReadOptions { format, limits, .. } = options;
        let opened = match self.pieces.get(at) {
            None => return Ok(None),
            Some(Piece::Path(path)) => opening::open_as(path, *format, limits, Identity::Unknown),
            Some(Piece::Pipe(pipe)) => pipe.open(options),
            Some(Piece::Held(bytes, name)) => {
                let source = Box::new(Cursor::new(bytes.clone()));
                opening::begin(source, name, *format, limits, Identity::Unknown)
            }
        };
        opened.map(Some)
    }
}

/// Whether what is at `path` is gone once it was read. What is not there is told when it is opened.
fn comes_once(path: &Path) -> bool {
    let is_special = |path: &Path| {
        path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    };
    path == Path::new(STDIN) || is_special(path)
}

impl Pipe {
    fn open(&self, options: &ReadOptions) -> Result<Opened> {
        let ReadOptions { format, limits, .. } = options;
        let name = self.path.display().to_string();
        let unreadable = |error: io::Error| spec::unreadable(&self.path, &error);
        let mut was_read = self.was_read.lock().unwrap_or_else(PoisonError::into_inner);
        if *was_read {
            let mut file = File::open(&self.kept.path).map_err(unreadable)?;
            file.rewind().map_err(unreadable)?;
            return opening::of_file(file, &name, *format, limits, Identity::Unknown);
        }
        *was_read = true;
        let source: Box<dyn Read + Send> = if self.path == Path::new(STDIN) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.path).map_err(unreadable)?)
        };
        let keeping = Keeping { source, kept: Arc::clone(&self.kept) };
        opening::begin(Box::new(keeping), &name, *format, limits, Identity::Unknown)
    }
}

/// Keeps what is read.
struct Keeping {
    source: Box<dyn Read + Send>,
    kept: Arc<Scratch>,
}

impl Read for Keeping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        (&self.kept.file)
            .write_all(&buffer[..n])
            .map_err(|error| io::Error::other(self.kept.fault(error)))?;
        Ok(n)
    }
}
