//! The settings of a running server, read again.

use super::{
    flags::Args,
    settings::{policy_file, server_settings},
};
use crate::cli::session::{context::Context, provenance};
use async_trait::async_trait;
use botops_access::{Identity, Policy};
use botops_findings::Result;
use botops_registry::{Act, Registry};
use botops_serving::{Configuration, Reread};
use botops_workspace::{Overrides, Workspace};
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
        Ok(Self {
            args: args.clone(),
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
            || name == "admin_socket" && args.admin_socket.is_some();
        !NOT_COMPARED.contains(&name) && !by_flag
    };
    all.into_iter()
        .filter(|(name, _)| is_compared(name))
        .map(|(name, setting)| {
            let key = match &*name {
                "model" | "registry" => name,
                "conversations_retention" => "conversations.retention".to_owned(),
                "on_store_failure" => "conversations.on_store_failure".to_owned(),
                _ => format!("server.{name}"),
            };
            (key, setting.get("value").cloned().unwrap_or(setting))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[async_trait]
impl Configuration for Settings {
    fn read(&self) -> Result<Reread> {
        let workspace = Workspace::discover(&self.start, &self.overrides)?;
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
