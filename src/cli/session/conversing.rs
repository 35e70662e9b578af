//! The conversations of the workspace, as its settings say.

use super::context::Context;
use crate::cli::serve::identity_key;
use botops_conversations::{Conversations, DataKeys, Location, MemoryStore, Names, News};
use botops_findings::Result;
use botops_workspace::{Secret, Workspace};
use std::sync::Arc;

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
    let location = location(workspace)?;
    let (store, key) = if serves {
        let key = identity_key::resolve(workspace)?;
        (location.open(true).await?, key)
    } else {
        (location.open(false).await?, identity_key::existing(workspace)?)
    };
    let (names, keys) = names_and_keys(workspace, &key)?;
    Ok(Conversations::new(store, names, keys))
}

/// Opens the conversations of the workspace; where nothing is stored, those of an empty store. Channels may hold messages of a
/// conversation that has no turn.
///
/// # Errors
/// `BOT-6126` (exit 2) nothing is stored, and there is no key by which channels name conversations; those of [`open`].
pub(crate) async fn open_or_empty(context: &Context) -> Result<Conversations> {
    match open(context, false).await {
        Err(fault) if fault.code() == "BOT-6126" => match names(context) {
            Ok(names) => {
                Ok(Conversations::new(Arc::new(MemoryStore::of_last_turns()), names, None))
            }
            Err(_) => Err(fault),
        },
        opened => opened,
    }
}

/// Makes the conversations of the workspace for a server that answers without its store, which cannot be reached now; `news`
/// says when it is open.
///
/// # Errors
/// Those of the keys and of the location.
pub(crate) fn open_late(workspace: &Workspace, news: News) -> Result<Conversations> {
    let key = identity_key::resolve(workspace)?;
    let parts = names_and_keys(workspace, &key)?;
    Conversations::open_late(location(workspace)?, parts, news)
}

/// Returns the names of the conversations and persons of the workspace.
///
/// # Errors
/// Those of the keys.
pub(crate) fn names(context: &Context) -> Result<Names> {
    let workspace = context.workspace()?;
    Ok(names_and_keys(workspace, &identity_key::existing(workspace)?)?.0)
}

/// Returns the names of conversations under the identity key `key`, and the data keys.
fn names_and_keys(workspace: &Workspace, key: &Secret) -> Result<(Names, Option<DataKeys>)> {
    let keys = workspace.data_key.value.resolve()?;
    let keys = keys.map(|keys| DataKeys::parse(keys.expose())).transpose()?;
    let old = workspace.old_identity_key.value.resolve()?;
    let old = old.as_ref().map(|old| old.expose().as_bytes());
    Ok((Names::new(key.expose().as_bytes(), old), keys))
}
