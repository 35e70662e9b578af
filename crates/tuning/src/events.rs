//! Events of a running search, for a terminal or a test.

use std::time::Duration;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneEvent {
    /// The search begins or continues.
    Started {
        /// Trials in all.
        trials: u32,
        /// Fits in all, over all rungs.
        fits: u64,
        /// Fits already in the store.
        known: u64,
    },
    /// A rung begins.
    RungStarted {
        /// Its number, from 1.
        rung: u32,
        /// Rungs in all.
        rungs: u32,
        /// Its trials.
        trials: u32,
        /// Folds each is judged on.
        folds: u32,
        /// The share of the records that each trains on.
        share: f64,
    },
    /// A trial is judged in a rung.
    Judged {
        /// The trial.
        trial: u32,
        /// The rung, from 1.
        rung: u32,
        /// Its score so far; `None` if it could not be trained.
        score: Option<f64>,
        /// The best of the rung so far: trial and score.
        best: Option<(u32, f64)>,
        /// Fits of this trial in this rung.
        fits: u64,
        /// The process that judged it.
        by: By,
    },
    /// The search waits for results of other machines.
    Waiting {
        /// Results that are missing.
        missing: u32,
        /// Time until this process judges them itself.
        takeover: Duration,
    },
    /// A message for the user.
    Note {
        /// The message.
        message: String,
    },
}

/// The process that judged a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This process, now.
    Here,
    /// Another process, or this one earlier.
    Store,
}

/// Receives the events of a search.
pub trait TuneListener: Sync {
    /// Receives one event.
    fn hear(&self, event: &TuneEvent);
}

impl TuneListener for botops_pipelines::Ignore {
    fn hear(&self, _: &TuneEvent) {}
}
