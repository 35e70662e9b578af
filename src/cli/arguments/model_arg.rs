//! A model named on the command line: a `.botops` file, or a reference to the registry.

use crate::cli::session::context::Context;
use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_registry::{Reference, Version};
use std::path::Path;

/// A model that was loaded.
pub(crate) struct Found {
    /// The model.
    pub(crate) model: IntentModel,
    /// The digest of its file.
    pub(crate) digest: Digest,
    /// Its name in messages: the file, or the reference with the number of the version.
    pub(crate) name: String,
    /// Its version, if it came from the registry.
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

/// Loads the model that `argument` names, else the champion of the workspace's model.
pub(crate) fn load_or_champion(context: &Context, argument: Option<&str>) -> Result<Found> {
    match argument {
        Some(argument) => load(context, argument),
        None => load(context, &workspace_model(context)?),
    }
}

/// Returns the name of the workspace's model.
///
/// # Errors
/// `BOT-1005` (exit 2) when the workspace names none.
pub(crate) fn workspace_model(context: &Context) -> Result<String> {
    context.workspace()?.model.value.clone().ok_or_else(|| {
        Fault::usage("BOT-1005", "no model was named")
            .hint("name a `.botops` file or a registry reference, such as `support@champion`")
            .hint("or set `model: support` in botops.yaml")
    })
}
