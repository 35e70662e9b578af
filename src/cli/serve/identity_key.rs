//! The key under which a server names conversations: a setting, or a file that the first server makes.

use super::{kept_key::kept, placed::placed};
use botops_findings::{Fault, Result};
use botops_workspace::{Secret, Workspace};

/// The fewest characters of a key.
const FEWEST: usize = 32;
/// The place of the file, from the folder of the workspace. It is no cache: no verb deletes it.
const FILE: &str = ".botops/keys/identity_key";

/// Returns the key in force. Without a setting, it is in a file, which is made if it is missing.
///
/// # Errors
/// `BOT-1052` (exit 2) the key is too short; those of the file.
pub(crate) fn resolve(workspace: &Workspace) -> Result<Secret> {
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
    long_enough(key)
}

/// Checks the key of the settings, if there is one. Makes none.
///
/// # Errors
/// `BOT-1052` (exit 2) the key is too short; `BOT-1021` (exit 2) the reference cannot be read.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let setting = &workspace.identity_key;
    let Some(key) = setting.value.resolve()? else { return Ok(()) };
    long_enough(key)
        .map(|_| ())
        .map_err(|fault| placed(workspace, "secrets.identity_key", setting, fault))
}

/// Returns the key in force, and makes none: what is stored under another key would not be found.
///
/// # Errors
/// `BOT-1052` (exit 2) the key is too short; `BOT-1053` (exit 1) there is none, or its file cannot be read.
pub(crate) fn existing(workspace: &Workspace) -> Result<Secret> {
    if let Some(key) = workspace.identity_key.value.resolve()? {
        return long_enough(key);
    }
    let path = workspace.root.join(FILE);
    let read = std::fs::read_to_string(&path).map(Secret::new).map_err(|error| {
        let message = format!("the identity key that names conversations cannot be read: {error}");
        Fault::internal("BOT-1053", message)
            .file(path.display().to_string())
            .hint("set `secrets.identity_key` to the key of the servers, or BOTOPS_IDENTITY_KEY")
            .caused_by(error)
    })?;
    long_enough(read)
}

fn long_enough(key: Secret) -> Result<Secret> {
    if key.expose().len() >= FEWEST {
        return Ok(key);
    }
    let message = format!("the identity key is too short: it needs at least {FEWEST} characters");
    Err(Fault::usage("BOT-1052", message).hint(
        "make one with `openssl rand -hex 32`, and give it to every server of the environment",
    ))
}
