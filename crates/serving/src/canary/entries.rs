//! The entries that a server appends to the deployment log.

use super::{
    counting::Marks,
    follow::Canary,
    state::{Requester, State},
};
use botops_findings::{Fault, Result};
use botops_registry::{ChampionMove, Change, Deployment, RolloutStep};
use botops_rollout::{Phase, Rollout, Transition};
use botops_store::Appended;
use chrono::TimeDelta;
use std::sync::Arc;

impl Canary {
    /// Appends the entry of `transition`, which counts no observation. Returns whether this server was first.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn step(
        self: &Arc<Self>,
        state: &mut State,
        transition: &Transition,
        requester: &Requester,
        forward: Option<ChampionMove>,
    ) -> Result<bool> {
        let entry = self.entry(state, transition, requester, (forward, None))?;
        self.append(state, entry).await
    }

    /// Appends the entry of `transition`, which counts the observations up to `counted`.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn count(
        self: &Arc<Self>,
        state: &mut State,
        transition: &Transition,
        requester: &Requester,
        counted: Marks,
    ) -> Result<bool> {
        let entry = self.entry(state, transition, requester, (None, Some(counted)))?;
        self.append(state, entry).await
    }

    /// Returns the entry of `transition`.
    ///
    /// A rollback out of Settling moves the champion back.
    fn entry(
        &self,
        state: &State,
        transition: &Transition,
        requester: &Requester,
        (forward, counted): (Option<ChampionMove>, Option<Marks>),
    ) -> Result<Deployment> {
        let before = state.step(&self.app.model);
        let next = &transition.next;
        let champion = match forward {
            Some(moved) => Some(moved),
            None => self.way_back(state, next)?,
        };
        let clock = self.app.clock.now();
        let had = before.map_or(0.0, |step| step.rollout.weight());
        let effective_at = if next.weight() > had && !self.pace.raise.is_zero() {
            Some(clock + TimeDelta::from_std(self.pace.raise).unwrap_or(TimeDelta::zero()))
        } else {
            before.filter(|_| next.weight() == had).and_then(|step| step.effective_at)
        };
        let step = RolloutStep {
            rollout: next.clone(),
            champion,
            effective_at,
            slow_bound_seconds: before.and_then(|step| step.slow_bound_seconds),
            // Another entry than a tick keeps what the ticks have counted: the observations since then still wait.
            counted: counted
                .or_else(|| before.map(|step| step.counted.clone()))
                .unwrap_or_default(),
        };
        let by = (requester.by.clone(), transition.reason.clone());
        let mut entry =
            Deployment::new(by, clock, &self.app.model, Change::Rollout(Box::new(step)));
        entry.request.clone_from(&requester.request);
        let is_rollback = matches!(next.phase, Phase::RollingBack { .. });
        entry.break_glass = is_rollback && self.held(state).is_some();
        Ok(entry)
    }

    /// Returns the move back of the champion that a rollback out of Settling makes.
    fn way_back(&self, state: &State, next: &Rollout) -> Result<Option<ChampionMove>> {
        let from = state.champions.current();
        let is_back = from == Some(next.challenger)
            && next.primary() == next.champion
            && matches!(next.phase, Phase::RollingBack { .. });
        if !is_back {
            return Ok(None);
        }
        let former = state.champions.former(&next.champion).ok_or_else(|| {
            Fault::internal("BOT-6018", "the champion before is not in the line of champions")
        })?;
        Ok(Some(ChampionMove::back(&former, from)))
    }

    /// Appends `entry` behind the newest one. Returns whether this server was first.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn append(
        self: &Arc<Self>,
        state: &mut State,
        entry: Deployment,
    ) -> Result<bool> {
        match self.journal.append(state.tip.as_ref(), entry).await? {
            Appended::Written(entry) => {
                self.take(state, entry)?;
                self.show_state(state);
                self.route(state);
                Ok(true)
            }
            Appended::Conflict => Ok(false),
        }
    }
}
