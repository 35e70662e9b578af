//! A file that is complete or absent, written bit by bit.

use botops_findings::{Fault, Result};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A file that is being written beside the path it is for; dropped before [`Self::publish`], it leaves nothing.
///
/// - a link is followed, and what it leads to is replaced; what is no regular file (a pipe, a device) is written to as
///   it is, and nothing can be taken back there
/// - what an earlier writer of the same file left beside it, having been killed, is removed
#[derive(Debug)]
pub struct Aside {
    /// What it was asked to be.
    named: PathBuf,
    /// Where it goes, links being followed.
    path: PathBuf,
    /// Where it is until then; none: it is written in place.
    aside: Option<PathBuf>,
    file: BufWriter<File>,
}

impl Aside {
    /// Begins the file for `path`. No folder is made.
    ///
    /// # Errors
    /// `BOT-1016` (exit 2) for a directory or no name, `BOT-1002` (exit 1) where it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let there = fs::metadata(path);
        if there.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Err(Fault::usage(
                "BOT-1016",
                format!("`{}` is a directory, and a file is wanted", path.display()),
            )
            .file(path)
            .hint("name a file in it"));
        }
        if there.is_ok_and(|there| !there.is_file()) {
            let file = OpenOptions::new().write(true).open(path);
            let file = BufWriter::new(file.map_err(|error| unwritable(path, error))?);
            return Ok(Self { named: path.to_owned(), path: path.to_owned(), aside: None, file });
        }
        let real = followed(path).map_err(|error| unwritable(path, error))?;
        let folder = folder_of(&real);
        if !folder.is_dir() {
            return Err(Fault::internal(
                "BOT-1002",
                format!(
                    "`{}` cannot be written: there is no folder `{}`",
                    path.display(),
                    folder.display()
                ),
            )
            .file(path)
            .hint(format!("make it: `mkdir -p {}`", folder.display())));
        }
        if real.file_name().is_none() {
            return Err(Fault::usage(
                "BOT-1016",
                format!("`{}` is not a file's name", path.display()),
            )
            .hint("name a file to write"));
        }
        let (aside, file) = begin(&real).map_err(|error| unwritable(path, error))?;
        remove_leftovers(&real, &aside);
        let file = BufWriter::new(file);
        Ok(Self { named: path.to_owned(), path: real, aside: Some(aside), file })
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.named, error))
    }

    /// Syncs what was written and puts it where it goes.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1); what was there before then still is.
    pub fn publish(mut self) -> Result<()> {
        self.put().map_err(|error| unwritable(&self.named, error))
    }

    fn put(&mut self) -> io::Result<()> {
        self.file.flush()?;
        let Some(aside) = &self.aside else { return Ok(()) };
        self.file.get_ref().sync_all()?;
        fs::rename(aside, &self.path)?;
        self.aside = None;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

/// For what writes by itself; its errors are [`Fault`]s inside.
impl io::Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Aside::write(self, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            // What is left of it has no use, and there is nobody to tell.
            let _ = fs::remove_file(aside);
        }
    }
}

/// Returns the path that writing to `path` ends at: links are followed, also to what is not there yet.
///
/// # Errors
/// When links lead on and on.
pub fn followed(path: &Path) -> io::Result<PathBuf> {
    /// As many as the kernel follows.
    const MOST: usize = 40;
    let mut real = path.to_owned();
    for _ in 0..MOST {
        match fs::read_link(&real) {
            Ok(next) => real = folder_of(&real).join(next),
            Err(_) => return Ok(real),
        }
    }
    Err(io::Error::other("it is a link that leads to a link without end"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a file beside `path` under a name that no other writer uses, in this process or another.
///
/// It is locked as long as it is being written, where the file system can: what is not locked, nobody writes.
fn begin(path: &Path) -> io::Result<(PathBuf, File)> {
    static WRITERS: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        let number = WRITERS.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{number}.tmp", std::process::id()));
        let aside = folder_of(path).join(name);
        match OpenOptions::new().write(true).create_new(true).open(&aside) {
            // One of an earlier process with our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // Where there are no locks, the number of the process tells.
                let _ = file.try_lock();
                return Ok((aside, file));
            }
        }
    }
}

/// Removes what writers of `path` left beside it that are gone; of `fresh`, which was made just now, nothing.
///
/// What cannot be looked at or removed stays: it is in nobody's way.
fn remove_leftovers(path: &Path, fresh: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        let writer = entry.file_name().to_str().and_then(|entry| writer_of(entry, name));
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let left = entry.path();
        if let Some(writer) = writer.filter(|_| is_file && left != fresh)
            && is_gone(writer, &left, fresh)
            && File::open(&left).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(&left);
        }
    }
}

/// Returns the process that wrote a file for `name` aside, under the name `entry`: `.NAME.PROCESS-NUMBER.tmp`, and
/// formerly `.NAME.PROCESS.tmp`.
fn writer_of(entry: &str, name: &str) -> Option<u32> {
    let writer = entry.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?;
    let writer = writer.strip_suffix(".tmp")?;
    let (process, number) = writer.split_once('-').unwrap_or((writer, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(process) || !is_number(number) {
        return None;
    }
    process.parse().ok()
}

/// Returns whether the process that wrote `left` is gone; where that cannot be asked, whether it was written to a day
/// or longer before `fresh`.
fn is_gone(writer: u32, left: &Path, fresh: &Path) -> bool {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let processes = Path::new("/proc");
    if cfg!(target_os = "linux") && processes.join("self").exists() {
        // In a container, every process may have our number: the lock tells them apart.
        return writer == std::process::id() || !processes.join(writer.to_string()).exists();
    }
    let written = |path: &Path| fs::metadata(path).and_then(|there| there.modified());
    match (written(left), written(fresh)) {
        (Ok(left), Ok(fresh)) => fresh.duration_since(left).is_ok_and(|age| age >= DAY),
        _ => false,
    }
}

fn unwritable(path: &Path, error: io::Error) -> Fault {
    let why = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "nothing may be written there".to_owned(),
        _ => error.to_string(),
    };
    Fault::internal("BOT-1002", format!("`{}` cannot be written: {why}", path.display()))
        .file(path)
        .hint("check that the folder exists, its permissions and its free space")
        .caused_by(error)
}

/// Puts `bytes` at `path`, complete or absent: see [`Aside`].
///
/// # Errors
/// `BOT-1002`; the file is then as it was before.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Aside::create(path)?;
    file.write(bytes)?;
    file.publish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_findings::FaultKind;
    use std::collections::BTreeSet;

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn put(path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = Aside::create(path)?;
        file.write(bytes)?;
        file.publish()
    }

    #[test]
    fn a_file_is_complete_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        put(&path, b"before").unwrap();
        let mut file = Aside::create(&path).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        put(&path, b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(names(folder.path()), ["a.csv".to_owned()].into());
    }

    #[test]
    fn a_folder_is_neither_written_to_nor_made() {
        let folder = tempfile::tempdir().unwrap();
        let fault = put(folder.path(), b"x").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1002", FaultKind::Usage));
        let fault = put(&folder.path().join("nowhere/a.csv"), b"x").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1002", FaultKind::Internal));
        assert!(fault.hints().join(" ").contains("mkdir -p"), "{fault}");
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_also_to_what_is_not_there_yet() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/a.csv"), "before").unwrap();
        symlink("real/a.csv", at("there.csv")).unwrap();
        symlink("there.csv", at("twice.csv")).unwrap();
        symlink("real/b.csv", at("new.csv")).unwrap();
        symlink("round.csv", at("round.csv")).unwrap();
        put(&at("twice.csv"), b"after").unwrap();
        put(&at("new.csv"), b"new").unwrap();
        assert_eq!(fs::read(at("real/a.csv")).unwrap(), b"after");
        assert_eq!(fs::read(at("real/b.csv")).unwrap(), b"new");
        assert_eq!(put(&at("round.csv"), b"x").unwrap_err().code(), "BOT-1002");
        for link in ["there.csv", "twice.csv", "new.csv", "round.csv"] {
            assert!(at(link).is_symlink(), "{link}");
        }
        assert_eq!(names(&at("real")), ["a.csv", "b.csv"].map(str::to_owned).into());
    }

    #[test]
    fn only_what_our_own_writers_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // No process has a number this large.
        let gone = [".a.csv.4294967295-0.tmp", ".a.csv.4294967295.tmp"];
        let kept = [
            ".a.csv.1-0-0.tmp",
            ".a.csv.4294967295-x.tmp",
            ".a.csv.tmp",
            ".b.csv.4294967295-0.tmp",
            "a.csv.4294967295-0.tmp",
        ];
        for name in gone.iter().chain(&kept) {
            fs::write(at(name), "left").unwrap();
        }
        let day_before = fs::metadata(at(gone[0])).unwrap().modified().unwrap()
            - Duration::from_secs(2 * 24 * 60 * 60);
        for name in gone {
            let file = File::options().write(true).open(at(name)).unwrap();
            file.set_modified(day_before).unwrap();
        }
        // Another that is being written to stays, though of the same process.
        let other = Aside::create(&at("a.csv")).unwrap();
        put(&at("a.csv"), b"x").unwrap();
        assert!(other.aside.as_ref().unwrap().exists());
        other.publish().unwrap();
        let wanted: BTreeSet<String> = kept.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(folder.path()), &wanted | &["a.csv".to_owned()].into());
    }
}
