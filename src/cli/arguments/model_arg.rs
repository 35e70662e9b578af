//! A model as named on the command line: a `.botops` file, or a registry reference.

use crate::cli::session::context::Context;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::{Reference, Version};
use std::path::Path;

/// A model that was found.
pub(crate) struct Found {
    /// The model.
    pub(crate) model: IntentModel,
    /// Digest of its file.
    pub(crate) digest: Digest,
    /// What to call it.
    pub(crate) name: String,
    /// Its version, when it came from the registry.
    pub(crate) version: Option<Version>,
}

/// Returns whether `argument` names a model: a `.botops` file, or a reference with `@`.
pub(crate) fn names_model(argument: &str) -> bool {
    argument.ends_with(".botops")
        || (argument.contains('@') && argument.parse::<Reference>().is_ok())
}

/// Loads the model that `argument` names.
pub(crate) fn load(context: &Context, argument: &str) -> Result<Found> {
    if argument.ends_with(".botops") || Path::new(argument).is_file() {
        let (model, digest) = IntentModel::read(Path::new(argument))?;
        return Ok(Found { model, digest, name: argument.to_owned(), version: None });
    }
    let reference: Reference = argument.parse()?;
    let registry = context.registry()?;
    let (version, bytes) = context.wait(async {
        let version = registry.resolve(&reference).await?;
        let bytes = registry.file(&version, "model.botops").await?;
        Ok::<_, Fault>((version, bytes))
    })??;
    let model = IntentModel::from_bytes(&bytes)?;
    Ok(Found {
        model,
        digest: Digest::of(&bytes),
        name: version.reference(),
        version: Some(version),
    })
}

/// Loads the model named, or the workspace's champion.
pub(crate) fn load_or_champion(context: &Context, argument: Option<&str>) -> Result<Found> {
    match argument {
        Some(argument) => load(context, argument),
        None => load(context, &workspace_model(context)?),
    }
}

/// Returns the workspace's model name.
pub(crate) fn workspace_model(context: &Context) -> Result<String> {
    context.workspace()?.model.value.clone().ok_or_else(|| {
        Fault::usage("BOT-1005", "no model was named")
            .hint("name a `.botops` file or a registry reference, such as `support@champion`")
            .hint("or set `model: support` in botops.yaml")
    })
}
