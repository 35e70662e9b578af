//! The routing of this server, derived from the entries that it has read and from the acts in effect here.

use super::{
    follow::Canary,
    state::{Reverted, State},
};
use crate::routing::{Served, Split};
use botops_findings::{Fault, Result};
use botops_rollout::{Arm, Phase};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Returns the index of the step under which conversations are counted; those of no step come after the last one.
fn step_index(phase: &Phase) -> u16 {
    let step = match phase {
        Phase::Ramping { step, .. } => Some(*step),
        Phase::Paused { step, .. } | Phase::AwaitingApproval { step, .. } => *step,
        _ => None,
    };
    step.and_then(|step| u16::try_from(step).ok()).unwrap_or(u16::MAX)
}

impl Canary {
    /// Routes by what the log says, and by the acts in effect here.
    pub(super) fn route(self: &Arc<Self>, state: &mut State) {
        state.share = state.share.at(Instant::now());
        let Some(primary) = self.wanted_primary(state) else { return };
        let split = self.wanted_split(state, &primary);
        let current = self.app.slot.load();
        let is_current = current.as_ref().is_some_and(|routing| {
            Arc::ptr_eq(&routing.primary, &primary)
                && match (&routing.split, &split) {
                    (None, None) => true,
                    (Some(now), Some(wanted)) => now.is_same(wanted),
                    _ => false,
                }
        });
        if !is_current {
            let swapped = current
                .as_ref()
                .is_some_and(|routing| routing.primary.manifest != primary.manifest);
            if swapped {
                self.app.metrics.swaps.inc();
                self.event("info", "swap", format!("{} serves", primary.reference));
            }
            self.app.slot.set(primary, split);
            // An abort may have begun between the check and the swap.
            let id = state.open(&self.app.model).map(|step| step.rollout.id.clone());
            if id.is_some_and(|id| self.is_aborted(&id)) {
                self.app.slot.withdraw();
            }
            self.show_loaded();
        }
        self.drop_unused(state);
    }

    /// Returns the model that is to serve as primary; `None` if no model can yet.
    fn wanted_primary(self: &Arc<Self>, state: &mut State) -> Option<Arc<Served>> {
        let returned = self.in_effect().into_iter().rev().find_map(|act| match act.act {
            Reverted::Return { served, .. } => Some(served),
            Reverted::Abort { id, .. } => {
                // Out of Settling, the model before serves again at once.
                let step = state.open(&self.app.model)?;
                let settles = matches!(step.rollout.phase, Phase::Settling { .. });
                let before = step.rollout.champion;
                (settles && step.rollout.id == id).then(|| state.resident.get(&before).cloned())?
            }
        });
        let serving = self.app.slot.load().map(|routing| Arc::clone(&routing.primary));
        if let Some(served) = returned {
            return Some(served);
        }
        let champion = match state.champions.current() {
            Some(champion) if state.rejected != Some(champion) => champion,
            _ => return serving,
        };
        if let Some(serving) = serving.as_ref().filter(|it| it.manifest == Some(champion)) {
            return Some(Arc::clone(serving));
        }
        match state.resident.get(&champion) {
            Some(served) => Some(Arc::clone(served)),
            None => {
                self.fetch(state, champion, true);
                serving
            }
        }
    }

    /// Returns the challenger and its share; `None` if no request may reach it.
    fn wanted_split(self: &Arc<Self>, state: &mut State, primary: &Arc<Served>) -> Option<Split> {
        let step = state.open(&self.app.model)?;
        let rollout = &step.rollout;
        let (id, challenger) = (rollout.id.clone(), rollout.challenger);
        let has_windows = rollout.policy.judge().metrics.keys().any(|kind| kind.has_window());
        let (mirrors, salt) = (rollout.mirror_share(), rollout.salt.clone());
        let step = step_index(&rollout.phase);
        let is_early = matches!(rollout.phase, Phase::Pending);
        let is_back = matches!(rollout.phase, Phase::RollingBack { .. });
        if is_early || is_back || self.is_aborted(&id) {
            return None;
        }
        // In a drill, the challenger is the champion.
        let is_drill = primary.manifest == Some(challenger) && rollout.champion == challenger;
        let canary = match is_drill {
            true => Some(Arc::clone(primary)),
            false => state.resident.get(&challenger).cloned(),
        };
        let Some(canary) = canary else {
            self.fetch(state, challenger, false);
            return None;
        };
        let weight = state.share.now;
        (mirrors > 0.0 || weight > 0.0).then(|| Split {
            canary,
            weight,
            mirrors,
            salt,
            epoch: self.app.observer.epoch(),
            step,
            changing: state.share.is_changing(),
            fresh: Arc::clone(&self.fresh),
            has_windows,
        })
    }

    /// Returns the model that serves as the primary.
    ///
    /// # Errors
    /// `BOT-6019` before the first model is ready.
    pub(super) fn primary(&self) -> Result<Arc<Served>> {
        let routing = self.app.slot.load().ok_or_else(|| {
            Fault::unreachable("BOT-6019", "the model is still being loaded and tested")
        })?;
        Ok(Arc::clone(&routing.primary))
    }

    /// Sets the duration beyond which an answer counts as slow.
    pub(super) fn set_slow_bound(&self, bound: Option<Duration>) {
        let nanos = bound.map_or(0, |bound| u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
        self.app.slow_bound.store(nanos, Ordering::Relaxed);
    }

    /// Shows the loaded models in the metrics.
    pub(crate) fn show_loaded(&self) {
        let Some(routing) = self.app.slot.load() else { return };
        let mut loaded = vec![(Arm::Primary, routing.primary.digest_text.as_str())];
        if let Some(split) = &routing.split {
            loaded.push((Arm::Canary, split.canary.digest_text.as_str()));
        }
        self.app.metrics.loaded(&loaded);
    }
}
