//! The state that stages share: the plan, the services, the champion and the findings of a run.

use crate::{
    plan::Plan,
    selection::Selection,
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
    /// The stages of the run.
    pub(crate) selection: Selection,
}

impl Work<'_> {
    /// Returns the state for one stage, which gathers findings of its own.
    pub(crate) fn for_stage(&self) -> Self {
        Self {
            champion: self.champion.clone(),
            findings: Vec::new(),
            selection: self.selection.clone(),
            ..*self
        }
    }
}

/// The content of `version.json`: the version that a push stage registered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pushed {
    /// The reference of the version, such as `support@2`.
    pub(super) reference: String,
    /// The digest of its manifest.
    pub(super) manifest: Digest,
    /// Whether it is the champion and held the same model already, so that nothing was registered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) same_model: bool,
}

impl Pushed {
    /// Returns the content for a version that was registered.
    pub(super) fn of(version: &Version) -> Self {
        let (reference, manifest) = (version.reference(), version.manifest_digest);
        Self { reference, manifest, same_model: false }
    }
}

/// How a stage ended, with a one-line summary.
pub(crate) type Ended = (StageVerdict, String);

/// Returns the version that the push stage `stage` registered, if the registry still has it.
pub(crate) async fn pushed(work: &Work<'_>, stage: &str) -> Result<Option<Version>> {
    let (Some(model), Some(pushed)) = (&work.plan.model, version_file(work, stage)) else {
        return Ok(None);
    };
    if !work.services.registry.models().await?.contains(model) {
        return Ok(None);
    }
    let versions = work.services.registry.versions(model).await?;
    Ok(versions.into_iter().find(|version| version.manifest_digest == pushed.manifest))
}

/// Reads the `version.json` of the push stage `stage`; `None` if it is missing or cannot be read.
pub(super) fn version_file(work: &Work<'_>, stage: &str) -> Option<Pushed> {
    let bytes = fs::read(work.folder.file(stage, "version.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Returns the path of the expectations of a validate stage, relative to the root.
pub(crate) fn expectations_path(root: &Path, stage: &ValidateStage) -> Option<PathBuf> {
    stage.expectations.clone().or_else(|| {
        let beside = stage.data.with_file_name("expectations.yaml");
        root.join(&beside).exists().then_some(beside)
    })
}

/// Returns whether the champion holds the model file and the knowledge of `version`.
pub(crate) fn is_champion_set(work: &Work<'_>, version: &Version) -> bool {
    work.champion.as_ref().is_some_and(|champion| champion.set() == version.set())
}
