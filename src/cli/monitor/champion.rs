//! The version whose traffic is judged.

use crate::cli::session::rollouts::rollouts;
use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_monitoring::{Canary, Monitored, MonitoredModel};
use botops_registry::{Registry, Version};
use std::sync::Arc;

/// Loads the version that is judged, and the challenger of a rollout that is under way. Models that `known` has are not loaded
/// again.
///
/// # Errors
/// `BOT-5019` a version has no model file; those of the store and of the files.
pub(super) async fn champion(
    registry: &Registry,
    version: &Version,
    known: Option<&Monitored>,
) -> Result<Monitored> {
    let (model, loaded) = loaded(registry, version, known).await?;
    let rollout = rollouts(registry, &version.model).await?.pop();
    let canary = match rollout.filter(|it| !it.rollout().is_over()) {
        Some(open) => {
            let reference = format!("{}@{}", version.model, open.rollout().challenger);
            let challenger = registry.resolve(&reference.parse()?).await?;
            let (model, loaded) = self::loaded(registry, &challenger, known).await?;
            Some(Canary { model, loaded })
        }
        None => None,
    };
    let environment = registry.environment_name().to_owned();
    Ok(Monitored { environment, model, loaded: Some(loaded), canary })
}

async fn loaded(
    registry: &Registry,
    version: &Version,
    known: Option<&Monitored>,
) -> Result<(MonitoredModel, Arc<IntentModel>)> {
    let digest = version.model_digest().ok_or_else(|| {
        Fault::internal("BOT-5019", format!("`{}` has no model file", version.reference()))
    })?;
    let model = MonitoredModel {
        name: version.model.clone(),
        version: version.number,
        digest: digest.to_string(),
        manifest: Some(version.manifest_digest.to_string()),
    };
    let champion = known.and_then(|known| Some((&known.model, known.loaded.as_ref()?)));
    let canary = known.and_then(|known| known.canary.as_ref());
    let canary = canary.map(|canary| (&canary.model, &canary.loaded));
    let mut all = champion.into_iter().chain(canary);
    if let Some((_, loaded)) = all.find(|(known, _)| known.digest == model.digest) {
        return Ok((model, Arc::clone(loaded)));
    }
    let bytes = registry.file(version, "model.botops").await?;
    Ok((model, Arc::new(IntentModel::from_bytes(&bytes)?)))
}
