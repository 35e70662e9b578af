//! A YAML file becomes checked stages, and these a cached execution, told as events.
//!
//! A stage is skipped when its inputs, settings and code are those of its last success and its
//! outputs are still what it wrote. All of a stage's files appear at once, by one rename, so a
//! process killed at any instant leaves either the old result or the new one.

mod describe;
mod equipment;
mod events;
mod plan;
mod record;
mod run;
mod spec;
mod stages;
mod state;
mod status;
pub mod tuning;

pub use describe::{Provenance, manifest, read_dialogue, rows, rows_out_of_fold};
pub use equipment::{Encoders, Equipment};
pub use events::{Event, Ignore, Listener};
pub use plan::{Plan, Stage};
pub use record::{flatten, steps};
pub use run::{Promoter, PromotionRequest, RunSummary, Services, StageOutcome, StageSummary, run};
pub use spec::{
    DriftStage, EvaluateStage, GateStage, OnDrift, PipelineSpec, PromoteStage, PushStage,
    ShellStage, SplitStage, StageSpec, TrainStage, ValidateStage,
};
pub use state::{Folder, StageRecord, StageVerdict};
pub use status::{Freshness, StageStatus, status};
