//! A YAML file becomes checked stages, and these a cached execution, told as events.
//!
//! A stage is skipped when its inputs, settings and code are those of its last success and its
//! outputs are still what it wrote. All of a stage's files appear at once, by one rename, so a
//! process killed at any instant leaves either the old result or the new one.

pub(crate) mod manifest;
pub(crate) mod resources;
pub mod tune_block;

mod events;
pub mod plan;
pub mod record;
pub mod run;
pub mod spec;
mod stages;
pub mod state;
mod status;

pub use events::{Event, Ignore, Listener};
pub use manifest::{Provenance, manifest, read_dialogue, rows, rows_out_of_fold};
pub use plan::{Plan, Stage};
pub use record::{flatten, steps};
pub use resources::{Encoders, Equipment};
pub use run::{Promoter, PromotionRequest, RunSummary, Services, StageOutcome, StageSummary, run};
pub use spec::{
    DriftStage, EvaluateStage, GateStage, OnDrift, PipelineSpec, PromoteStage, PushStage,
    ShellStage, SplitStage, StageSpec, TrainStage, ValidateStage,
};
pub use state::{Folder, StageRecord, StageVerdict};
pub use status::{Freshness, StageStatus, status};
