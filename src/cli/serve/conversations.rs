//! The conversations of a server, by the settings of the workspace.

use crate::cli::session::{context::Context, conversing};
use botops_findings::{Fault, Result};
use botops_serving::{ConversationSettings, OnStoreFailure};
use botops_workspace::Workspace;
use std::time::Duration;

/// The shortest time that turns are kept.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3_600);

/// Returns how long turns are kept, and whether the server answers without its store.
///
/// # Errors
/// `BOT-6139` (exit 2).
pub(super) fn settings(workspace: &Workspace) -> Result<(Duration, OnStoreFailure)> {
    let fault = |key: &str, why: &str| {
        Fault::usage("BOT-6139", format!("`conversations.{key}` {why}"))
            .hint("see `docs/conversations.md`")
    };
    let retention = humantime::parse_duration(&workspace.conversations_retention.value);
    let retention = retention.ok().filter(|time| *time >= SHORTEST_RETENTION);
    let retention = retention
        .ok_or_else(|| fault("retention", "is not a time of at least an hour, such as `30d`"))?;
    match &*workspace.on_store_failure.value {
        "refuse" => Ok((retention, OnStoreFailure::Refuse)),
        "answer" => Ok((retention, OnStoreFailure::Answer)),
        _ => Err(fault("on_store_failure", "is neither `refuse` nor `answer`")),
    }
}

/// Opens the conversations.
///
/// # Errors
/// Those of [`conversing::open`] and of [`Conversations::check_keys`].
///
/// [`Conversations::check_keys`]: botops_conversations::Conversations::check_keys
pub(super) async fn open(
    context: &Context,
    (retention, on_store_failure): (Duration, OnStoreFailure),
) -> Result<ConversationSettings> {
    let conversations = conversing::open(context, true).await?;
    conversations.check_keys().await?;
    Ok(ConversationSettings { conversations, retention, on_store_failure })
}
