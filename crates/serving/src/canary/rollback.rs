//! Rolling the model back: an earlier champion serves at once, then the registry and the log hear of it.

use super::{Asked, Canary, Mode, State};
use crate::{routing::Served, version_source::Deployment};
use botops_digest::Digest;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::Act;
use botops_rollout::Command;
use std::sync::Arc;

/// What a rollback of the model came to.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Restored {
    /// Reference of the version that served.
    pub from: String,
    /// Reference of the version that serves again.
    pub to: String,
    /// Digest of its model file.
    pub digest: Digest,
}

/// A rollback that serves and is not written down everywhere yet.
pub(super) struct Pending {
    restored: Restored,
    served: Arc<Served>,
    /// Where `champion` points until it is moved.
    expected: Digest,
    act: Act,
    moved: bool,
    deployment: Deployment,
}

impl Canary {
    /// Puts an earlier champion back: `version`, or the one before. Rolls a rollout under way back first.
    ///
    /// While an earlier rollback waits to be written down, asking without a version asks for that one.
    ///
    /// # Errors
    /// `BOT-6024`, those of the registry. Serving is rolled back even when the registry cannot be
    /// told; telling it is then tried again, every few seconds, until it is done.
    pub(crate) async fn roll_back_model(
        &self,
        version: Option<&str>,
        asked: &Asked,
        mode: Mode,
    ) -> Result<Restored> {
        let under_way = {
            let state = self.state.lock().await;
            state.active.as_ref().filter(|a| a.is_driven()).map(|a| a.rollout.id.clone())
        };
        if let (Some(id), Mode::Real) = (&under_way, mode) {
            let reason = format!("the model is rolled back: {}", asked.reason);
            self.command(id, &Command::Abort { reason }, asked.clone(), None).await?;
        }
        let mut state = self.state.lock().await;
        if let Some(restored) = state.pending.as_ref().map(|pending| pending.restored.clone()) {
            if matches!(mode, Mode::Real) {
                self.settle(&mut state).await.map_err(|fault| untold(&restored, &state, &fault))?;
            }
            if version.is_none() {
                return Ok(restored);
            }
        }
        let primary = self.primary()?;
        let current = primary.manifest.expect("a home's model has its manifest");
        let resident = state.previous.as_ref().filter(|_| version.is_none()).map(Arc::clone);
        let served = match resident {
            Some(previous) => previous,
            None => {
                let found = self.home.find(version, &current).await?.manifest_digest;
                let here = [Some(&primary), state.previous.as_ref()];
                match here.into_iter().flatten().find(|here| here.manifest == Some(found)) {
                    Some(here) => Arc::clone(here),
                    None => Arc::new(self.home.load(&found).await?),
                }
            }
        };
        let to = served.manifest.expect("a home's model has its manifest");
        let restored = Restored {
            from: primary.reference.to_string(),
            to: served.reference.to_string(),
            digest: served.digest,
        };
        if matches!(mode, Mode::Dry) {
            return Ok(restored);
        }
        let expected = if to == current {
            // It serves; whether it is the champion is for the registry to say.
            match self.home.champion().await? {
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
            actor: asked.actor.clone(),
            reason: asked.reason.clone(),
            model: self.app.model.clone(),
            primary: to,
            phase: "none".to_owned(),
            weight_percent: 0.0,
            rollout: None,
            slow_bound_seconds: None,
            writer: None,
        };
        let act = Act { actor: asked.actor.clone(), reason: asked.reason.clone(), at };
        let message = format!("{} serves again, for {}", restored.to, restored.from);
        self.event("warn", "rollback", message);
        state.pending = Some(Pending {
            restored: restored.clone(),
            served,
            expected,
            act,
            moved: false,
            deployment,
        });
        // Whoever waits for a rollout's next tick may have to settle this earlier.
        self.woken.notify_one();
        self.settle(&mut state).await.map_err(|fault| untold(&restored, &state, &fault))?;
        Ok(restored)
    }

    /// Moves `champion` and writes the deployment down, for a rollback that serves already.
    ///
    /// # Errors
    /// Those of the registry and the store. What may pass is kept for the next call; a refusal is not.
    pub(super) async fn settle(&self, state: &mut State) -> Result<()> {
        if state.pending.is_none() {
            return Ok(());
        }
        let settled = self.tell(state).await;
        let passing =
            |fault: &Fault| matches!(fault.kind(), FaultKind::Unreachable | FaultKind::Internal);
        if !settled.as_ref().is_err_and(passing) {
            state.pending = None;
        }
        settled
    }

    async fn tell(&self, state: &mut State) -> Result<()> {
        let State { pending: Some(pending), active, .. } = state else { return Ok(()) };
        if !pending.moved {
            self.home.promote(&pending.served, pending.expected, &pending.act).await?;
            pending.moved = true;
        }
        if let Some(active) = active {
            self.write_waiting(active).await?;
        }
        self.home.write_down(pending.deployment.clone()).await
    }
}

/// The fault of a rollback that serves, and is not written down.
fn untold(restored: &Restored, state: &State, fault: &Fault) -> Fault {
    let to = &restored.to;
    let what = match &state.pending {
        Some(pending) if pending.moved => {
            format!("`{to}` serves again and is `champion`; the log does not say so yet: {fault}")
        }
        Some(_) => format!("`{to}` serves again, and `champion` is not moved yet: {fault}"),
        None => format!("`{to}` serves again, and not all of it could be written down: {fault}"),
    };
    let told = Fault::of_code(fault.code(), what);
    let told = fault.hints().iter().fold(told, |told, hint| told.hint(hint));
    match &state.pending {
        Some(_) => told.hint("the server keeps trying: there is no need to ask again"),
        None => told,
    }
}
