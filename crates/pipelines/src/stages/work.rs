//! The state that stages share: the plan, the services, the champion and the findings of a run.

use crate::{
    plan::Plan,
    services::Services,
    spec::ValidateStage,
    state::{Folder, StageVerdict},
};
use botops_digest::Digest;
use botops_findings::{Finding, Result};
use botops_registry::Version;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The state that the stages of one run share.
pub(crate) struct Work<'a> {
    /// The pipeline.
    pub(crate) plan: &'a Plan,
    /// The services of the run.
    pub(crate) services: &'a Services<'a>,
    /// The folder of the pipeline's state.
    pub(crate) folder: &'a Folder,
    /// The champion at the start of the run, or the baseline once it is promoted.
    pub(crate) champion: Option<Version>,
    /// The start of the run.
    pub(crate) started_at: chrono::DateTime<chrono::Utc>,
    /// The findings of the stages so far.
    pub(crate) findings: Vec<Finding>,
}

/// The content of `version.json`: the version that a push stage registered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pushed {
    /// The reference of the version, such as `support@2`.
    pub(super) reference: String,
    /// The digest of its manifest.
    pub(super) manifest: Digest,
}

/// How a stage ended, with a one-line summary.
pub(crate) type Ended = (StageVerdict, String);

/// Returns the version that the push stage `stage` registered, if the registry still has it.
pub(crate) async fn pushed(work: &Work<'_>, stage: &str) -> Result<Option<Version>> {
    let (Some(model), Ok(bytes)) =
        (&work.plan.model, fs::read(work.folder.file(stage, "version.json")))
    else {
        return Ok(None);
    };
    let Ok(pushed) = serde_json::from_slice::<Pushed>(&bytes) else { return Ok(None) };
    if !work.services.registry.models().await?.contains(model) {
        return Ok(None);
    }
    let versions = work.services.registry.versions(model).await?;
    Ok(versions.into_iter().find(|version| version.manifest_digest == pushed.manifest))
}

/// Returns the path of the expectations of a validate stage, relative to the root.
pub(crate) fn expectations_path(root: &Path, stage: &ValidateStage) -> Option<PathBuf> {
    stage.expectations.clone().or_else(|| {
        let beside = stage.data.with_file_name("expectations.yaml");
        root.join(&beside).exists().then_some(beside)
    })
}

/// Returns the champion to compare the model with: the current champion, or the one before it if the model is
/// the champion already.
///
/// So a run that promotes its own model does not make its own stages stale.
pub(crate) async fn rival(work: &Work<'_>, model_file: Digest) -> Result<Option<Version>> {
    match &work.champion {
        Some(champion) if champion.model_digest() == Some(model_file) => {
            // The same model file may have been registered several times, with different gates.
            let former = work.services.registry.succession(&champion.model).await?;
            Ok(former.into_iter().find(|version| version.model_digest() != Some(model_file)))
        }
        champion => Ok(champion.clone()),
    }
}
