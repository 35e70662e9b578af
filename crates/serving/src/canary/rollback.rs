//! The rollback of the model: an earlier champion serves at once, then the registry and the log record it.

use super::{
    driver::Canary,
    state::{Mode, Pending, Requester, Restored, State},
};
use crate::version_source::Deployment;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::Act;
use botops_rollout::Command;
use std::sync::Arc;

impl Canary {
    /// Puts an earlier champion back: `version`, or the one before the current one. Rolls back a rollout under way first.
    ///
    /// While an earlier rollback waits to be recorded, a call without a version returns that one.
    ///
    /// # Errors
    /// `BOT-6024`, those of the registry. The model is rolled back even if the registry cannot be reached; the
    /// server then tries to record the rollback every few seconds until it succeeds.
    pub(crate) async fn roll_back_model(
        &self,
        version: Option<&str>,
        requester: &Requester,
        mode: Mode,
    ) -> Result<Restored> {
        let under_way = {
            let state = self.state.lock().await;
            state.active.as_ref().filter(|a| a.is_driven()).map(|a| a.rollout.id.clone())
        };
        if let (Some(id), Mode::Real) = (&under_way, mode) {
            let reason = format!("the model is rolled back: {}", requester.reason);
            self.command(id, &Command::Abort { reason }, requester.clone(), None).await?;
        }
        let mut state = self.state.lock().await;
        if let Some(restored) = state.pending.as_ref().map(|pending| pending.restored.clone()) {
            if matches!(mode, Mode::Real) {
                self.settle(&mut state)
                    .await
                    .map_err(|fault| not_recorded(&restored, &state, &fault))?;
            }
            if version.is_none() {
                return Ok(restored);
            }
        }
        let primary = self.primary()?;
        let current = primary.manifest.expect("a model of a registry has its manifest");
        let resident = state.previous.as_ref().filter(|_| version.is_none()).map(Arc::clone);
        let served = match resident {
            Some(previous) => previous,
            None => {
                let found = self.source.find(version, &current).await?.manifest_digest;
                let loaded = [Some(&primary), state.previous.as_ref()];
                match loaded.into_iter().flatten().find(|model| model.manifest == Some(found)) {
                    Some(model) => Arc::clone(model),
                    None => Arc::new(self.source.load(&found).await?),
                }
            }
        };
        let to = served.manifest.expect("a model of a registry has its manifest");
        let restored = Restored {
            from: primary.reference.to_string(),
            to: served.reference.to_string(),
            digest: served.digest,
        };
        if matches!(mode, Mode::Dry) {
            return Ok(restored);
        }
        let expected = if to == current {
            // It serves already. The registry decides whether it is the champion.
            match self.source.champion().await? {
                Some(champion) if champion != to => champion,
                _ => return Ok(restored),
            }
        } else {
            self.swap(Arc::clone(&served));
            self.app.metrics.rolled_back("model");
            current
        };
        state.previous = None;
        state.rejected = Some(expected);
        let at = self.app.clock.now();
        let deployment = Deployment {
            schema: "botops.deployment/1".to_owned(),
            at,
            actor: requester.actor.clone(),
            reason: requester.reason.clone(),
            model: self.app.model.clone(),
            primary: to,
            phase: "none".to_owned(),
            weight_percent: 0.0,
            rollout: None,
            slow_bound_seconds: None,
            writer: None,
        };
        let act = Act { actor: requester.actor.clone(), reason: requester.reason.clone(), at };
        let message = format!("{} serves again instead of {}", restored.to, restored.from);
        self.event("warn", "rollback", message);
        state.pending = Some(Pending {
            restored: restored.clone(),
            served,
            expected,
            act,
            moved: false,
            deployment,
        });
        // The next tick of a rollout may come later than this has to be settled.
        self.woken.notify_one();
        self.settle(&mut state).await.map_err(|fault| not_recorded(&restored, &state, &fault))?;
        Ok(restored)
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
        let may_pass =
            |fault: &Fault| matches!(fault.kind(), FaultKind::Unreachable | FaultKind::Internal);
        if !settled.as_ref().is_err_and(may_pass) {
            state.pending = None;
        }
        settled
    }

    async fn record_rollback(&self, state: &mut State) -> Result<()> {
        let State { pending: Some(pending), active, .. } = state else { return Ok(()) };
        if !pending.moved {
            self.source.promote(&pending.served, pending.expected, &pending.act).await?;
            pending.moved = true;
        }
        if let Some(active) = active {
            self.write_waiting(active).await?;
        }
        self.source.record(pending.deployment.clone()).await
    }
}

/// The fault of a rollback that took effect and is not recorded completely.
fn not_recorded(restored: &Restored, state: &State, fault: &Fault) -> Fault {
    let to = &restored.to;
    let message = match &state.pending {
        Some(pending) if pending.moved => {
            format!(
                "`{to}` serves again and is `champion`, but the deployment log does not record it yet: {fault}"
            )
        }
        Some(_) => format!("`{to}` serves again, but `champion` has not moved yet: {fault}"),
        None => format!("`{to}` serves again, but this could not be recorded completely: {fault}"),
    };
    let outer = Fault::of_code(fault.code(), message);
    let outer = fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint));
    match &state.pending {
        Some(_) => outer.hint("the server keeps trying; there is no need to repeat the command"),
        None => outer,
    }
}
