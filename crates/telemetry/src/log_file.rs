//! A log file that is rotated by size.
//!
//! `server.log` becomes `server.log.1`, that becomes `server.log.2`, and the oldest is replaced. Each step renames one file, so
//! a crash between two of them loses nothing: the next start goes on with what is there. A file that another program moved or
//! deleted is opened again within a second; until then lines go to the moved file.

use crate::log_metrics::LogMetrics;
use botops_findings::{Fault, Result};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The time between two looks whether the file was moved, or can be written again.
const LOOK: Duration = Duration::from_secs(1);

/// The settings of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileSettings {
    /// Its path. The folder must exist.
    pub path: PathBuf,
    /// The size in bytes from which it is rotated.
    pub max_bytes: u64,
    /// The number of rotated files that are kept besides it: at least 1.
    pub keep: u32,
}

/// A log file. A [`Write::write`] takes whole lines.
pub struct LogFile {
    settings: LogFileSettings,
    /// The file; `None` while it cannot be opened.
    file: Option<File>,
    bytes: u64,
    /// Whether the file ends within a line, because a write failed.
    is_torn: bool,
    looked: Instant,
    /// Where lines go while the file cannot be written.
    instead: Box<dyn Write + Send>,
    metrics: LogMetrics,
    /// Makes the line about a problem of the file, or its end, of a level (`error` or `info`) and a message.
    line: fn(&'static str, &str) -> String,
}

impl LogFile {
    /// Opens the file, or makes it. Lines go to `instead` while it cannot be written, with a line about that, which `line`
    /// makes of a level and a message.
    ///
    /// # Errors
    /// `BOT-6292` (exit 1) it cannot be opened; (exit 5) another process writes it.
    pub fn open(
        settings: LogFileSettings,
        (instead, metrics): (Box<dyn Write + Send>, LogMetrics),
        line: fn(&'static str, &str) -> String,
    ) -> Result<Self> {
        let opened = open(&settings.path).map_err(|error| unusable(&settings.path, error))?;
        let (file, bytes, is_torn) = opened;
        let (file, looked) = (Some(file), Instant::now());
        Ok(Self { settings, file, bytes, is_torn, looked, instead, metrics, line })
    }

    /// Looks, at most once a second, whether the file was moved; then it is opened again.
    fn look(&mut self) -> io::Result<()> {
        if self.file.is_some() && self.looked.elapsed() < LOOK {
            return Ok(());
        }
        self.looked = Instant::now();
        if let Some(file) = &self.file
            && is_at(file, &self.settings.path)
        {
            return Ok(());
        }
        self.reopen()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        let (file, bytes, is_torn) = open(&self.settings.path)?;
        (self.file, self.bytes, self.is_torn) = (Some(file), bytes, is_torn);
        Ok(())
    }

    /// Renames the file and those before it, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        let LogFileSettings { path, keep, .. } = &self.settings;
        for n in (1..*keep).rev() {
            match fs::rename(numbered(path, n), numbered(path, n + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(path, numbered(path, 1))?;
        self.reopen()
    }

    /// Writes whole lines. After an error, none of them counts as written.
    fn write_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        self.look()?;
        if self.bytes > 0 && self.bytes.saturating_add(lines.len() as u64) > self.settings.max_bytes
        {
            self.rotate()?;
        }
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        if self.is_torn {
            file.write_all(b"\n")?;
            self.bytes += 1;
        }
        self.is_torn = true;
        file.write_all(lines)?;
        self.is_torn = !lines.ends_with(b"\n");
        self.bytes += lines.len() as u64;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if lines.is_empty() {
            return Ok(0);
        }
        // While it fails, the file is tried once a second.
        let is_waiting = self.metrics.failing.get() == 1 && self.looked.elapsed() < LOOK;
        let written = if is_waiting { None } else { Some(self.write_lines(lines)) };
        let path = self.settings.path.display();
        match written {
            Some(Ok(())) => {
                if self.metrics.failing.set(0) == 1 {
                    let message = format!("the log file {path} is written again");
                    writeln!(self.instead, "{}", (self.line)("info", &message))?;
                }
                return Ok(lines.len());
            }
            Some(Err(error)) => {
                self.looked = Instant::now();
                self.metrics.failures.inc();
                if self.metrics.failing.set(1) == 0 {
                    let message = format!(
                        "BOT-6293: the log file {path} cannot be written: {error}; \
                         lines go to standard error until it can"
                    );
                    writeln!(self.instead, "{}", (self.line)("error", &message))?;
                }
            }
            None => {}
        }
        self.instead.write_all(lines)?;
        self.instead.flush()?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A file has no buffer of ours.
        Ok(())
    }
}

/// Returns the path of the rotated file number `n`.
fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

/// Returns whether `file` is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Opens the file at `path` to write at its end, with its size, and whether it ends within a line.
fn open(path: &Path) -> io::Result<(File, u64, bool)> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    // Some file systems have no locks.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process writes it"));
    }
    let bytes = file.metadata()?.len();
    let mut last = [b'\n'];
    if bytes > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((file, bytes, last != [b'\n']))
}

fn unusable(path: &Path, error: io::Error) -> Fault {
    let message = format!("the log file {} cannot be opened: {error}", path.display());
    match error.kind() {
        io::ErrorKind::ResourceBusy => Fault::conflict("BOT-6294", message)
            .hint("give each server a file of its own with `log.file` or `BOTOPS_LOG_FILE`"),
        _ => Fault::internal("BOT-6292", message)
            .hint("make its folder, and let the user of the server write there")
            .caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;
    use std::sync::{Arc, Mutex};

    /// Lines that went elsewhere.
    #[derive(Clone, Default)]
    struct Elsewhere(Arc<Mutex<Vec<u8>>>);

    impl Write for Elsewhere {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Elsewhere {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log(folder: &Path, max_bytes: u64, keep: u32) -> Result<(LogFile, Elsewhere)> {
        let settings = LogFileSettings { path: folder.join("server.log"), max_bytes, keep };
        let (instead, metrics) =
            (Elsewhere::default(), LogMetrics::register(&mut Registry::default()));
        let line = |level: &'static str, message: &str| format!("{level} {message}");
        let log = LogFile::open(settings, (Box::new(instead.clone()), metrics), line)?;
        Ok((log, instead))
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    #[test]
    fn a_file_is_rotated_by_size_and_no_line_is_lost_or_torn() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, instead) = log(folder.path(), 100, 3).unwrap();
        for n in 0..40 {
            log.write_all(format!("line number {n:02}\n").as_bytes()).unwrap();
        }
        let names = ["server.log.3", "server.log.2", "server.log.1", "server.log"];
        let texts = names.map(|name| read(folder.path(), name));
        assert!(texts.iter().all(|text| (1..=100).contains(&text.len()) && text.ends_with('\n')));
        let lines: Vec<usize> = texts
            .iter()
            .flat_map(|text| text.lines())
            .map(|line| line.strip_prefix("line number ").unwrap().parse().unwrap())
            .collect();
        assert_eq!(lines, (40 - lines.len()..40).collect::<Vec<_>>(), "the newest, in order");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
        assert_eq!(instead.text(), "");
        // A line that is longer than a file may be is written all the same.
        let long = "x".repeat(300);
        log.write_all(format!("{long}\n").as_bytes()).unwrap();
        assert_eq!(read(folder.path(), "server.log"), format!("{long}\n"));
    }

    #[test]
    fn a_start_after_a_crash_goes_on_in_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        // A crash between two renames of a rotation, and within a line.
        fs::write(folder.path().join("server.log.2"), "old\n").unwrap();
        fs::write(folder.path().join("server.log"), "one\ntorn").unwrap();
        let (mut log, _) = log(folder.path(), 14, 2).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(read(folder.path(), "server.log"), "one\ntorn\ntwo\n");
        log.write_all(b"three\n").unwrap();
        assert_eq!(read(folder.path(), "server.log"), "three\n");
        assert_eq!(read(folder.path(), "server.log.1"), "one\ntorn\ntwo\n");
        assert_eq!(read(folder.path(), "server.log.2"), "old\n");
    }

    #[test]
    fn a_file_that_was_moved_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = log(folder.path(), 1_000, 2).unwrap();
        log.write_all(b"one\n").unwrap();
        fs::rename(folder.path().join("server.log"), folder.path().join("moved")).unwrap();
        log.write_all(b"two\n").unwrap();
        log.looked = Instant::now().checked_sub(LOOK).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(read(folder.path(), "moved"), "one\ntwo\n");
        assert_eq!(read(folder.path(), "server.log"), "three\n");
    }

    #[test]
    fn lines_go_elsewhere_while_the_file_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("logs");
        fs::create_dir(&inner).unwrap();
        let (mut log, instead) = log(&inner, 1_000, 2).unwrap();
        log.write_all(b"one\n").unwrap();
        fs::remove_dir_all(&inner).unwrap();
        let old = || Instant::now().checked_sub(LOOK).unwrap();
        log.looked = old();
        for line in ["two\n", "three\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let text = instead.text();
        assert!(text.starts_with("error BOT-6293: the log file"), "{text}");
        assert!(
            text.ends_with("\ntwo\nthree\n") && text.matches("BOT-6293").count() == 1,
            "{text}"
        );
        assert_eq!(log.metrics.failing.get(), 1);
        fs::create_dir(&inner).unwrap();
        log.looked = old();
        log.write_all(b"four\n").unwrap();
        assert_eq!(read(&inner, "server.log"), "four\n");
        assert!(instead.text().ends_with("is written again\n"), "{}", instead.text());
        assert_eq!(log.metrics.failing.get(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let code = |folder: &Path| {
            let fault = log(folder, 100, 1).err().unwrap();
            (fault.code(), fault.kind().exit_code())
        };
        assert_eq!(code(&folder.path().join("missing")), ("BOT-6292", 1));
        let (_held, _) = log(folder.path(), 100, 1).unwrap();
        assert_eq!(code(folder.path()), ("BOT-6294", 5));
        let other = tempfile::tempdir().unwrap();
        fs::create_dir(other.path().join("server.log")).unwrap();
        assert_eq!(code(other.path()), ("BOT-6292", 1));
    }
}
