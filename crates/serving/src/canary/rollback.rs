//! The rollback of the model: an earlier champion serves at once, then the registry and the log record it.

use super::{
    driver::Canary,
    state::{EndedRollout, Mode, Pending, Requester, Restored, State},
};
use crate::{routing::Served, version_source::Deployment};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::Act;
use botops_rollout::Command;
use std::sync::Arc;

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
    /// Ends the open rollout and keeps the champion; without one, puts the champion before the current one back. A
    /// `version` is put back in either case.
    ///
    /// - every check comes before the first effect: after an error of a check, nothing has changed
    /// - the target must be or have been champion
    /// - while an earlier rollback waits to be recorded, a call without a version returns that one, and a call with another
    ///   version supersedes it
    ///
    /// # Errors
    /// `BOT-6024` there is no earlier champion, `BOT-5031` the version was never champion, `BOT-6061` this server is
    /// second, those of the registry. After the swap, the model is rolled back even if the registry cannot be reached; the
    /// answer is then not durable, and the server tries to record the rollback every few seconds until it succeeds.
    pub(crate) async fn roll_back_model(
        &self,
        version: Option<&str>,
        requester: &Requester,
        mode: Mode,
    ) -> Result<Restored> {
        self.standing.check_first()?;
        self.source.check_log()?;
        if version.is_none() && matches!(mode, Mode::Real) && self.drives_open_rollout() {
            // In effect before this waits for the state, whose holder may be waiting for the store.
            self.app.slot.withdraw();
        }
        self.check_still_first().await?;
        let mut state = self.lock().await;
        if let Some(restored) = self.waiting(&mut state, mode).await?
            && version.is_none()
        {
            return Ok(restored);
        }
        let open = open_rollout(&state);
        let primary = self.primary()?;
        let target = match (version, &open) {
            (None, Some(_)) => Arc::clone(&primary),
            _ => self.target(&state, version, &primary).await?,
        };
        let would = restored(&primary, &target);
        if matches!(mode, Mode::Dry) {
            return Ok(Restored { ended: open, ..would });
        }
        drop(state);
        if let Some(open) = &open {
            let reason = format!("the model is rolled back: {}", requester.reason);
            let abort = Command::Abort { reason };
            self.command(&open.id, &abort, requester.clone(), None).await?;
        }
        let done = match (version, &open) {
            (None, Some(_)) => would,
            _ => self.put_back(target, requester).await.map_err(|fault| match &open {
                Some(open) => {
                    fault.hint(format!("rollout `{}` of {} has ended", open.id, open.challenger))
                }
                None => fault,
            })?,
        };
        let durable = done.durable && self.is_durable();
        Ok(Restored { ended: open, durable, ..done })
    }

    /// Finishes an earlier rollback that waits to be recorded, except in a dry run, and returns it.
    async fn waiting(&self, state: &mut State, mode: Mode) -> Result<Option<Restored>> {
        let Some(pending) = &state.pending else { return Ok(None) };
        let restored = pending.restored.clone();
        if matches!(mode, Mode::Real) {
            self.settle_now(state, &restored).await?;
        }
        Ok(Some(Restored { durable: state.pending.is_none(), ..restored }))
    }

    /// Returns the checked and loaded target: `version`, or the champion before `primary`.
    async fn target(
        &self,
        state: &State,
        version: Option<&str>,
        primary: &Arc<Served>,
    ) -> Result<Arc<Served>> {
        if let (None, Some(previous)) = (version, &state.previous) {
            // It was champion here, and needs neither the registry nor a download.
            return Ok(Arc::clone(previous));
        }
        let current = primary.manifest.expect("a model of a registry has its manifest");
        let found = self.source.former(version, &current).await?;
        let loaded = [Some(primary), state.previous.as_ref()];
        match loaded.into_iter().flatten().find(|model| model.manifest == Some(found)) {
            Some(model) => Ok(Arc::clone(model)),
            None => self.source.load(&found).await.map(Arc::new),
        }
    }

    /// Serves a checked target, then records it.
    async fn put_back(&self, served: Arc<Served>, requester: &Requester) -> Result<Restored> {
        let mut state = self.lock().await;
        let primary = self.primary()?;
        let restored = restored(&primary, &served);
        let current = primary.manifest.expect("a model of a registry has its manifest");
        let to = served.manifest.expect("a model of a registry has its manifest");
        let superseded = state.pending.as_ref();
        let expected = if to == current {
            if let Some(waiting) = superseded {
                return Ok(Restored { durable: false, ..waiting.restored.clone() });
            }
            // It serves already. The registry decides whether it is the champion.
            match self.source.champion().await? {
                Some(champion) if champion != to => champion,
                _ => return Ok(restored),
            }
        } else {
            self.swap(Arc::clone(&served));
            self.app.metrics.rolled_back("model");
            superseded.filter(|waiting| !waiting.moved).map_or(current, |waiting| waiting.expected)
        };
        state.previous = None;
        state.rejected = (expected != to).then_some(expected);
        state.refused = false;
        let message = format!("{} serves again instead of {}", restored.to, restored.from);
        self.event("warn", "rollback", message);
        let pending = self.pending((restored.clone(), served), expected, requester);
        let superseded = state.pending.take();
        state.pending = Some(pending.superseding(superseded));
        // The next tick of a rollout may come later than this has to be settled.
        self.woken.notify_one();
        self.settle_now(&mut state, &restored).await?;
        Ok(Restored { durable: state.pending.is_none(), ..restored })
    }

    /// Tries to record a rollback that took effect. If the store cannot do that now, later calls try again.
    ///
    /// # Errors
    /// The refusal of the registry or the log, which no later call would change.
    async fn settle_now(&self, state: &mut State, restored: &Restored) -> Result<()> {
        match self.settle(state).await {
            Err(fault) if state.pending.is_some() => {
                let message = format!("not recorded yet: {}: {fault}", fault.code());
                self.event("error", "rollback", message);
                Ok(())
            }
            settled => settled.map_err(|fault| not_recorded(restored, &fault)),
        }
    }

    /// Returns the records that a rollback from `expected` still needs.
    fn pending(
        &self,
        (restored, served): (Restored, Arc<Served>),
        expected: Digest,
        requester: &Requester,
    ) -> Pending {
        let at = self.app.clock.now();
        let Requester { actor, reason, .. } = requester.clone();
        let deployment = Deployment {
            schema: "botops.deployment/1".to_owned(),
            at,
            actor: actor.clone(),
            reason: reason.clone(),
            model: self.app.model.clone(),
            primary: served.manifest.expect("a model of a registry has its manifest"),
            phase: "none".to_owned(),
            weight_percent: 0.0,
            rollout: None,
            slow_bound_seconds: None,
            writer: None,
            admin: None,
        };
        let act = Act::claimed(actor, reason, at);
        Pending { restored, served, expected, act, moved: false, deployment, earlier: Vec::new() }
    }

    /// Moves `champion` and records the deployment of a rollback that took effect already.
    ///
    /// # Errors
    /// Those of the registry and the store. After an error that may pass, the next call tries again; a refusal ends it.
    pub(super) async fn settle(&self, state: &mut State) -> Result<()> {
        if state.pending.is_none() {
            return Ok(());
        }
        let settled = self.record_rollback(state).await;
        if let Err(fault) = &settled {
            self.note_conflict(fault);
        }
        let may_pass =
            |fault: &Fault| matches!(fault.kind(), FaultKind::Unreachable | FaultKind::Internal);
        if !settled.as_ref().is_err_and(may_pass) {
            state.pending = None;
            state.refused = settled.is_err();
        }
        settled
    }

    async fn record_rollback(&self, state: &mut State) -> Result<()> {
        let State { pending: Some(pending), active, .. } = state else { return Ok(()) };
        if !pending.moved {
            let to = pending.served.manifest.expect("a model of a registry has its manifest");
            self.expect_superseded(pending).await?;
            self.source.go_back(&to, pending.expected, &pending.act).await?;
            pending.moved = true;
        }
        if let Some(active) = active {
            self.write_waiting(active).await?;
        }
        while let Some(superseded) = pending.earlier.first() {
            self.source.record(superseded.clone()).await?;
            pending.earlier.remove(0);
        }
        self.source.record(pending.deployment.clone()).await
    }

    /// Expects `champion` where a superseded rollback moved it: that move may have succeeded although its answer was lost.
    async fn expect_superseded(&self, pending: &mut Pending) -> Result<()> {
        if pending.earlier.is_empty() {
            return Ok(());
        }
        let champion = self.source.champion().await?;
        let moved = champion
            .filter(|champion| pending.earlier.iter().any(|entry| entry.primary == *champion));
        pending.expected = moved.unwrap_or(pending.expected);
        Ok(())
    }
}

/// Returns the rollout that this server drives, with the name of its challenger.
fn open_rollout(state: &State) -> Option<EndedRollout> {
    let active = state.active.as_ref().filter(|active| active.is_driven())?;
    let challenger = match (&active.challenger, &active.rollout.versions) {
        (Some(served), _) => served.reference.to_string(),
        (None, Some(versions)) => versions.challenger.clone(),
        // It is not loaded yet. The registry may be unreachable, and a rollback does not need it.
        (None, None) => format!("{}@{}", active.rollout.model, active.rollout.challenger),
    };
    Some(EndedRollout { id: active.rollout.id.clone(), challenger })
}

/// The fault of a rollback that took effect, and that the registry or the log refused to record.
fn not_recorded(restored: &Restored, fault: &Fault) -> Fault {
    let to = &restored.to;
    let message =
        format!("`{to}` serves again, but this could not be recorded completely: {fault}");
    let outer = Fault::of_code(fault.code(), message);
    fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint))
}
