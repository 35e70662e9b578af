//! The settings of monitoring, of the flags and of the workspace.

use crate::cli::serve::placed::placed;
use botops_findings::{Fault, Result};
use botops_monitoring::{
    MonitorSpec, WatchSettings, WebhookKind, WebhookPace, WebhookSpec, Webhooks,
};
use botops_workspace::{Monitoring, Workspace};
use std::time::Duration;

/// The flags that replace settings; `None` for those that were not given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) window: Option<Duration>,
    pub(crate) reference_window: Option<Duration>,
    pub(crate) min_rows: Option<usize>,
    pub(crate) min_accuracy: Option<f64>,
}

/// Returns how windows are judged.
///
/// # Errors
/// `BOT-6250` (exit 2) with the place of the setting; `BOT-4001`.
pub(crate) fn spec(workspace: &Workspace, flags: Flags) -> Result<MonitorSpec> {
    let block = &workspace.monitoring.value;
    let default = MonitorSpec::default();
    let time = |key: &str, flag: Option<Duration>, text: &Option<String>| match flag {
        Some(time) => Ok(Some(time)),
        None => duration(workspace, key, text),
    };
    let spec = MonitorSpec {
        window: time("window", flags.window, &block.window)?.unwrap_or(default.window),
        reference_window: time(
            "reference_window",
            flags.reference_window,
            &block.reference_window,
        )?,
        min_rows: flags.min_rows.or(block.min_rows).unwrap_or(default.min_rows),
        min_accuracy: flags.min_accuracy.or(block.min_accuracy),
        ..default
    };
    spec.check().map_err(|fault| in_block(workspace, &flags, fault))?;
    Ok(spec)
}

/// Adds the place of the block to a fault, unless a flag replaces a setting: then it may be the flag's.
fn in_block(workspace: &Workspace, flags: &Flags, fault: Fault) -> Fault {
    let Flags { window, reference_window, min_rows, min_accuracy } = *flags;
    let is_flag = window.is_some()
        || reference_window.is_some()
        || min_rows.is_some()
        || min_accuracy.is_some();
    match is_flag {
        true => fault,
        false => placed(workspace, "monitoring", &workspace.monitoring, fault),
    }
}

/// Reads a time of the block.
fn duration(workspace: &Workspace, key: &str, text: &Option<String>) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    humantime::parse_duration(text).map(Some).map_err(|error| {
        let shown = botops_text::display(text, 40);
        let key = format!("monitoring.{key}");
        let fault = Fault::usage("BOT-6250", format!("`{key}` is `{shown}`, which is no time"))
            .hint("write a time such as `7d` or `24h`")
            .caused_by(error);
        placed(workspace, &key, &workspace.monitoring, fault)
    })
}

/// Returns the receivers of changes of state, with their secrets.
///
/// # Errors
/// `BOT-6258` (exit 2) one cannot be used; `BOT-1021` (exit 2) a secret cannot be read.
pub(crate) fn webhooks(workspace: &Workspace) -> Result<Webhooks> {
    let Monitoring { webhooks, allow_private, .. } = &workspace.monitoring.value;
    let mut specs = Vec::new();
    for (i, webhook) in webhooks.iter().enumerate() {
        let kind = WebhookKind::ALL.iter().find(|(name, _)| *name == webhook.kind);
        let Some((_, kind)) = kind else {
            let shown = botops_text::display(&webhook.kind, 40);
            let message = format!("`{shown}` is no kind of webhook");
            let fault = Fault::usage("BOT-6258", message).hint("write `generic` or `slack`");
            let key = format!("monitoring.webhooks[{i}].kind");
            return Err(placed(workspace, &key, &workspace.monitoring, fault));
        };
        let url = webhook.url.resolve()?;
        specs.push(WebhookSpec {
            url: url.map(|url| url.expose().to_owned()).unwrap_or_default(),
            kind: *kind,
            secret: webhook.secret.resolve()?.map(|secret| secret.expose().to_owned()),
        });
    }
    Webhooks::new(&specs, allow_private, WebhookPace::default())
        .map_err(|fault| placed(workspace, "monitoring.webhooks", &workspace.monitoring, fault))
}

/// Returns how the environment is monitored `every_flag` so often, or as the block says; `None` if neither says how often.
///
/// # Errors
/// Those of [`spec`] and of [`webhooks`].
pub(crate) fn watched(
    workspace: &Workspace,
    every_flag: Option<Duration>,
    flags: Flags,
) -> Result<Option<WatchSettings>> {
    let every = match every_flag {
        Some(every) => Some(every),
        None => duration(workspace, "every", &workspace.monitoring.value.every)?,
    };
    // The rest of the block is checked even if servers do not use it.
    let (spec, webhooks) = (spec(workspace, flags)?, webhooks(workspace)?);
    let Some(time) = every else { return Ok(None) };
    let settings = WatchSettings { every: time, spec, webhooks };
    settings.check().map_err(|fault| match every_flag {
        Some(_) => fault,
        None => placed(workspace, "monitoring.every", &workspace.monitoring, fault),
    })?;
    Ok(Some(settings))
}
