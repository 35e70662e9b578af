//! The events of a running pipeline, and the listener that receives them.

use super::outcome::StageOutcome;

/// One event of a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// A pipeline begins.
    Started {
        /// The name of the pipeline.
        pipeline: String,
        /// The names of its stages, in the order of execution.
        stages: Vec<String>,
    },
    /// A stage begins.
    StageStarted {
        /// The name of the stage.
        stage: String,
        /// The reason why it is not up to date.
        reason: String,
    },
    /// A phase of a stage begins.
    Phase {
        /// The stage.
        stage: String,
        /// The phase.
        phase: String,
        /// The number of steps in it; 0 if unknown.
        total: u64,
    },
    /// More steps of the phase are done.
    Advanced {
        /// The stage.
        stage: String,
        /// The steps done since the last event.
        steps: u64,
    },
    /// A stage ended or was skipped.
    StageFinished {
        /// The name of the stage.
        stage: String,
        /// How it ended.
        outcome: StageOutcome,
        /// The result in one line.
        summary: String,
        /// The time it took, in seconds; 0 if skipped.
        seconds: f64,
    },
    /// A message for the user.
    Note {
        /// The message.
        message: String,
    },
}

/// Receives the events of a run: a terminal, a log, a test.
pub trait Listener: Sync {
    /// Receives one event.
    fn hear(&self, event: &Event);
}

/// A listener that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignore;

impl Listener for Ignore {
    fn hear(&self, _: &Event) {}
}
