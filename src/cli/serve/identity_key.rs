//! The key under which a server names conversations: a setting, or a file that the first server makes.

use botops_findings::{Fault, Result};
use botops_workspace::{Secret, Workspace};
use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

/// The fewest characters of a key.
const FEWEST: usize = 32;
/// The place of the file, from the folder of the workspace. It is no cache: no verb deletes it.
const FILE: &str = ".botops/keys/identity_key";

/// Returns the key in force. Without a setting, it is in a file, which is made if it is missing.
///
/// # Errors
/// `BOT-1052` (exit 2) the key is too short; those of the file.
pub(super) fn resolve(workspace: &Workspace) -> Result<Secret> {
    let key = match workspace.identity_key.value.resolve()? {
        Some(key) => key,
        None => {
            let path = workspace.root.join(FILE);
            kept(&path).map_err(|error| {
                let message = format!("the identity key cannot be read or made: {error}");
                Fault::internal("BOT-1053", message)
                    .file(path.display().to_string())
                    .hint("set `secrets.identity_key` in botops.yaml, or BOTOPS_IDENTITY_KEY")
                    .caused_by(error)
            })?
        }
    };
    if key.expose().len() >= FEWEST {
        return Ok(key);
    }
    let message = format!("the identity key is too short: it needs at least {FEWEST} characters");
    Err(Fault::usage("BOT-1052", message).hint(
        "make one with `openssl rand -hex 32`, and give it to every server of the environment",
    ))
}

/// Reads the key at `path`, or makes it. Of several servers that make it at the same time, all get the same.
fn kept(path: &Path) -> io::Result<Secret> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map(Secret::new),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let made = folder.join(format!("identity_key.{}", std::process::id()));
    let written = write_new(&made).and_then(|()| match fs::hard_link(&made, path) {
        // Another server was first: its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&made);
    written?;
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
        let path = folder.path().join(FILE);
        let first = kept(&path).unwrap();
        assert_eq!(first.expose().len(), 64);
        assert_eq!(kept(&path).unwrap().expose(), first.expose());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
    }
}
