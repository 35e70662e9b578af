//! The settings of a server, of the flags and of the workspace.

use super::{
    access, flags::Args, identity_key, knowledge, listeners, protection, telemetry, token_key,
    uploads,
};
use botops_access::Policy;
use botops_findings::Result;
use botops_registry::{Registry, read_policy};
use botops_serving::{ActionSettings, Replication, RequestLog, ServerSettings, WebhookSpec};
use botops_workspace::{Actions, Webhook, Workspace};
use std::collections::BTreeMap;

/// Returns the settings of the server, of the flags and of the workspace.
///
/// # Errors
/// `BOT-1021` (exit 2) a secret cannot be read; those of the access settings.
pub(super) fn server_settings(args: &Args, workspace: &Workspace) -> Result<ServerSettings> {
    Ok(ServerSettings {
        listen: args.listen,
        admin_listen: args.admin_listen,
        admin_token: workspace.admin_token.value.resolve()?,
        allowed_hosts: protection::allowed_hosts(workspace, &args.allow_host)?,
        environment: workspace.environment.value.clone(),
        access: access::resolve(workspace, args.admin_socket.as_deref())?,
        listeners: listeners::settings(workspace, args.chat_page),
        replication: Replication {
            identity_key: Some(identity_key::resolve(workspace)?),
            stale_after: args.stale_after,
            times: args.times,
            token_key: Some(token_key::resolve(workspace)?),
            feedback_lifetime: args.feedback_lifetime,
        },
        webhooks: webhooks(workspace)?,
        actions: Some(actions(workspace)?),
        // Opened at the start, and not read again.
        conversations: None,
        predictions: None,
        monitoring: None,
        disks: BTreeMap::new(),
        telemetry: telemetry::settings(workspace)?,
        knowledge: knowledge::settings(args, workspace)?,
        uploads: uploads::settings(),
        channels: botops_channels::ChannelSettings::read(workspace)?,
        request_log: if args.no_request_log {
            RequestLog::Warnings(|| Box::new(std::io::stderr()))
        } else {
            RequestLog::To(|| Box::new(std::io::stderr()))
        },
        public: protection::of(workspace, args.listen)?,
    })
}

/// Returns the receivers of webhooks, with their secrets.
///
/// # Errors
/// `BOT-1021` (exit 2) a secret cannot be read.
pub(super) fn webhooks(workspace: &Workspace) -> Result<Vec<WebhookSpec>> {
    let receiver = |webhook: &Webhook| {
        let secrets = webhook.secrets.iter().filter_map(|it| it.resolve().transpose());
        Ok(WebhookSpec {
            url: webhook.url.clone(),
            secrets: secrets.collect::<Result<_>>()?,
            events: webhook.events.clone(),
        })
    };
    workspace.webhooks.value.iter().map(receiver).collect()
}

/// Returns the calls that dialogues may ask for, with their secrets.
///
/// # Errors
/// `BOT-1021` (exit 2) a secret cannot be read.
pub(super) fn actions(workspace: &Workspace) -> Result<ActionSettings> {
    let Actions { allow, allow_private, secrets } = &workspace.actions.value;
    let secrets = secrets.iter().filter_map(|it| it.resolve().transpose());
    Ok(ActionSettings {
        allow: allow.clone(),
        allow_private: allow_private.clone(),
        secrets: secrets.collect::<Result<_>>()?,
    })
}

/// Reads the policy file of the workspace, for the environment of `registry`; `None` without one.
///
/// # Errors
/// Those of the file; `BOT-6057` (exit 2) it is for another environment.
pub(super) fn policy_file(workspace: &Workspace, registry: &Registry) -> Result<Option<Policy>> {
    let Some(path) = &workspace.policy.value else { return Ok(None) };
    let policy = read_policy(path)?;
    registry.check_policy_environment(&policy).map_err(|fault| fault.file(path))?;
    Ok(Some(policy))
}
