//! The conversations of the workspace, as its settings say.

use super::context::Context;
use crate::cli::serve::identity_key;
use botops_conversations::{Conversations, DataKeys, Location, Names};
use botops_findings::Result;
use botops_workspace::{Secret, Workspace};

/// Returns where the conversations of the workspace are stored.
///
/// # Errors
/// `BOT-6115` (exit 2) it is neither a path nor a supported URL; `BOT-1021` (exit 2) the reference cannot be read.
pub(crate) fn location(workspace: &Workspace) -> Result<Location> {
    let written = workspace.conversations_store.value.resolve()?;
    Location::parse(written.as_ref().map_or("", Secret::expose), &workspace.root)
}

/// Opens the conversations of the workspace. `serves` says that a server does: it makes what is missing, an identity key and
/// the files of an embedded store.
///
/// # Errors
/// `BOT-6126` (exit 2) nothing is stored; those of the keys and of the store.
pub(crate) async fn open(context: &Context, serves: bool) -> Result<Conversations> {
    let workspace = context.workspace()?;
    let keys = workspace.data_key.value.resolve()?;
    let keys = keys.map(|keys| DataKeys::parse(keys.expose())).transpose()?;
    let old = workspace.old_identity_key.value.resolve()?;
    let location = location(workspace)?;
    let (store, key) = if serves {
        let key = identity_key::resolve(workspace)?;
        (location.open(true).await?, key)
    } else {
        (location.open(false).await?, identity_key::existing(workspace)?)
    };
    let old = old.as_ref().map(|old| old.expose().as_bytes());
    Ok(Conversations::new(store, Names::new(key.expose().as_bytes(), old), keys))
}
