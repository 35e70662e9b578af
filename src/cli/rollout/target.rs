//! The rollout that a verb is about, and the server that has it.

use crate::cli::{arguments::model_arg::workspace_model, session::context::Context};
use botops_findings::{Fault, Result};
use botops_registry::Reference;

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// Model; default: the workspace's model
    pub(super) model: Option<String>,
    /// Rollout; default: the latest
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
}

impl Target {
    /// Returns the model that is named, or that of the workspace.
    pub(super) fn model(&self, context: &Context) -> Result<String> {
        named(self.model.as_deref(), context)
    }
}

pub(super) fn named(model: Option<&str>, context: &Context) -> Result<String> {
    match model {
        Some(model) => Ok(model.parse::<Reference>()?.model),
        None => workspace_model(context),
    }
}

/// Returns the address of the server that is configured.
pub(super) fn server_url(context: &Context) -> Result<String> {
    context.workspace()?.admin_url.value.clone().ok_or_else(|| {
        Fault::usage("BOT-6038", "no server is configured")
            .hint("set `server.admin_url` in botops.yaml, or BOTOPS_ADMIN_URL")
    })
}
