//! The effects of a transition: load, route, promote, roll back, finish.

use super::{
    driver::Canary,
    state::{AUTOMATIC, Active, State},
};
use crate::routing::{Served, Split};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::Act;
use botops_rollout::{self as rollout, Arm, Command, Effect, Transition};
use chrono::{DateTime, Utc};
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

/// How long a rollback waits for the requests that still use the challenger.
const DRAIN: Duration = Duration::from_secs(30);

impl Canary {
    /// Carries out a recorded transition.
    pub(super) async fn perform(
        &self,
        state: &mut State,
        transition: Transition,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let active = state.active.as_mut().expect("a transition belongs to a rollout");
        let report = match transition.effect {
            Effect::None => None,
            Effect::Route => {
                self.route(active);
                None
            }
            Effect::Load => Some(match self.load_challenger(&active.rollout.challenger).await {
                Ok(served) => {
                    active.challenger = Some(Arc::new(served));
                    Command::Loaded
                }
                Err(fault) => Command::LoadFailed { reason: format!("{}: {fault}", fault.code()) },
            }),
            Effect::Promote => Some(self.promote(state, now).await?),
            Effect::RollBack => {
                self.app.slot.withdraw();
                self.drain(active.challenger.as_ref()).await;
                Some(Command::Drained)
            }
            Effect::Finish => {
                self.finish(active);
                None
            }
        };
        let Some(report) = report else { return Ok(()) };
        let active = state.active.as_mut().expect("a transition belongs to a rollout");
        let next = rollout::command(&active.rollout, &report, now)?;
        Box::pin(self.apply(state, next, now)).await
    }

    /// Loads a challenger that may get traffic.
    ///
    /// A rollout that an earlier version of botops began may have one without the evidence for its promotion.
    ///
    /// # Errors
    /// Those of the registry; `BOT-5017` it has no gate report.
    pub(super) async fn load_challenger(&self, manifest: &Digest) -> Result<Served> {
        let served = self.source.load(manifest).await?;
        if let Some(version) = &served.version {
            self.source.admit(version).await?;
        }
        Ok(served)
    }

    /// Moves the alias, swaps the model, and checks which model serves.
    async fn promote(&self, state: &mut State, now: DateTime<Utc>) -> Result<Command> {
        let active = state.active.as_mut().expect("a promotion belongs to a rollout");
        if self.aborting.load(Ordering::SeqCst) {
            return Ok(Command::Abort { reason: "requested during the promotion".to_owned() });
        }
        let challenger = match &active.challenger {
            Some(challenger) => Arc::clone(challenger),
            None => {
                let served = Arc::new(self.source.load(&active.rollout.challenger).await?);
                active.challenger = Some(Arc::clone(&served));
                served
            }
        };
        // The person who approved the promotion, else the one who requested the rollout.
        let (actor, reason) = match active.transitions.last() {
            Some(approval) if active.actor != AUTOMATIC => (&active.actor, &approval.reason),
            _ => (&active.rollout.actor, &active.rollout.reason),
        };
        let reason = format!("rollout {}: {reason}", active.rollout.id);
        let act = Act::claimed(actor, reason, now);
        if let Err(fault) = self.source.promote(&challenger, active.rollout.champion, &act).await {
            return match fault.kind() {
                FaultKind::Unreachable | FaultKind::Internal => Err(fault),
                _ => {
                    let reason =
                        format!("the registry refused the promotion: {}: {fault}", fault.code());
                    Ok(Command::Abort { reason })
                }
            };
        }
        let old = self.primary()?;
        state.rejected = None;
        state.refused = false;
        self.swap(Arc::clone(&challenger));
        if old.manifest != challenger.manifest {
            // If an earlier champion came back, the champion before it is not the model that served.
            let before = self.source.find(None, &active.rollout.challenger).await.ok();
            let is_before =
                before.is_none_or(|before| old.manifest == Some(before.manifest_digest));
            state.previous = is_before.then_some(old);
        }
        let served = self.primary()?;
        if served.manifest == Some(active.rollout.challenger) && served.digest == challenger.digest
        {
            Ok(Command::Confirmed)
        } else {
            Err(Fault::internal("BOT-6018", "the challenger was swapped in but does not serve"))
        }
    }

    /// Waits until no request uses the challenger, at most [`DRAIN`].
    async fn drain(&self, challenger: Option<&Arc<Served>>) {
        let Some(challenger) = challenger else { return };
        let begun = tokio::time::Instant::now();
        // The rollout holds one reference, and each routing in use holds another.
        while Arc::strong_count(challenger) > 1 && begun.elapsed() < DRAIN {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Ends a rollout: no request reaches the challenger, and nothing more is observed.
    pub(super) fn finish(&self, active: &mut Active) {
        self.app.slot.withdraw();
        active.challenger = None;
        self.app.observer.clear();
        self.set_slow_bound(None);
        self.show_loaded();
    }

    /// Routes by the weight of `active`, unless an abort is under way.
    pub(super) fn route(&self, active: &Active) {
        let (Some(challenger), Ok(primary)) = (&active.challenger, self.primary()) else { return };
        if self.aborting.load(Ordering::SeqCst) {
            return;
        }
        let split = Split {
            canary: Arc::clone(challenger),
            weight: active.rollout.weight(),
            mirrors: active.rollout.mirrors(),
            salt: active.rollout.salt.clone(),
            epoch: self.app.observer.epoch(),
        };
        self.app.slot.set(primary, Some(split));
        if self.aborting.load(Ordering::SeqCst) {
            // The abort began between the check and the swap.
            self.app.slot.withdraw();
        }
        self.show_loaded();
    }

    /// Makes `served` the only model that answers.
    pub(super) fn swap(&self, served: Arc<Served>) {
        self.app.slot.set(served, None);
        self.app.metrics.swaps.inc();
        self.show_loaded();
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

    /// Shows the phase, the weight and the evidence in the metrics.
    pub(super) fn show(&self, active: &Active) {
        let metrics = &self.app.metrics;
        metrics.phase.set(i64::from(active.rollout.phase.number()));
        metrics.weight.set(if active.lost { 0.0 } else { active.rollout.weight() });
        metrics.evidence(&active.rollout.evidence());
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
