//! Files written where none exist: an existing file is kept as it is.

use crate::starter_file::StarterFile;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of a workspace that was written, or exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedFile {
    /// The path from the root of the workspace, with `/` between its parts.
    pub path: String,
    /// Whether the file existed, and was kept as it is.
    pub kept: bool,
}

/// The files of a new workspace in their folder, checked: those to write, and those that exist.
#[derive(Debug)]
pub struct Placement {
    root: PathBuf,
    files: Vec<(StarterFile, bool)>,
}

impl Placement {
    /// Checks that `files` can be written into `root`; changes nothing.
    ///
    /// Whatever exists under the path of a file is kept, also a link.
    ///
    /// # Errors
    /// `BOT-1170` (exit 2) a folder is needed where a file is, or a file where a folder is.
    pub fn check(root: &Path, files: Vec<StarterFile>) -> Result<Self> {
        let check = |file: StarterFile| {
            let exists = exists(root, &file.path)?;
            Ok((file, exists))
        };
        let files = files.into_iter().map(check).collect::<Result<_>>()?;
        Ok(Self { root: root.to_owned(), files })
    }

    /// Returns every file, and whether it is kept.
    #[must_use]
    pub fn files(&self) -> Vec<PlacedFile> {
        let placed = |(file, kept): &(StarterFile, bool)| PlacedFile {
            path: file.path.clone(),
            kept: *kept,
        };
        self.files.iter().map(placed).collect()
    }

    /// Returns whether the file at `path` exists.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        self.files.iter().any(|(file, kept)| *kept && file.path == path)
    }

    /// Writes the files that do not exist.
    ///
    /// # Errors
    /// `BOT-2219` (exit 2) a file has appeared since the check; `BOT-1002` (exit 1) it or its folder cannot be written. The fault lists the
    /// files that were written before.
    pub fn write(&self) -> Result<()> {
        let mut written: Vec<&str> = Vec::new();
        for (file, _) in self.files.iter().filter(|(_, kept)| !kept) {
            let path = self.root.join(&file.path);
            let result = create_folder_of(&path)
                .and_then(|()| Output::new(&path, OutputKind::Other, false).write(&file.content));
            result.map_err(|fault| match written.is_empty() {
                true => fault,
                false => fault.hint(format!(
                    "written before: {}; run the command again for the rest",
                    written.join(", ")
                )),
            })?;
            written.push(&file.path);
        }
        Ok(())
    }
}

/// Creates the folder of the file `path`, with the folders above it.
fn create_folder_of(path: &Path) -> Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|error| {
        Fault::internal("BOT-1002", format!("`{}` cannot be created", folder.display()))
            .file(folder)
            .hint("check the permissions and the free space of the folder above it")
            .caused_by(error)
    })
}

/// Returns whether there is a file at `path` below `root`.
fn exists(root: &Path, path: &str) -> Result<bool> {
    let mut folder = root.to_owned();
    is_folder_or_nothing(&folder)?;
    let (folders, _) = path.rsplit_once('/').unwrap_or_default();
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        folder.push(part);
        is_folder_or_nothing(&folder)?;
    }
    let whole = root.join(path);
    match fs::symlink_metadata(&whole) {
        Ok(metadata) if metadata.is_dir() => {
            let message = format!("`{}` is a folder: expected a file", whole.display());
            Err(in_the_way(message, &whole))
        }
        Ok(_) => Ok(true),
        Err(_) => Ok(false),
    }
}

fn is_folder_or_nothing(path: &Path) -> Result<()> {
    // A link to a folder is one; a link to nothing is in the way.
    if fs::symlink_metadata(path).is_ok() && !path.is_dir() {
        let message = format!("`{}` is a file: expected a folder", path.display());
        return Err(in_the_way(message, path));
    }
    Ok(())
}

fn in_the_way(message: String, path: &Path) -> Fault {
    Fault::usage("BOT-1170", message)
        .file(path)
        .hint("nothing was written; rename it, or name another folder: `botops init DIR`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> StarterFile {
        StarterFile::new(path, "new")
    }

    #[test]
    fn existing_files_are_kept_and_the_others_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("not/yet");
        let placement = Placement::check(&root, vec![file("a.txt"), file("b/c.txt")]).unwrap();
        assert!(!root.exists(), "a check writes nothing");
        placement.write().unwrap();
        fs::write(root.join("a.txt"), "mine").unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
        let again = vec![file("a.txt"), file("b/c.txt"), file("b/d.txt"), file("link")];
        let again = Placement::check(&root, again).unwrap();
        let kept: Vec<bool> = again.files().iter().map(|file| file.kept).collect();
        assert_eq!(kept, [true, true, false, true]);
        again.write().unwrap();
        assert_eq!(fs::read_to_string(root.join("a.txt")).unwrap(), "mine");
        assert_eq!(fs::read_to_string(root.join("b/d.txt")).unwrap(), "new");
        assert!(root.join("link").is_symlink() && !root.join("nowhere").exists());
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_stops_everything() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("pipelines"), "mine").unwrap();
        fs::create_dir(root.join("folder")).unwrap();
        for path in ["pipelines/weekly.yaml", "folder"] {
            let fault = Placement::check(root, vec![file("a.txt"), file(path)]).unwrap_err();
            assert_eq!(fault.code(), "BOT-1170");
        }
        assert!(!root.join("a.txt").exists());
    }

    #[test]
    fn a_file_that_appears_after_the_check_is_kept_and_the_fault_says_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let placement = Placement::check(root, vec![file("a.txt"), file("b.txt")]).unwrap();
        fs::write(root.join("b.txt"), "mine").unwrap();
        let fault = placement.write().unwrap_err();
        assert_eq!(fault.code(), "BOT-2219");
        assert!(fault.hints().iter().any(|hint| hint.contains("written before: a.txt")));
        assert_eq!(fs::read_to_string(root.join("b.txt")).unwrap(), "mine");
    }
}
