//! The state of a server as it is shown.

use botops_registry::Lease;
use botops_rollout::{Rollout, TransitionRecord};
use std::time::Duration;

/// The current rollout, or the last one, and the server that ticks.
#[derive(Clone, Default)]
pub(crate) struct Shown {
    /// The rollout.
    pub(super) view: Option<View>,
    /// The lease of the model.
    pub(crate) lease: Option<Lease>,
    /// The number of the newest entry of the log.
    pub(crate) seq: u64,
    /// Whether every act in effect on this server is in the log.
    pub(super) durable: bool,
}

/// The current rollout, or the last one.
#[derive(Clone)]
pub(crate) struct View {
    /// Its state.
    pub(crate) rollout: Rollout,
    /// Its transitions so far.
    pub(super) transitions: Vec<TransitionRecord>,
    /// Whether the log has all of them.
    pub(crate) durable: bool,
    /// Whether this server ticks it.
    pub(crate) driven: bool,
}

impl View {
    /// Returns the share of the challenger, in percent.
    pub(crate) fn weight_percent(&self) -> f64 {
        self.rollout.weight_percent()
    }

    /// Returns the time between ticks.
    pub(crate) fn interval(&self) -> Duration {
        self.rollout.policy.interval()
    }
}
