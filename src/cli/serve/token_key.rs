//! The key of the feedback tokens of a server: a setting, or a file that the first server makes.

use super::kept_key::kept;
use botops_access::TokenKeys;
use botops_findings::{Fault, Result};
use botops_workspace::{Secret, Workspace};

/// The place of the file, from the folder of the workspace. It is no cache: no verb deletes it.
const FILE: &str = ".botops/keys/token_key";

/// Returns the key in force, or both keys. Without a setting, it is in a file, which is made if it is missing.
///
/// # Errors
/// `BOT-6131` (exit 2) a key is too short, or there are more than two; `BOT-6132` (exit 1) the file cannot be read or made.
pub(super) fn resolve(workspace: &Workspace) -> Result<Secret> {
    let key = match workspace.token_key.value.resolve()? {
        Some(key) => key,
        None => {
            let path = workspace.root.join(FILE);
            kept(&path).map_err(|error| {
                let message = format!("the token key cannot be read or made: {error}");
                Fault::internal("BOT-6132", message)
                    .file(path.display().to_string())
                    .hint("set `secrets.token_key` in botops.yaml, or BOTOPS_TOKEN_KEY")
                    .caused_by(error)
            })?
        }
    };
    TokenKeys::parse(key.expose())?;
    Ok(key)
}
