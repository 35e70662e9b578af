//! The prediction log of a server, by the settings of the workspace.

use super::{identity_key, placed::placed};
use crate::cli::session::context::Context;
use botops_conversations::Names;
use botops_findings::{Fault, Result};
use botops_predictions::{PredictionLogSettings, TextPolicy};
use botops_serving::PredictionSettings;
use botops_workspace::{Setting, Workspace};
use chrono::TimeDelta;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// The time that records gather before they are synced together.
const GROUP: Duration = Duration::from_millis(100);
/// The age at which a segment is closed and moved to the store.
const SEGMENT_AGE: Duration = Duration::from_secs(60);
/// The most bytes that wait for the store.
const MOST_BYTES: u64 = 1 << 30;
/// The shortest time that records are kept.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3_600);

/// Returns what is kept of texts; `None` if nothing is logged.
///
/// # Errors
/// `BOT-6213` (exit 2) with the place of the setting.
pub(crate) fn settings(workspace: &Workspace) -> Result<Option<TextPolicy>> {
    retention(workspace)?;
    let text = &workspace.predictions_text;
    let policy = TextPolicy::ALL.iter().find(|(name, _)| *name == text.value);
    let policy = policy.map(|(_, policy)| *policy).ok_or_else(|| {
        wrong(workspace, "text", text, "is none of `redacted`, `hash` and `none`")
    })?;
    match &*workspace.predictions_log.value {
        "on" => Ok(Some(policy)),
        "off" => Ok(None),
        _ => Err(wrong(workspace, "log", &workspace.predictions_log, "is neither `on` nor `off`")),
    }
}

/// Returns how long records are kept.
///
/// # Errors
/// `BOT-6213` (exit 2) with the place of the setting.
pub(crate) fn retention(workspace: &Workspace) -> Result<Duration> {
    let setting = &workspace.predictions_retention;
    let time = humantime::parse_duration(&setting.value);
    time.ok().filter(|time| *time >= SHORTEST_RETENTION).ok_or_else(|| {
        wrong(workspace, "retention", setting, "is not a time of at least an hour, such as `90d`")
    })
}

fn wrong(workspace: &Workspace, key: &str, setting: &Setting<String>, why: &str) -> Fault {
    let key = format!("predictions.{key}");
    let fault =
        Fault::usage("BOT-6213", format!("`{key}` {why}")).hint("see `docs/predictions.md`");
    placed(workspace, &key, setting, fault)
}

/// Returns the settings of the log of a server of the registry in force; `None` if nothing is logged.
///
/// # Errors
/// Those of [`settings`], of the identity key and of the store.
pub(super) fn of(context: &Context) -> Result<Option<PredictionSettings>> {
    let workspace = context.workspace()?;
    let Some(text) = settings(workspace)? else { return Ok(None) };
    let key = identity_key::resolve(workspace)?;
    let key: Arc<[u8]> = Arc::from(key.expose().as_bytes());
    let names = Names::new(&key, None);
    let log = PredictionLogSettings {
        folder: PathBuf::from(&workspace.predictions_folder.value),
        replica: String::new(),
        group: GROUP,
        segment_age: SEGMENT_AGE,
        most_bytes: MOST_BYTES,
        text,
        key,
        name_of: Arc::new(move |id| names.of(id, None).conversation.to_string()),
    };
    let store = context.store(&workspace.registry.value)?;
    let retention = TimeDelta::from_std(retention(workspace)?).ok();
    Ok(Some(PredictionSettings { log, store, retention }))
}
