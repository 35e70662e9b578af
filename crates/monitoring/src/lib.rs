//! Monitoring: what the prediction log says about a model that serves.
//!
//! In: records and verdicts of a window, and the reference profile of the model's version. Out: accuracy with intervals, drift
//! of columns and texts, a report of the window, and messages on a change of state.
//!
//! - windows read the prediction log of one environment, by whole hours
//! - a reference profile says what the training data looked like to the model
//! - accuracy comes from verdicts, and without them from an estimate that says when it cannot be trusted
//! - an alarm needs effect and significance, and its expected number a year is stated

mod accuracy;
mod accuracy_counts;
pub mod alarms;
mod business;
mod canary;
mod claim;
mod class_shares;
mod conclusion;
mod confidence_counts;
mod estimate;
mod estimation;
mod evaluate;
mod folder;
mod heartbeat;
mod history;
mod judgements;
mod label_sample;
pub mod label_shift;
mod machine;
pub mod model_drift;
mod monitor_spec;
mod monitored_model;
mod names;
mod reference;
mod reference_moments;
mod reference_rows;
mod reference_search;
mod reference_training;
mod reference_words;
mod report;
pub mod risk;
mod schedule;
mod series;
pub mod text_drift;
mod text_sample;
mod watch;
mod webhook;
mod weights;
mod window;
mod window_counts;

pub use accuracy::{
    GroupAccuracy, IntentAccuracy, LabelDelay, OutOfScope, Selection, SourceAccuracy,
    WindowAccuracy,
};
pub use accuracy_counts::{AccuracyCounts, window_accuracy};
pub use business::{Business, BusinessCounts, BusinessGroup};
pub use canary::{Canary, CanaryAccuracy};
pub use confidence_counts::{ConfidenceCounts, Told};
pub use estimate::{
    ASSUMPTION, AccuracyEstimate, EstimateReference, EstimateSpec, MovedShare, OutOfScopeShare,
    RealisedAccuracy, Unreliable, UnreliableReason,
};
pub use estimation::estimate_accuracy;
pub use evaluate::{Evaluated, Monitored, evaluate, later_hours};
pub use heartbeat::{Heartbeat, MONITOR_RUNS, end_schedule, heartbeats, pipeline_runs};
pub use history::{MonitorLog, Recorded};
pub use judgements::{Judgements, Label};
pub use machine::{DiskSpace, Memory, disk_space, memory};
pub use monitor_spec::MonitorSpec;
pub use monitored_model::MonitoredModel;
pub use reference::{
    Judged, MOST_JUDGED, MOST_PARTIAL_BYTES, MOST_REFERENCE_BYTES, REFERENCE_SCHEMA,
    ReferenceProfile, ReferenceSource,
};
pub use reference_moments::Moments;
pub use reference_rows::DataRecord;
pub use reference_training::TrainingRecord;
pub use reference_words::{LEAST_USERS, Words};
pub use report::{
    MONITOR_SCHEMA, MonitorReport, MonitorState, Reason, ReferenceSide, Unjudged, Volume,
};
pub use schedule::{Every, Schedule, ScheduleSpec};
pub use series::{SERIES, decide_in_series};
pub use watch::{Observed, WatchHost, WatchSettings, turn, watch};
pub use webhook::{WebhookKind, WebhookPace, WebhookSpec, Webhooks};
pub use window::Window;

#[cfg(test)]
mod accuracy_tests;
#[cfg(test)]
mod canary_tests;
#[cfg(test)]
mod estimation_tests;
#[cfg(test)]
mod evaluate_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod webhook_tests;
