//! What a running search says; a terminal and a test listen alike.

use std::time::Duration;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum TuneEvent {
    /// The search begins, or goes on.
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
        /// Of how many.
        rungs: u32,
        /// Its trials.
        trials: u32,
        /// Folds each is judged on.
        folds: u32,
        /// The share of records each learns from.
        share: f64,
    },
    /// A trial is judged in a rung.
    Judged {
        /// The trial.
        trial: u32,
        /// The rung, from 1.
        rung: u32,
        /// Its score so far; none: it could not be trained.
        score: Option<f64>,
        /// The best of the rung so far: trial and score.
        best: Option<(u32, f64)>,
        /// Fits it took.
        fits: u64,
        /// Where it was judged.
        by: By,
    },
    /// Results of other machines are waited for.
    Waiting {
        /// How many.
        missing: u32,
        /// How long until they are judged here, if none comes.
        takeover: Duration,
    },
    /// Something worth saying.
    Note {
        /// What.
        message: String,
    },
}

/// Who judged a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// This process, now.
    Here,
    /// Another process, or this one earlier.
    Store,
}

/// Hears what happens.
pub trait TuneListener: Sync {
    /// Hears one event.
    fn hear(&self, event: &TuneEvent);
}

impl TuneListener for botops_pipelines::Ignore {
    fn hear(&self, _: &TuneEvent) {}
}
