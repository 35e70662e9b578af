//! Outcomes: how each stage of a run ended, and the summary of the run.

use super::state::StageVerdict;
use botops_findings::{Fault, Finding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a stage ended in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageOutcome {
    /// Ran and passed.
    Passed,
    /// Ran, with warnings.
    Warned,
    /// Ran, and a gate failed.
    Failed,
    /// Ran, but there was too little evidence to decide.
    Insufficient,
    /// Did not run: its result was up to date, or there was nothing to do.
    Skipped,
    /// Did not run: an earlier stage ended the run.
    NotRun,
}

impl StageOutcome {
    /// Returns the name of the outcome, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Insufficient => "insufficient",
            Self::Skipped => "skipped",
            Self::NotRun => "not run",
        }
    }
}

impl From<StageVerdict> for StageOutcome {
    fn from(verdict: StageVerdict) -> Self {
        match verdict {
            StageVerdict::Passed => Self::Passed,
            StageVerdict::Warned => Self::Warned,
            StageVerdict::Failed => Self::Failed,
            StageVerdict::Insufficient => Self::Insufficient,
        }
    }
}

/// The outcome of one stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// The name of the stage.
    pub stage: String,
    /// How it ended.
    pub outcome: StageOutcome,
    /// The time it took, in seconds.
    pub seconds: f64,
    /// The result in one line; for a skipped stage, with the digest of the cached result.
    pub summary: String,
    /// The files it wrote, relative to the workspace root.
    pub wrote: Vec<String>,
}

/// The result of a run.
#[derive(Debug, Serialize)]
pub struct RunSummary {
    /// The name of the pipeline.
    pub pipeline: String,
    /// The id of the recorded run, if any stage had a result to record.
    pub run: Option<String>,
    /// The stages, in the order of execution.
    pub stages: Vec<StageSummary>,
    /// The metrics of the model, if one was evaluated.
    pub metrics: BTreeMap<String, botops_evaluation::Metric>,
    /// The fault that ended the run early.
    #[serde(skip)]
    pub fault: Option<Fault>,
    /// The findings of the stages.
    pub findings: Vec<Finding>,
}
