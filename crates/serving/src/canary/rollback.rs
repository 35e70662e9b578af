//! Acts that take effect before they are recorded: the abort of a rollout, and the return to a former champion.

use super::{
    follow::Canary,
    shown::aborted,
    state::{EndedRollout, InEffect, Mode, Requester, Restored, Reverted, State},
};
use crate::routing::Served;
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::{ChampionMove, Champions, Change, Deployment, FormerChampion, Version};
use botops_rollout::Rollout;
use std::sync::{Arc, PoisonError};

/// Returns the result of a rollback from `primary` to `served`.
fn restored(primary: &Served, served: &Served) -> Restored {
    Restored {
        from: primary.reference.to_string(),
        to: served.reference.to_string(),
        digest: served.digest,
        ended: None,
        durable: true,
    }
}

impl Canary {
    /// Ends the open rollout and keeps the champion before it; without one, puts the champion before the current one back.
    /// A `version` is put back in either case.
    ///
    /// - every check comes before the first effect: after an error of a check, nothing has changed
    /// - the target must be or have been champion
    /// - while an earlier rollback waits to be recorded, a call without a version returns that one
    ///
    /// # Errors
    /// `BOT-6024` there is no earlier champion, `BOT-5031` the version was never champion, those of the registry. After the
    /// swap, the model is rolled back even if the store cannot be reached; the answer is then not durable, and the server
    /// tries to record it until it succeeds.
    pub(crate) async fn roll_back_model(
        self: &Arc<Self>,
        version: Option<&str>,
        requester: &Requester,
        mode: Mode,
    ) -> Result<Restored> {
        self.journal.check()?;
        if version.is_none()
            && let Some(waiting) = self.waiting_return()
        {
            if matches!(mode, Mode::Real) {
                self.record_now().await?;
            }
            return Ok(Restored { durable: self.is_durable(), ..waiting });
        }
        // A repeated request, and the newest state, if the store answers.
        if let Some(done) = self.look_before_return(requester).await? {
            return Ok(done);
        }
        let open = self.shown().view.as_ref().map(|view| view.rollout.clone());
        let open = open.filter(|rollout| !rollout.is_over() && !self.is_aborted(&rollout.id));
        let primary = self.primary()?;
        let ended = open.as_ref().map(ended);
        let target = match (version, &open) {
            (None, Some(_)) => None,
            _ => Some(self.target(version, &primary).await?),
        };
        let would = match &target {
            Some((_, served)) => restored(&primary, served),
            None => restored(&primary, &primary),
        };
        if matches!(mode, Mode::Dry) {
            return Ok(Restored { ended, ..would });
        }
        let now = self.app.clock.steady();
        if let Some(open) = &open {
            let reason = format!("the model is rolled back: {}", requester.reason);
            let act = Reverted::Abort { id: open.id.clone(), reason };
            self.act(act, requester.clone(), now);
            self.app.slot.withdraw();
            self.app.metrics.rolled_back("requested");
        }
        let mut would = Restored { ended, ..would };
        if let Some((former, served)) = target
            && let Some(from) = self.champion_to_leave(&former).await?
        {
            self.app.slot.set(Arc::clone(&served), None);
            self.app.metrics.swaps.inc();
            self.app.metrics.rolled_back("model");
            self.show_loaded();
            let message = format!("{} serves again instead of {}", would.to, would.from);
            self.event("warn", "rollback", message);
            let restored = Box::new(would.clone());
            let act = Reverted::Return { from, to: former, served, restored };
            self.act(act, requester.clone(), now);
        }
        self.record_now().await.map_err(|fault| not_recorded(&would, &fault))?;
        if would.ended.is_some() && version.is_none() {
            would.to = self.primary()?.reference.to_string();
            would.digest = self.primary()?.digest;
        }
        Ok(Restored { durable: self.is_durable(), ..would })
    }

    /// Reads the log, if the store answers, and returns the result of `requester` if it was carried out before.
    async fn look_before_return(
        self: &Arc<Self>,
        requester: &Requester,
    ) -> Result<Option<Restored>> {
        let Ok(mut state) = self.state.try_lock() else { return Ok(None) };
        // A log that cannot be read is no reason to refuse: a rollback needs no registry.
        if self.catch_up(&mut state).await.is_ok() {
            self.route(&mut state);
        }
        let Some(seq) = self.repeated(&state, requester)? else { return Ok(None) };
        drop(state);
        self.restored_by(seq).await.map(Some)
    }

    /// Returns the result of a return that is in effect and not recorded.
    fn waiting_return(&self) -> Option<Restored> {
        self.in_effect().into_iter().rev().find_map(|act| match act.act {
            Reverted::Return { restored, .. } => Some(*restored),
            Reverted::Abort { .. } => None,
        })
    }

    /// Returns the champion that a return to `to` replaces; `None` if `to` is the champion.
    async fn champion_to_leave(&self, to: &FormerChampion) -> Result<Option<Digest>> {
        let waiting = self.in_effect().into_iter().rev().find_map(|act| match act.act {
            Reverted::Return { to, .. } => Some(to.manifest()),
            Reverted::Abort { .. } => None,
        });
        let champion = match waiting {
            Some(waiting) => Some(waiting),
            None => self.state.lock().await.champions.current(),
        };
        Ok(champion.filter(|champion| *champion != to.manifest()))
    }

    /// Returns the checked and loaded target: `version`, or the champion before `primary`.
    async fn target(
        &self,
        version: Option<&str>,
        primary: &Arc<Served>,
    ) -> Result<(FormerChampion, Arc<Served>)> {
        let current = primary.manifest.expect("a model of a registry has its manifest");
        let known = match version {
            Some(_) => None,
            None => self.resident_before(&current).await,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let former = self.versions.former(version, &current).await?;
        if former.manifest() == current {
            return Ok((former, Arc::clone(primary)));
        }
        let resident = self.state.lock().await.resident.get(&former.manifest()).cloned();
        let served = match resident {
            Some(served) => served,
            None => Arc::new(self.versions.load(&former.manifest()).await?),
        };
        Ok((former, served))
    }

    /// Returns the champion before `current` if it is in memory: neither the registry nor a download is needed.
    async fn resident_before(&self, current: &Digest) -> Option<(FormerChampion, Arc<Served>)> {
        let state = self.state.lock().await;
        let before = before(&state.champions, current)?;
        let served = state.resident.get(&before.manifest())?;
        let primary = state.resident.get(current);
        // A version with the same model and knowledge would change nothing: the registry finds the one before it.
        let set = |served: &Served| served.version.as_ref().and_then(Version::set);
        let is_other = primary
            .is_none_or(|primary| primary.digest != served.digest || set(primary) != set(served));
        is_other.then(|| (before, Arc::clone(served)))
    }

    /// Tries to record everything that is in effect. A store that fails is no error: later turns try again.
    ///
    /// # Errors
    /// The refusal of the log, which no later turn would change.
    pub(super) async fn record_now(self: &Arc<Self>) -> Result<()> {
        let mut state = self.lock().await;
        let recorded = self.record_acts(&mut state).await;
        drop(state);
        match recorded {
            Err(fault) if !self.in_effect().is_empty() => {
                let message = format!("not recorded yet: {}: {fault}", fault.code());
                self.event("error", "rollback", message);
                Ok(())
            }
            Err(fault) => Err(fault),
            Ok(()) => {
                let canary = Arc::clone(self);
                // The answer does not wait for the requests that still use the challenger.
                tokio::spawn(async move { canary.drive().await });
                Ok(())
            }
        }
    }

    /// Records the acts in effect, the oldest first.
    ///
    /// # Errors
    /// Those of the store: the acts stay, and the next call tries again. A refusal ends its act.
    pub(super) async fn record_acts(self: &Arc<Self>, state: &mut State) -> Result<()> {
        loop {
            let Some(act) = self.in_effect().into_iter().next() else { return Ok(()) };
            let recorded = self.record_act(state, &act).await;
            // A log that cannot be read or written keeps the act in effect; only a conflict with what it says ends it.
            let is_over = match &recorded {
                Ok(()) => true,
                Err(fault) => fault.kind() == FaultKind::Conflict,
            };
            if is_over {
                let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
                acts.retain(|known| known.number != act.number);
            }
            self.show_state(state);
            self.route(state);
            recorded?;
        }
    }

    async fn record_act(self: &Arc<Self>, state: &mut State, act: &InEffect) -> Result<()> {
        loop {
            self.catch_up(state).await?;
            let entry = match &act.act {
                Reverted::Abort { id, reason } => {
                    let Some(step) = state.open(&self.app.model) else { return Ok(()) };
                    let rollout = &step.rollout;
                    if rollout.id != *id {
                        return Ok(());
                    }
                    let at = self.rollout_now(state);
                    let Some(transition) = aborted(rollout, reason, at) else { return Ok(()) };
                    if self.step(state, &transition, &act.requester, None).await? {
                        return Ok(());
                    }
                    continue;
                }
                Reverted::Return { from, to, .. } => {
                    let Some(entry) = self.return_entry(state, act, *from, to)? else {
                        return Ok(());
                    };
                    entry
                }
            };
            if self.append(state, entry).await? {
                return Ok(());
            }
        }
    }

    /// Returns the entry of a return from the champion `from`; `None` if the log has it.
    ///
    /// # Errors
    /// `BOT-5014` (exit 5) the champion was moved elsewhere in the meantime.
    fn return_entry(
        &self,
        state: &State,
        act: &InEffect,
        from: Digest,
        to: &FormerChampion,
    ) -> Result<Option<Deployment>> {
        let champion = state.champions.current();
        if champion == Some(to.manifest()) {
            return Ok(None);
        }
        if champion.is_some_and(|champion| champion != from) {
            let message = format!(
                "the champion of `{}` was moved again before the return to {} could be recorded",
                self.app.model,
                to.reference()
            );
            return Err(Fault::conflict("BOT-5014", message)
                .hint(format!("see what happened: `botops registry log {}`", self.app.model)));
        }
        let change = Change::Champion(ChampionMove::back(to, champion));
        let by = (act.requester.by.clone(), act.requester.reason.clone());
        let mut entry = Deployment::new(by, act.at, &self.app.model, change);
        entry.request.clone_from(&act.requester.request);
        entry.break_glass = self.held(state).is_some();
        Ok(Some(entry))
    }

    /// Records what is in effect and was not recorded, and tells the others that this server stops.
    pub(super) async fn leave(self: &Arc<Self>) -> Result<()> {
        let mut state = self.lock().await;
        self.record_acts(&mut state).await?;
        let Some(step) = state.open(&self.app.model) else { return Ok(()) };
        let id = step.rollout.id.clone();
        self.publish(&mut state, &id, true).await
    }
}

/// Returns the champion before `current` in the line.
fn before(champions: &Champions, current: &Digest) -> Option<FormerChampion> {
    champions.before(current).next()
}

/// Returns the rollout that a rollback ends, with the name of its challenger.
pub(super) fn ended(rollout: &Rollout) -> EndedRollout {
    let challenger = match &rollout.versions {
        Some(versions) => versions.challenger.clone(),
        None => format!("{}@{}", rollout.model, rollout.challenger),
    };
    EndedRollout { id: rollout.id.clone(), challenger }
}

/// The fault of a rollback that took effect, and that the log refused to record.
fn not_recorded(restored: &Restored, fault: &Fault) -> Fault {
    let to = &restored.to;
    let message =
        format!("`{to}` serves again, but this could not be recorded completely: {fault}");
    let outer = Fault::of_code(fault.code(), message);
    fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint))
}
