//! The models in memory: loaded in the background, kept while they may serve, and dropped.

use super::{arrival::Arrival, follow::Canary, state::State};
use crate::routing::Served;
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use std::sync::{Arc, PoisonError};

impl Canary {
    /// Loads the version with this manifest in the background, unless that is under way.
    ///
    /// A champion is loaded only if its evidence proves it.
    pub(super) fn fetch(self: &Arc<Self>, state: &mut State, manifest: Digest, as_champion: bool) {
        if !state.loading.insert(manifest) {
            return;
        }
        let canary = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = canary.admitted(&manifest, as_champion).await;
            let arrival = Arrival { manifest, as_champion, outcome };
            canary.arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
            canary.woken.notify_one();
        });
    }

    /// Loads a version; a champion only if its evidence proves it.
    async fn admitted(&self, manifest: &Digest, as_champion: bool) -> Result<Served> {
        if as_champion && let Some(fault) = self.versions.objection(manifest).await? {
            return Err(fault);
        }
        self.versions.load(manifest).await
    }

    /// Takes the models that were loaded in the background.
    pub(super) fn take_arrivals(&self, state: &mut State) {
        let arrived =
            std::mem::take(&mut *self.arrived.lock().unwrap_or_else(PoisonError::into_inner));
        for Arrival { manifest, as_champion, outcome } in arrived {
            state.loading.remove(&manifest);
            match outcome {
                Ok(served) => {
                    state.resident.insert(manifest, Arc::new(served));
                }
                Err(fault) if as_champion => self.reject(state, manifest, &fault),
                Err(fault) => {
                    let message =
                        format!("a challenger cannot be loaded: {}: {fault}", fault.code());
                    self.event("error", "load", message);
                }
            }
        }
    }

    /// Reports a champion of the log that cannot serve. A store that does not answer is asked again at the next turn.
    fn reject(&self, state: &mut State, manifest: Digest, fault: &Fault) {
        if fault.kind() == FaultKind::Unreachable {
            return;
        }
        let serving = self.app.slot.load();
        let serving = serving.map_or_else(String::new, |it| it.primary.reference.to_string());
        self.app.degrade(fault.code(), format!("`{serving}` still serves: {fault}"));
        state.rejected = Some(manifest);
    }

    /// Drops the models that nothing can ask for any more.
    pub(super) fn drop_unused(&self, state: &mut State) {
        let challenger = state.open(&self.app.model).map(|step| step.rollout.challenger);
        let champion = state.open(&self.app.model).map(|step| step.rollout.champion);
        let serving = self.app.slot.load().and_then(|routing| routing.primary.manifest);
        let kept = [challenger, champion, serving, state.previous, state.champions.current()];
        state.resident.retain(|manifest, _| kept.contains(&Some(*manifest)));
    }
}
