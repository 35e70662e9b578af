//! What a running pipeline says; a terminal, a log and a test listen alike.

use super::run::StageOutcome;

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A pipeline begins.
    Started {
        /// Its name.
        pipeline: String,
        /// Its stages, in the order of execution.
        stages: Vec<String>,
    },
    /// A stage begins.
    StageStarted {
        /// Its name.
        stage: String,
        /// Why it runs.
        reason: String,
    },
    /// A phase of a stage begins.
    Phase {
        /// The stage.
        stage: String,
        /// The phase.
        phase: String,
        /// Steps in it; 0 when unknown.
        total: u64,
    },
    /// More steps of the phase are done.
    Advanced {
        /// The stage.
        stage: String,
        /// Steps done since the last time.
        steps: u64,
    },
    /// A stage ended, or was skipped.
    StageFinished {
        /// Its name.
        stage: String,
        /// How.
        outcome: StageOutcome,
        /// In one line.
        summary: String,
        /// Seconds it took; 0 when skipped.
        seconds: f64,
    },
    /// Something worth saying.
    Note {
        /// What.
        message: String,
    },
}

/// Hears what happens.
pub trait Listener: Sync {
    /// Hears one event.
    fn hear(&self, event: &Event);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignore;

impl Listener for Ignore {
    fn hear(&self, _: &Event) {}
}
