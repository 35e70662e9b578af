//! The conversations of a server, by the settings of the workspace.

use super::placed::placed;
use crate::cli::{
    Printer,
    session::{context::Context, conversing},
};
use botops_findings::{Fault, FaultKind, Result};
use botops_serving::{ConversationSettings, OnStoreFailure};
use botops_workspace::{Setting, Workspace};
use std::time::Duration;

/// The shortest time that turns are kept.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3_600);

/// Returns how long turns are kept, and whether the server answers without its store.
///
/// # Errors
/// `BOT-6139` (exit 2).
pub(super) fn settings(workspace: &Workspace) -> Result<(Duration, OnStoreFailure)> {
    let fault = |key: &str, setting: &Setting<String>, why: &str, hint: &str| {
        let key = format!("conversations.{key}");
        let fault = Fault::usage("BOT-6139", format!("`{key}` {why}")).hint(hint);
        placed(workspace, &key, setting, fault)
    };
    let (written, on_failure) = (&workspace.conversations_retention, &workspace.on_store_failure);
    let retention = humantime::parse_duration(&written.value);
    let retention = retention.ok().filter(|time| *time >= SHORTEST_RETENTION);
    let retention = retention.ok_or_else(|| {
        let shown = botops_text::display(&written.value, 40);
        let why = format!("is not a time of at least an hour: `{shown}`");
        fault("retention", written, &why, "write it as `30d` or `12h`")
    })?;
    match &*on_failure.value {
        "refuse" => Ok((retention, OnStoreFailure::Refuse)),
        "answer" => Ok((retention, OnStoreFailure::Answer)),
        other => {
            let shown = botops_text::display(other, 40);
            let why = format!("is neither `refuse` nor `answer`: `{shown}`");
            let hint = "`answer` answers without history when a turn cannot be stored";
            Err(fault("on_store_failure", on_failure, &why, hint))
        }
    }
}

/// Opens the conversations. Where messages are answered without the store, one that cannot be reached is opened later.
///
/// # Errors
/// Those of [`conversing::open`] and of [`Conversations::check_keys`].
///
/// [`Conversations::check_keys`]: botops_conversations::Conversations::check_keys
pub(super) async fn open(
    context: &Context,
    (retention, on_store_failure): (Duration, OnStoreFailure),
) -> Result<ConversationSettings> {
    let opened = async {
        let conversations = conversing::open(context, true).await?;
        conversations.check_keys().await.map(|()| conversations)
    };
    let conversations = match opened.await {
        Err(fault)
            if fault.kind() == FaultKind::Unreachable
                && on_store_failure == OnStoreFailure::Answer =>
        {
            let printer = context.printer;
            printer.say(&format!("warning: {}: {}", fault.code(), fault.message()));
            printer.say(
                "warning: messages are answered without history and not stored; the store is tried again until it answers",
            );
            conversing::open_late(context.workspace()?, Box::new(move |fault| say(printer, fault)))?
        }
        opened => opened?,
    };
    Ok(ConversationSettings { conversations, retention, on_store_failure })
}

/// Says how the store is opened that could not be reached at the start.
fn say(printer: Printer, fault: Option<&Fault>) {
    printer.say(&match fault {
        None => "the store of conversations answers: turns are stored from here on".to_owned(),
        Some(fault) => format!("warning: {}: {}", fault.code(), fault.message()),
    });
}
