//! Pipelines: a YAML file becomes checked stages, and these run with cached results, reported as events.
//!
//! In: a pipeline file, the services of the workspace (registry, runs, encoders, promoter). Out: a
//! [`RunSummary`], the files of each stage, and a recorded run.
//!
//! A stage is skipped if its inputs, settings and code are the same as at its last success and its outputs are
//! unchanged. The files of a stage appear together, by one rename, so a process that is killed leaves either the old
//! result or the new one.

pub(crate) mod manifest;
pub(crate) mod resources;
pub mod tune_block;

mod annotations;
mod drift_input;
mod due_runs;
mod events;
mod graph;
mod input_files;
mod knowledge_input;
mod log_window;
mod outcome;
mod params;
pub mod plan;
mod preflight;
mod record;
mod retries;
mod run;
mod schedule;
mod selection;
mod services;
mod shared_results;
pub mod spec;
mod stage_validations;
mod stages;
pub mod state;
mod status;
mod stories;
mod trained_side;
mod training;

pub use annotations::{annotated, annotation_findings};
pub use drift_input::{DriftColumns, FoldModels, rows};
pub use events::{Event, Ignore, Listener};
pub use graph::{GraphStage, graph, mermaid};
pub use knowledge_input::KnowledgeInput;
pub use log_window::LogSpec;
pub use manifest::{Provenance, manifest, read_dialogue};
pub use outcome::{RunSummary, StageOutcome, StageSummary};
pub use params::flatten;
pub use plan::{Plan, Stage};
pub use preflight::preflight;
pub use record::steps;
pub use resources::{Encoders, Equipment};
pub use retries::RetrySpec;
pub use run::{prepare, run};
pub use selection::RunOptions;
pub use services::{Promoter, PromotionRequest, Prospect, Services};
pub use spec::{
    CompactStage, DialogueTestStage, DriftStage, EvaluateStage, GateStage, KnowledgeImportStage,
    NearDuplicates, OnDrift, OnInsufficient, PipelineSpec, PromoteStage, PushStage, ShellStage,
    SplitStage, StageSpec, TrainStage, ValidateStage, WindowStage,
};
pub use stage_validations::StageValidation;
pub use state::{Folder, StageRecord, StageVerdict};
pub use status::{Freshness, StageStatus, status};
pub use stories::{StoryRules, read_stories, replay, story_findings};
pub use trained_side::{SidePlan, TrainedSide};
pub use training::train_with_profile;
