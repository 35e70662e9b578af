//! The settings of a running server, read again.

use super::{
    checks,
    flags::Args,
    settings::{policy_file, server_settings},
};
use crate::cli::session::{context::Context, provenance};
use async_trait::async_trait;
use botops_access::{Identity, Policy};
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_registry::{Act, Registry};
use botops_serving::{Configuration, Reread};
use botops_workspace::{FILE_NAME, Overrides, Workspace};
use serde_json::Value;
use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

/// Settings that no server reads, or that are compared as [`botops_serving::ServerSettings`].
const NOT_COMPARED: [&str; 9] = [
    "root",
    "experiments",
    "environment",
    "policy",
    "admin_url",
    "server_url",
    "admin_oidc",
    "admin_socket_users",
    "actor",
];

/// The file of settings, with the flags and the environment variables of the start.
pub(super) struct Settings {
    args: Args,
    start: PathBuf,
    /// The file of settings at the start; `None` without one.
    file: Option<PathBuf>,
    overrides: Overrides,
    at_start: Value,
    /// The registry of the model; `None` for a file.
    registry: Option<Registry>,
    /// The policy file that was read last.
    policy: Mutex<Option<Policy>>,
}

impl Settings {
    /// Remembers how the server was started.
    pub(super) fn new(args: &Args, context: &Context, registry: Option<Registry>) -> Result<Self> {
        let file = context.workspace()?.root.join(FILE_NAME);
        Ok(Self {
            args: args.clone(),
            file: file.is_file().then_some(file),
            start: crate::cli::session::context::current_folder()?,
            overrides: context.overrides(),
            at_start: comparable(context.workspace()?, args),
            registry,
            policy: Mutex::new(None),
        })
    }
}

/// Returns the values of the settings that a restart is needed for, by name.
fn comparable(workspace: &Workspace, args: &Args) -> Value {
    let all = serde_json::to_value(workspace).expect("settings can be written as JSON");
    let Value::Object(all) = all else { return Value::Null };
    let is_compared = |name: &str| {
        // A model or a socket that a flag names does not change.
        let by_flag = name == "model" && args.model.is_some()
            || name == "admin_socket" && args.admin_socket.is_some()
            || name == "chat_page" && args.chat_page;
        !NOT_COMPARED.contains(&name) && !by_flag
    };
    all.into_iter()
        .filter(|(name, _)| is_compared(name))
        .map(|(name, setting)| {
            let key = match &*name {
                "model" | "registry" | "traces" | "log" => name,
                "request_limits" => "limits".to_owned(),
                "cors_origins" => "server.cors.origins".to_owned(),
                "open_metrics" => "server.metrics".to_owned(),
                "conversations_retention" => "conversations.retention".to_owned(),
                "on_store_failure" => "conversations.on_store_failure".to_owned(),
                _ if name.starts_with("predictions_") => name.replacen('_', ".", 1),
                _ => format!("server.{name}"),
            };
            (key, setting.get("value").cloned().unwrap_or(setting))
        })
        .chain(secrets(workspace))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Returns the digests of the secrets that a restart is needed for, by name; null for one that is not set, or cannot be read.
fn secrets(workspace: &Workspace) -> Vec<(String, Value)> {
    let all = [
        ("secrets.data_key", &workspace.data_key),
        ("secrets.old_identity_key", &workspace.old_identity_key),
        ("conversations.store", &workspace.conversations_store),
        ("limits.shared", &workspace.request_limits.shared),
    ];
    all.into_iter()
        .map(|(name, setting)| {
            let secret = setting.value.resolve().ok().flatten();
            let digest = secret.map(|it| Digest::of(it.expose().as_bytes()).to_string());
            (name.to_owned(), digest.map_or(Value::Null, Value::String))
        })
        .collect()
}

#[async_trait]
impl Configuration for Settings {
    fn read(&self) -> Result<Reread> {
        if let Some(file) = self.file.as_ref().filter(|file| !file.is_file()) {
            let message = format!("the file `{}`, of the start, is gone", file.display());
            return Err(Fault::internal("BOT-1017", message)
                .hint("write it again; the settings stay as they are until then"));
        }
        let workspace = Workspace::discover(&self.start, &self.overrides)?;
        checks::check(&workspace, self.args.listen)?;
        let settings = server_settings(&self.args, &workspace)?;
        let policy = match &self.registry {
            Some(registry) => policy_file(&workspace, registry)?,
            None => None,
        };
        *self.policy.lock().unwrap_or_else(PoisonError::into_inner) = policy;
        let now = comparable(&workspace, &self.args);
        let names = now.as_object().into_iter().flatten();
        let differs = names.filter(|(name, value)| self.at_start.get(name) != Some(value));
        Ok(Reread { settings, restart: differs.map(|(name, _)| name.clone()).collect() })
    }

    async fn apply_policy(&self, by: &Identity, reason: &str, dry_run: bool) -> Result<bool> {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(policy), Some(registry)) = (policy, &self.registry) else { return Ok(false) };
        if dry_run {
            let state = registry.environment().await?;
            return Ok(state.policy().is_none_or(|known| known.digest != policy.digest()));
        }
        let reason = match reason {
            "" => "a server read its settings again",
            reason => reason,
        };
        let at = provenance::now()?;
        let act = Act { actor: by.label(), by: by.clone(), reason: reason.to_owned(), at };
        registry.apply_policy(&policy, &act).await
    }
}
