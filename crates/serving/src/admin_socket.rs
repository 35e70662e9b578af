//! The admin API on a Unix socket. The kernel says which user a request is from.
//!
//! - the user of the server and root are administrators; the settings give roles to others
//! - the file has the mode 0600; 0666 if the settings name other users, because the user of each connection is checked
//! - a file is replaced only if it is a socket on which nobody listens, and removed when the server stops

use crate::authorization::Caller;
use botops_access::{Authenticated, Identity, IdentityKind, Role};
use botops_findings::{Fault, Result};
use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;

/// The file of a socket that this server listens on. Dropping it removes the file, unless another one is in its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
    /// The user who made it: that of the server.
    owner: u32,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.id);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The users that the socket lets in.
#[derive(Debug, Clone)]
pub(super) struct SocketUsers {
    /// The user of the server.
    owner: u32,
    /// The roles of users, by name or as `uid:1000`.
    roles: BTreeMap<String, Role>,
}

/// The user of a connection; `None` if the kernel does not say.
#[derive(Debug, Clone, Copy)]
pub(super) struct SocketUser(Option<u32>);

impl SocketUser {
    /// Returns the user at the other end of `stream`.
    pub(super) fn of(stream: &tokio::net::UnixStream) -> Self {
        Self(stream.peer_cred().ok().map(|credentials| credentials.uid()))
    }

    /// Returns the name of the user, or `uid:1000`.
    pub(super) fn name(self) -> String {
        let Some(uid) = self.0 else { return "unknown".to_owned() };
        // Users of a directory service are not in this file, and keep their number.
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        name_of(uid, &users).map_or_else(|| format!("uid:{uid}"), str::to_owned)
    }
}

/// Returns the name of the user `uid` in the format of `/etc/passwd`.
fn name_of(uid: u32, users: &str) -> Option<&str> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

impl SocketUsers {
    /// Returns the users with other roles.
    pub(super) fn with(&self, roles: BTreeMap<String, Role>) -> Self {
        Self { owner: self.owner, roles }
    }

    /// Returns who a request of `user` is from; `None` if the user has no role.
    pub(super) fn caller(&self, user: SocketUser) -> Option<Caller> {
        let (uid, name) = (user.0?, user.name());
        let role = match uid {
            uid if uid == self.owner || uid == 0 => Role::Admin,
            uid => *self.roles.get(&name).or_else(|| self.roles.get(&format!("uid:{uid}")))?,
        };
        let identity = Identity::new(IdentityKind::Socket, name);
        Some(Caller { who: Authenticated { identity, scopes: role.scopes() }, by_old_key: false })
    }
}

impl SocketFile {
    /// Returns the path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the users that the socket lets in: its owner, root, and those of `roles`.
    pub(super) fn users(&self, roles: BTreeMap<String, Role>) -> SocketUsers {
        SocketUsers { owner: self.owner, roles }
    }
}

/// Listens at `path`, for the user of the server alone or, if `is_shared`, for every user of the machine.
///
/// # Errors
/// `BOT-1059` (exit 1) if another server listens there, something else is there, or the folder cannot be written.
pub(super) fn bind(path: &Path, is_shared: bool) -> Result<(UnixListener, SocketFile)> {
    let shown = path.display();
    let fault = |problem: String| {
        Fault::internal("BOT-1059", format!("the admin socket `{shown}` {problem}"))
            .hint("name another path with `--admin-socket`, in a folder that you can write")
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(fault("is not a socket, and is left as it is".to_owned()));
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Ok(_) => return Err(fault("is in use: a server listens there".to_owned())),
            Err(error) => {
                let problem = format!("cannot be checked for another server: {error}");
                return Err(fault(problem).caused_by(error));
            }
        },
        Err(_) => {}
    }
    // Nobody can connect before the mode is set, because nobody knows this name.
    let own = format!("{}.{}", path.display(), ulid::Ulid::generate());
    let own = PathBuf::from(own);
    let bound = (|| {
        let listener = UnixListener::bind(&own)?;
        fs::set_permissions(&own, mode(is_shared))?;
        let found = fs::symlink_metadata(&own)?;
        fs::rename(&own, path)?;
        Ok((listener, (found.dev(), found.ino()), found.uid()))
    })();
    let (listener, id, owner) = bound.map_err(|error: std::io::Error| {
        let _ = fs::remove_file(&own);
        fault(format!("cannot be made: {error}")).caused_by(error)
    })?;
    Ok((listener, SocketFile { path: path.to_owned(), id, owner }))
}

/// Returns the mode of a socket for the user of the server alone or, if `is_shared`, for every user of the machine.
fn mode(is_shared: bool) -> fs::Permissions {
    fs::Permissions::from_mode(if is_shared { 0o666 } else { 0o600 })
}

/// Changes the mode of the socket at `path`, as [`bind`] sets it.
///
/// # Errors
/// `BOT-1059` (exit 1).
pub(super) fn set_mode(path: &Path, is_shared: bool) -> Result<()> {
    fs::set_permissions(path, mode(is_shared)).map_err(|error| {
        let shown = path.display();
        let message = format!("the mode of the admin socket `{shown}` cannot be changed: {error}");
        Fault::internal("BOT-1059", message).caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use botops_access::Scope;

    #[tokio::test]
    async fn a_socket_is_private_replaced_only_if_stale_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let (listener, file) = bind(&path, false).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let fault = bind(&path, false).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1059", 1));
        assert!(fault.message().contains("in use"), "{fault}");
        // A server that was killed leaves its file.
        drop(listener);
        let (second, file_of_second) = bind(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        drop(file);
        assert!(path.exists(), "the file of the second server stays");
        drop((second, file_of_second));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");

        fs::write(&path, "mine").unwrap();
        assert!(bind(&path, false).unwrap_err().message().contains("is not a socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        for bad in [folder.path().join("none/admin.sock"), folder.path().join("x".repeat(200))] {
            let fault = bind(&bad, false).unwrap_err();
            assert_eq!(fault.code(), "BOT-1059");
            assert!(fault.message().contains("cannot be made"), "{fault}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_owner_and_root_are_administrators_and_others_have_the_roles_of_the_settings() {
        let roles = [("uid:4000000001".to_owned(), Role::Viewer)].into();
        let users = SocketUsers { owner: 4_000_000_000, roles };
        let of = |uid| users.caller(SocketUser(uid));
        let owner = of(Some(4_000_000_000)).unwrap();
        assert_eq!(owner.who.identity, Identity::new(IdentityKind::Socket, "uid:4000000000"));
        assert_eq!(owner.who.scopes, Role::Admin.scopes());
        assert_eq!(of(Some(0)).unwrap().who.scopes, Role::Admin.scopes());
        assert_eq!(of(Some(4_000_000_001)).unwrap().who.scopes, [Scope::Read].into());
        assert!(of(Some(4_000_000_002)).is_none() && of(None).is_none());
        let file = "root:x:0:0:root:/root:/bin/sh\n\nbroken\ndeploy:x:1000:1000::/:/bin/sh\n";
        assert_eq!(name_of(1000, file), Some("deploy"));
        assert_eq!((name_of(0, file), name_of(7, file)), (Some("root"), None));
    }
}
