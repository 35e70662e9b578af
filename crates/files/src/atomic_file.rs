//! A file that is written piece by piece, and is complete or absent.

use crate::{
    overwrite_rule::{Existing, OverwriteRule, is_directory, is_in_place, same_content},
    standard_output::{Stream, is_standard_output},
};
use botops_findings::{Fault, Result};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, BufWriter, Stdout, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A file that is written to a temporary file next to its target, and moved to the target by [`Self::publish`].
///
/// - dropping it before [`Self::publish`] removes the temporary file and leaves the target unchanged
/// - for a file of botops itself, symbolic links are followed: the file at the end of the link is replaced. An output that
///   the user named does not follow them; see [`crate::Output`]
/// - a target that is not a regular file (a pipe, a device) is written in place, and that cannot be undone
/// - temporary files that killed writers of the same target left behind are removed
#[derive(Debug)]
pub struct AtomicFile {
    /// The path the caller gave; messages name it.
    requested: PathBuf,
    /// The path to replace, with links followed.
    target: PathBuf,
    /// The temporary file; `None` if the target is written in place.
    temporary: Option<PathBuf>,
    /// The rule for an existing file at the path of an output that the user named; `None` for a file of botops itself.
    rule: Option<OverwriteRule>,
    content: Content,
}

/// The destination of the written bytes.
#[derive(Debug)]
enum Content {
    File(BufWriter<File>),
    /// Standard output, for an output that the user named `-`.
    Standard(BufWriter<Stream<Stdout>>),
}

impl Content {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Standard(stream) => stream.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Standard(stream) => stream.flush(),
        }
    }
}

impl AtomicFile {
    /// Starts a file of botops itself at `path`. Its folder must exist.
    ///
    /// # Errors
    /// `BOT-1016` (exit 2) if `path` is a directory or has no file name, `BOT-1002` (exit 1) if it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let target = resolve_links(path).map_err(|error| unwritable(path, error))?;
        Self::begin(path, target, None)
    }

    /// Starts an output that the user named; links are not followed.
    pub(crate) fn create_output(path: &Path, rule: OverwriteRule) -> Result<Self> {
        Self::begin(path, path.to_owned(), Some(rule))
    }

    /// Lets only its owner read the file. A pipe, a device and standard output stay as they are.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub(crate) fn keep_private(&self) -> Result<()> {
        let (Content::File(file), Some(_)) = (&self.content, &self.temporary) else {
            return Ok(());
        };
        let changed = file.get_ref().set_permissions(Permissions::from_mode(0o600));
        changed.map_err(|error| unwritable(&self.requested, error))
    }

    fn begin(path: &Path, target: PathBuf, rule: Option<OverwriteRule>) -> Result<Self> {
        if rule.is_some() && is_standard_output(path) {
            let content = Content::Standard(BufWriter::new(Stream::new(io::stdout())));
            return Ok(Self { requested: path.to_owned(), target, temporary: None, rule, content });
        }
        // A link that an output replaces may point to a directory, but is none.
        if fs::symlink_metadata(&target).is_ok_and(|existing| existing.is_dir()) {
            return Err(is_directory(path));
        }
        if is_in_place(path) {
            let file = OpenOptions::new().write(true).open(path);
            let file = BufWriter::new(file.map_err(|error| unwritable(path, error))?);
            let (path, content) = (path.to_owned(), Content::File(file));
            return Ok(Self {
                requested: path.clone(),
                target: path,
                temporary: None,
                rule,
                content,
            });
        }
        let folder = folder_of(&target);
        if !folder.is_dir() {
            return Err(Fault::internal(
                "BOT-1002",
                format!(
                    "`{}` cannot be written: the folder `{}` does not exist",
                    path.display(),
                    folder.display()
                ),
            )
            .file(path)
            .hint(format!("create it: `mkdir -p {}`", folder.display())));
        }
        if target.file_name().is_none() {
            return Err(Fault::usage("BOT-1016", format!("`{}` has no file name", path.display()))
                .hint("give the path of a file to write"));
        }
        let (temporary, file) =
            create_temporary(&target).map_err(|error| unwritable(path, error))?;
        remove_leftovers(&target, &temporary);
        let content = Content::File(BufWriter::new(file));
        Ok(Self { requested: path.to_owned(), target, temporary: Some(temporary), rule, content })
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.content.write_all(bytes).map_err(|error| unwritable(&self.requested, error))
    }

    /// Writes everything so far to standard output, so that its reader can work on it. Other outputs are unaffected.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn show(&mut self) -> Result<()> {
        match &mut self.content {
            Content::File(_) => Ok(()),
            Content::Standard(stream) => {
                stream.flush().map_err(|error| unwritable(&self.requested, error))
            }
        }
    }

    /// Returns whether the reader of standard output has ended: further content would be discarded.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.content {
            Content::File(_) => false,
            Content::Standard(stream) => stream.get_ref().is_closed(),
        }
    }

    /// Syncs the written bytes to disk and moves the file to its target.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1); for an output that the user named, those of [`crate::Output::check_content`]. An existing file
    /// is then unchanged.
    pub fn publish(mut self) -> Result<()> {
        self.sync().map_err(|error| unwritable(&self.requested, error))?;
        if self.may_replace()? {
            self.rename().map_err(|error| unwritable(&self.requested, error))?;
        }
        Ok(())
    }

    /// Publishes a file whose name depends on its content: at `name` in the folder of its target.
    ///
    /// # Errors
    /// `BOT-1002` (exit 1).
    pub fn publish_as(mut self, name: &str) -> Result<()> {
        self.target.set_file_name(name);
        self.requested.clone_from(&self.target);
        self.publish()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.content.flush()?;
        match (&self.content, &self.temporary) {
            (Content::File(file), Some(_)) => file.get_ref().sync_all(),
            _ => Ok(()),
        }
    }

    /// Returns whether the target is to be replaced; not if it has the same content already.
    fn may_replace(&self) -> Result<bool> {
        let (Some(temporary), Some(rule)) = (&self.temporary, self.rule) else { return Ok(true) };
        // The file may have appeared, or changed, since this one was started.
        match rule.existing(&self.target)? {
            Existing::Replaceable => Ok(true),
            Existing::Unrecognised if same_content(temporary, &self.target).unwrap_or(false) => {
                Ok(false)
            }
            Existing::Unrecognised => Err(rule.exists(&self.target)),
        }
    }

    fn rename(&mut self) -> io::Result<()> {
        let Some(temporary) = &self.temporary else { return Ok(()) };
        fs::rename(temporary, &self.target)?;
        self.temporary = None;
        File::open(folder_of(&self.target))?.sync_all()
    }
}

/// For writers that take an [`io::Write`]; each error wraps a [`Fault`].
impl io::Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::write(self, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.content.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // A leftover does no harm: the next writer of the same target removes it.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Returns the path that a write to `path` reaches: symbolic links are followed, even to a file that does not exist yet.
///
/// # Errors
/// If more than 40 links follow each other, as in a cycle.
pub fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    /// The limit of the Linux kernel.
    const MAX_LINKS: usize = 40;
    let mut real = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&real) {
            Ok(next) => real = folder_of(&real).join(next),
            Err(_) => return Ok(real),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Creates a temporary file next to `path`, under a name that no other writer uses, in this process or another.
///
/// The file stays locked while it is being written, if the file system supports locks, so that other writers do not
/// take it for a leftover.
fn create_temporary(path: &Path) -> io::Result<(PathBuf, File)> {
    static WRITERS: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        let number = WRITERS.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = folder_of(path).join(name);
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            // A leftover of an earlier process with the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // Without locks, the process id in the name decides.
                let _ = file.try_lock();
                return Ok((temporary, file));
            }
        }
    }
}

/// Removes temporary files of `path` whose writers no longer run, except `fresh`, which was just created.
///
/// Errors are ignored, because a leftover does no harm.
fn remove_leftovers(path: &Path, fresh: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let Ok(entries) = fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        let writer = entry.file_name().to_str().and_then(|entry| writer_process(entry, name));
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let left = entry.path();
        if let Some(writer) = writer.filter(|_| is_file && left != fresh)
            && is_abandoned(writer, &left, fresh)
            && File::open(&left).is_ok_and(|file| file.try_lock().is_ok())
        {
            let _ = fs::remove_file(&left);
        }
    }
}

/// Returns the id of the process that created the temporary file `entry` for `name`, if `entry` is one.
///
/// Temporary files are named `.NAME.PROCESS-NUMBER.tmp`; older versions named them `.NAME.PROCESS.tmp`.
fn writer_process(entry: &str, name: &str) -> Option<u32> {
    let writer = entry.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?;
    let writer = writer.strip_suffix(".tmp")?;
    let (process, number) = writer.split_once('-').unwrap_or((writer, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(process) || !is_number(number) {
        return None;
    }
    process.parse().ok()
}

/// Returns whether the process `writer` of the file `left` no longer runs.
///
/// If the processes of the system cannot be listed, `left` is abandoned if it was last written at least a day before
/// `fresh`.
fn is_abandoned(writer: u32, left: &Path, fresh: &Path) -> bool {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let processes = Path::new("/proc");
    if cfg!(target_os = "linux") && processes.join("self").exists() {
        // In containers that share a folder, processes can have the same id: the lock tells them apart.
        return writer == std::process::id() || !processes.join(writer.to_string()).exists();
    }
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    match (written(left), written(fresh)) {
        (Ok(left), Ok(fresh)) => fresh.duration_since(left).is_ok_and(|age| age >= DAY),
        _ => false,
    }
}

fn unwritable(path: &Path, error: io::Error) -> Fault {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    };
    Fault::internal("BOT-1002", format!("`{}` cannot be written: {reason}", path.display()))
        .file(path)
        .hint("check that the folder exists, its permissions and the free space")
        .caused_by(error)
}

/// Writes `bytes` to `path` atomically; see [`AtomicFile`].
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::publish`]; an existing file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
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

    #[test]
    fn a_file_is_complete_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        replace(&path, b"before").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        replace(&path, b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(names(folder.path()), ["a.csv".to_owned()].into());
    }

    #[test]
    fn a_folder_is_neither_overwritten_nor_created() {
        let folder = tempfile::tempdir().unwrap();
        let fault = replace(folder.path(), b"x").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1016", FaultKind::Usage));
        let fault = replace(&folder.path().join("nowhere/a.csv"), b"x").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1002", FaultKind::Internal));
        assert!(fault.hints().join(" ").contains("mkdir -p"), "{fault}");
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_even_to_missing_files() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/a.csv"), "before").unwrap();
        symlink("real/a.csv", at("there.csv")).unwrap();
        symlink("there.csv", at("twice.csv")).unwrap();
        symlink("real/b.csv", at("new.csv")).unwrap();
        symlink("round.csv", at("round.csv")).unwrap();
        replace(&at("twice.csv"), b"after").unwrap();
        replace(&at("new.csv"), b"new").unwrap();
        assert_eq!(fs::read(at("real/a.csv")).unwrap(), b"after");
        assert_eq!(fs::read(at("real/b.csv")).unwrap(), b"new");
        assert_eq!(replace(&at("round.csv"), b"x").unwrap_err().code(), "BOT-1002");
        for link in ["there.csv", "twice.csv", "new.csv", "round.csv"] {
            assert!(at(link).is_symlink(), "{link}");
        }
        assert_eq!(names(&at("real")), ["a.csv", "b.csv"].map(str::to_owned).into());
    }

    #[test]
    fn only_leftovers_of_botops_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // No process has an id this large.
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
        // A file that another writer of this process still writes is kept.
        let other = AtomicFile::create(&at("a.csv")).unwrap();
        replace(&at("a.csv"), b"x").unwrap();
        assert!(other.temporary.as_ref().unwrap().exists());
        other.publish().unwrap();
        let wanted: BTreeSet<String> = kept.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(folder.path()), &wanted | &["a.csv".to_owned()].into());
    }
}
