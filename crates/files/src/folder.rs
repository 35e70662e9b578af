//! Folders that are complete or absent.

use crate::atomic_file::folder_of;
use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Moves the finished folder `made` to `target`, where no folder with files may be, so that it appears there complete.
///
/// Every file in `made` must have been synced by its writer; the folders are synced here.
///
/// # Errors
/// If a folder cannot be synced or renamed; `target` is then unchanged.
pub fn publish_folder(made: &Path, target: &Path) -> io::Result<()> {
    sync_folders(made)?;
    fs::rename(made, target)?;
    sync_folder(folder_of(target))
}

/// Moves the finished folder `made` to `target`, in the place of an earlier folder.
///
/// The earlier folder is moved to `aside` and removed there. If the process is killed, `target` is the earlier folder, the
/// new one or absent, and `aside` may be left.
///
/// # Errors
/// As [`publish_folder`].
pub fn replace_folder(made: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_err() {
        return publish_folder(made, target);
    }
    sync_folders(made)?;
    if fs::symlink_metadata(aside).is_ok() {
        fs::remove_dir_all(aside)?;
    }
    fs::rename(target, aside)?;
    fs::rename(made, target)?;
    sync_folder(folder_of(target))?;
    fs::remove_dir_all(aside)
}

/// Syncs `folder` and the folders in it.
fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_complete_and_never_over_files() {
        let held = tempfile::tempdir().unwrap();
        let at = |name: &str| held.path().join(name);
        let make = |text: &str| {
            fs::create_dir_all(at("made/inner")).unwrap();
            fs::write(at("made/inner/a"), text).unwrap();
        };
        make("one");
        publish_folder(&at("made"), &at("target")).unwrap();
        assert_eq!(fs::read(at("target/inner/a")).unwrap(), b"one");
        make("two");
        publish_folder(&at("made"), &at("target")).unwrap_err();
        assert_eq!(fs::read(at("target/inner/a")).unwrap(), b"one");
        assert!(at("made").is_dir());
    }

    #[test]
    fn a_replaced_folder_leaves_nothing_of_the_earlier_one() {
        let held = tempfile::tempdir().unwrap();
        let at = |name: &str| held.path().join(name);
        // A killed process left an earlier folder aside.
        fs::create_dir(at("aside")).unwrap();
        fs::write(at("aside/old"), "").unwrap();
        for name in ["a", "b"] {
            fs::create_dir(at("made")).unwrap();
            fs::write(at("made").join(name), "").unwrap();
            replace_folder(&at("made"), &at("target"), &at("aside")).unwrap();
        }
        let names: Vec<_> =
            fs::read_dir(at("target")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["b"]);
        assert!(!at("aside").exists() && !at("made").exists());
    }
}
