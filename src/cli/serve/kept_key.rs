//! A key that a server makes at its first start, and keeps in the folder of its workspace.

use botops_workspace::Secret;
use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// Reads the key at `path`, or makes it. Of several servers that make it at the same time, all get the same.
pub(super) fn kept(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map(Secret::new),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let made = path.with_extension(std::process::id().to_string());
    let written = write_new(&made).and_then(|()| match fs::hard_link(&made, path) {
        // Another server was first: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&made);
    written?;
    // What is stored under the key must not outlive it in a power cut.
    fs::File::open(folder)?.sync_all()?;
    fs::read_to_string(path).map(Secret::new)
}

/// Writes 256 random bits to a new file that only its owner can read.
fn write_new(path: &Path) -> io::Result<()> {
    let key = botops_access::random_key().map_err(io::Error::other)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".botops/keys/identity_key");
        let first = kept(&path).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(kept(&path).unwrap().expose(), first.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
    }
}
