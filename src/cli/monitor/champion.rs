//! The version whose traffic is judged.

use botops_findings::{Fault, Result};
use botops_models::IntentModel;
use botops_monitoring::{Monitored, MonitoredModel};
use botops_registry::{Registry, Version};
use std::sync::Arc;

/// Loads the version that is judged.
///
/// # Errors
/// `BOT-5019` the version has no model file; those of the store and of the file.
pub(super) async fn champion(registry: &Registry, version: &Version) -> Result<Monitored> {
    let digest = version.model_digest().ok_or_else(|| {
        Fault::internal("BOT-5019", format!("`{}` has no model file", version.reference()))
    })?;
    let bytes = registry.file(version, "model.botops").await?;
    Ok(Monitored {
        environment: registry.environment_name().to_owned(),
        model: MonitoredModel {
            name: version.model.clone(),
            version: version.number,
            digest: digest.to_string(),
        },
        loaded: Some(Arc::new(IntentModel::from_bytes(&bytes)?)),
    })
}
