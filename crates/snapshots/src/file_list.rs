//! The files of a snapshot, listed from the paths that a user names.

use crate::file_stamps::Stamp;
use botops_findings::{Fault, Finding, Place, Result, Severity};
use botops_spec as spec;
use botops_text as text;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A file to store.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    /// Its path within the snapshot.
    pub(crate) name: String,
    /// Its path on disk.
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
    pub(crate) stamp: Option<Stamp>,
}

/// The files to store.
#[derive(Debug)]
pub(crate) struct FileList {
    /// The files, sorted by name.
    pub(crate) files: Vec<FoundFile>,
    /// Hidden files and folders (their names begin with a dot), which were skipped.
    pub(crate) hidden: u64,
}

/// Lists the files under `paths`.
///
/// - a file is stored under its own name, a file in a folder under its path in that folder; with several `paths`, the
///   path begins with the name of the folder
/// - hidden files in a folder are skipped and counted; empty folders are not stored
/// - a symbolic link among `paths` is followed; a link in a folder is refused, as are devices and pipes
///
/// # Errors
/// `BOT-1001` a path does not exist; `BOT-5062` (exit 2) some files cannot be stored, with a finding for each, or there
/// are no files.
pub(crate) fn list_files(paths: &[PathBuf]) -> Result<FileList> {
    let mut walk = Walk { files: BTreeMap::new(), hidden: 0, refused: Vec::new() };
    for path in paths {
        let meta = fs::metadata(path).map_err(|error| spec::unreadable(path, &error))?;
        let own = path.canonicalize().map_err(|error| spec::unreadable(path, &error))?;
        // `.` and `..` are stored under the names of the folders that they refer to.
        let name = path.file_name().or_else(|| own.file_name()).and_then(|name| name.to_str());
        let Some(name) = name else {
            walk.refuse(path, "its name is not UTF-8", RENAME);
            continue;
        };
        if meta.is_dir() {
            let prefix = if paths.len() == 1 { String::new() } else { format!("{name}/") };
            walk.folder(path, &prefix);
        } else if meta.is_file() {
            walk.file(path, name.to_owned(), &meta);
        } else {
            walk.refuse(path, "it is neither a file nor a folder", "name a file or a folder");
        }
    }
    let Walk { files, hidden, refused } = walk;
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    let shown = shown.join(", ");
    if !refused.is_empty() {
        let message = match &refused[..] {
            [one] => format!("a file of {shown} cannot be stored: {}", one.message),
            more => format!("{} files of {shown} cannot be stored", more.len()),
        };
        return Err(Fault::usage("BOT-5062", message)
            .file(&paths[0])
            .hint(refused[0].help.clone())
            .with_findings(refused));
    }
    if files.is_empty() {
        let fault = Fault::usage("BOT-5062", format!("there is no file in {shown}"));
        let fault = fault.file(paths.first().map_or(Path::new("."), PathBuf::as_path));
        return Err(match hidden {
            0 => fault.hint("name a file, or a folder with files in it"),
            _ => fault.hint("hidden files are skipped: name such a file itself"),
        });
    }
    Ok(FileList { files: files.into_values().collect(), hidden })
}

/// Returns the paths, within `folder`, of the files that a snapshot of it would hold, sorted.
///
/// # Errors
/// Those of taking a snapshot: `BOT-1001`, `BOT-5062` (exit 2).
pub fn files_under(folder: &Path) -> Result<Vec<String>> {
    let list = list_files(&[folder.to_owned()])?;
    Ok(list.files.into_iter().map(|found| found.name).collect())
}

const RENAME: &str =
    "rename it: names within a snapshot are UTF-8, without `\\` or control characters";

/// A walk through folders, with its results so far.
struct Walk {
    files: BTreeMap<String, FoundFile>,
    hidden: u64,
    refused: Vec<Finding>,
}

impl Walk {
    fn refuse(&mut self, path: &Path, why: &str, help: &str) {
        let file = Some(text::display(&path.display().to_string(), 400));
        self.refused.push(
            Finding::new("BOT-5062", Severity::Error, why, help)
                .at(Place { file, ..Place::default() }),
        );
    }

    fn folder(&mut self, folder: &Path, prefix: &str) {
        let unreadable = |walk: &mut Self, error: &std::io::Error| {
            walk.refuse(folder, &format!("it cannot be read: {error}"), "check its permissions");
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return unreadable(self, &error),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return unreadable(self, &error),
            };
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else {
                self.refuse(&path, "its name is not UTF-8", RENAME);
                continue;
            };
            if name.starts_with('.') {
                self.hidden += 1;
                continue;
            }
            match fs::symlink_metadata(&path) {
                Err(error) => {
                    self.refuse(
                        &path,
                        &format!("it cannot be read: {error}"),
                        "check its permissions",
                    );
                }
                Ok(meta) if meta.is_symlink() => self.refuse(
                    &path,
                    "it is a symbolic link",
                    "replace the link by the file, or name the file that it points to",
                ),
                Ok(meta) if meta.is_dir() => self.folder(&path, &format!("{prefix}{name}/")),
                Ok(meta) if meta.is_file() => self.file(&path, format!("{prefix}{name}"), &meta),
                Ok(_) => self.refuse(
                    &path,
                    "it is neither a file nor a folder",
                    "remove it from the folder: a device or a pipe cannot be stored",
                ),
            }
        }
    }

    fn file(&mut self, path: &Path, name: String, meta: &fs::Metadata) {
        if !is_safe(&name) {
            return self.refuse(path, "its name is not valid on every system", RENAME);
        }
        let found = FoundFile {
            name: name.clone(),
            path: path.to_owned(),
            size_bytes: meta.len(),
            stamp: Stamp::of(meta),
        };
        if self.files.insert(name.clone(), found).is_some() {
            let why = format!("another file has the same name, `{}`", text::display(&name, 200));
            self.refuse(path, &why, "name the folder that contains both, or rename one of them");
        }
    }
}

/// Returns whether `path` may be the path of a file of a snapshot: relative, without `.` or `..`, and valid on every system.
pub(crate) fn is_safe(path: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '\\';
    !path.is_empty()
        && path.len() <= 4_096
        && path.chars().all(plain)
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_out_of_the_folder_is_not_safe() {
        for path in ["a.csv", "a/b c/é.csv", "..a", "a..b/c"] {
            assert!(is_safe(path), "{path}");
        }
        for path in ["", "/a", "a//b", "../a", "a/../b", "./a", "a/", "a\\b", "a\nb", "a\0"] {
            assert!(!is_safe(path), "{path:?}");
        }
    }
}
