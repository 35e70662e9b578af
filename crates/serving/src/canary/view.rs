//! The rollout as it is shown: a copy that can be read while the state is locked.
//!
//! The driver holds the state while it writes to the store. The status of a rollout, and the check of an abort, must not
//! wait for a store that hangs.

use super::state::Active;
use botops_rollout::{Rollout, Transition, TransitionRecord};
use std::time::Duration;

/// The current rollout, or the last one, as it was when the state was last released.
#[derive(Clone)]
pub(crate) struct View {
    /// Its state.
    pub(crate) rollout: Rollout,
    /// Its transitions so far.
    pub(super) transitions: Vec<TransitionRecord>,
    /// Whether the deployment log has all of them.
    pub(crate) durable: bool,
    /// Whether this server drives it.
    pub(crate) driven: bool,
}

impl View {
    pub(super) fn of(active: &Active, durable: bool) -> Self {
        Self {
            rollout: active.rollout.clone(),
            transitions: active.transitions.clone(),
            durable: durable && active.unwritten.is_empty(),
            driven: !active.lost,
        }
    }

    /// Returns it after `transition`, which is in effect and not written yet.
    pub(super) fn after(&self, transition: &Transition) -> Self {
        let mut transitions = self.transitions.clone();
        transitions.push(transition.record());
        Self { rollout: transition.next.clone(), transitions, durable: false, ..self.clone() }
    }

    /// Returns the share of the challenger on this server, in percent.
    pub(crate) fn weight_percent(&self) -> f64 {
        if self.driven { self.rollout.weight_percent() } else { 0.0 }
    }

    /// Returns the time between ticks.
    pub(crate) fn interval(&self) -> Duration {
        self.rollout.policy.interval()
    }
}
