//! The results of the validate stages of a run, for reports.

use super::{
    outcome::{RunSummary, StageOutcome},
    plan::{Plan, Stage},
    spec::StageSpec,
    stages::read_json_in,
    state::Folder,
};
use botops_findings::Result;
use botops_validation::Validation;
use std::path::Path;

/// The result of a validate stage.
#[derive(Debug, Clone)]
pub struct StageValidation {
    /// The name of the stage.
    pub stage: String,
    /// The data as the pipeline names it.
    pub data: String,
    /// The findings and counts.
    pub validation: Validation,
}

impl RunSummary {
    /// Reads the results of the validate stages of `plan` that ran or were up to date; `root` is the workspace.
    ///
    /// # Errors
    /// `BOT-8030` (exit 1) a result that cannot be read.
    pub fn validations(&self, plan: &Plan, root: &Path) -> Result<Vec<StageValidation>> {
        let folder = Folder::new(root, &plan.spec.name);
        let mut validations = Vec::new();
        for done in &self.stages {
            let Some(Stage { spec: Some(StageSpec::Validate(spec)), .. }) = plan.stage(&done.stage)
            else {
                continue;
            };
            // A stage that ended with a fault wrote nothing: its folder holds an earlier result.
            if done.outcome == StageOutcome::Skipped || !done.wrote.is_empty() {
                validations.push(StageValidation {
                    stage: done.stage.clone(),
                    data: spec.data.display().to_string(),
                    validation: read_json_in(&folder, &done.stage, "validation.json")?,
                });
            }
        }
        Ok(validations)
    }
}
