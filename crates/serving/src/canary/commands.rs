//! Rollout commands: their checks and their effects.

use super::{
    driver::Canary,
    state::{
        Active, Mode, Requester, Started, State, find, no_messages, no_such_rollout, unchanged,
        under_way,
    },
};
use crate::routing::Served;
use botops_findings::{Fault, FaultKind, Result};
use botops_registry::Version;
use botops_rollout::{
    self as rollout, Command, Effect, Phase, Rollout, RolloutRequest, RolloutSpec, Transition,
    TransitionRecord, Versions,
};
use chrono::{DateTime, Utc};
use std::sync::atomic::Ordering;

impl Canary {
    /// Starts a rollout, or joins the one under way for the same version.
    ///
    /// If the last rollout made this version champion, it is joined too: a client that repeats its request may not
    /// have learned how the rollout ended.
    ///
    /// # Errors
    /// `BOT-6032`, `BOT-6037`, `BOT-6001`, those of the registry; `BOT-5017` the version has no gate report.
    pub(crate) async fn start(
        &self,
        reference: &str,
        spec: RolloutSpec,
        requester: Requester,
    ) -> Result<(Transition, Started)> {
        self.begin(reference, spec, requester, Mode::Real).await
    }

    /// Returns the transition that [`Self::start`] would begin with.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn preview_start(
        &self,
        reference: &str,
        spec: RolloutSpec,
        requester: Requester,
    ) -> Result<Transition> {
        self.begin(reference, spec, requester, Mode::Dry).await.map(|(transition, _)| transition)
    }

    async fn begin(
        &self,
        reference: &str,
        spec: RolloutSpec,
        requester: Requester,
        mode: Mode,
    ) -> Result<(Transition, Started)> {
        let policy = spec.check()?;
        self.source.check_log()?;
        self.check_still_first().await?;
        let mut state = self.lock().await;
        if matches!(mode, Mode::Real) {
            self.settle(&mut state).await?;
            self.pause_after_jump(&mut state).await?;
        }
        let primary = self.primary()?;
        let champion = primary.manifest.expect("a model of a registry has its manifest");
        let version = self.source.find(Some(reference), &champion).await?;
        let now = self.app.clock.steady();
        if let Some(active) = state.active.as_ref().filter(|active| !active.rollout.is_over()) {
            if active.rollout.challenger == version.manifest_digest {
                return Ok((unchanged(&active.rollout, Effect::None), Started::Joined));
            }
            return Err(under_way(&active.rollout.id));
        }
        if let (Some(before), Mode::Real) = (state.active.as_mut(), mode) {
            self.write_waiting(before).await?;
        }
        let is_champion = champion == version.manifest_digest;
        if is_champion
            && let Some(last) = state.active.as_ref().filter(|last| {
                last.rollout.phase == Phase::Promoted && last.rollout.challenger == champion
            })
        {
            return Ok((unchanged(&last.rollout, Effect::None), Started::Joined));
        }
        if is_champion || version.model_digest() == Some(primary.digest) {
            return Err(already_champion(&version, &primary));
        }
        self.source.admit(&version).await?;
        let rollout = Rollout::request(
            RolloutRequest {
                id: ulid::Ulid::generate().to_string(),
                model: version.model.clone(),
                champion,
                challenger: version.manifest_digest,
                policy,
                actor: requester.actor.clone(),
                reason: requester.reason,
            },
            now,
        )
        .with_versions(Versions {
            champion: primary.reference.to_string(),
            challenger: version.reference(),
        });
        let transition = rollout::advance(&rollout, &no_messages(now), now);
        if matches!(mode, Mode::Dry) {
            return Ok((transition, Started::New));
        }
        self.launch(&mut state, rollout, requester.actor, now).await?;
        let active = state.active.as_ref().expect("the rollout was just started");
        Ok((unchanged(&active.rollout, Effect::None), Started::New))
    }

    /// Starts the checked `rollout` of a rehearsal.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn launch_rehearsed(&self, rollout: Rollout) -> Result<()> {
        let mut state = self.lock().await;
        let (actor, now) = (rollout.actor.clone(), self.app.clock.steady());
        self.launch(&mut state, rollout, actor, now).await
    }

    async fn launch(
        &self,
        state: &mut State,
        rollout: Rollout,
        actor: String,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let mut active = Active::new(rollout, actor);
        // Fixed before the first request reaches the canary. The latency of a rehearsal is not that of the traffic.
        active.slow_bound = if self.rehearsal { None } else { self.app.metrics.slow_bound() };
        self.set_slow_bound(active.slow_bound);
        self.app.observer.clear();
        self.aborting.store(false, Ordering::SeqCst);
        let record = TransitionRecord::new(&active.rollout, &active.rollout.reason);
        active.transitions.push(if self.rehearsal { record } else { record.by(&active.actor) });
        let entry = active.entry(&active.rollout, &active.rollout.reason, now);
        if let Err(fault) = self.source.record(entry).await {
            self.note_conflict(&fault);
            return Err(fault);
        }
        let transition = rollout::advance(&active.rollout, &no_messages(now), now);
        self.set_id(&active.rollout.id);
        state.active = Some(active);
        self.woken.notify_one();
        self.apply(state, transition, now).await
    }

    /// Applies `command`. A rollback takes effect before anything waits.
    ///
    /// # Errors
    /// `BOT-6034`, `BOT-6022`, `BOT-6002`, those of the store.
    pub(crate) async fn command(
        &self,
        id: &str,
        command: &Command,
        requester: Requester,
        if_match: Option<u64>,
    ) -> Result<()> {
        let abort = matches!(command, Command::Abort { .. });
        if abort {
            // Does not wait for the state: its holder may be waiting for the store.
            if !self.is_named(id) {
                return Err(no_such_rollout(id, &self.app.model));
            }
            let revision = self.revision.load(Ordering::SeqCst);
            check_revision(if_match, revision)?;
            self.standing.check_first()?;
            self.show_ahead(id, command, self.app.clock.steady())?;
            self.aborting.store(true, Ordering::SeqCst);
            self.app.slot.withdraw();
        }
        let mut state = self.lock().await;
        let outcome = async {
            if abort {
                self.note_jump(&mut state);
            } else {
                self.pause_after_jump(&mut state).await?;
            }
            let now = self.app.clock.steady();
            let jump = state.jump;
            let active = find(state.active.as_mut(), id, &self.app.model)?;
            self.standing.check_first()?;
            if abort && !active.unwritten.is_empty() && active.rollout.is_over() {
                // The client did not see that an earlier abort is in effect: its record is tried again.
                return self.write_again(active).await;
            }
            if !abort {
                check_revision(if_match, active.rollout.revision)?;
            }
            let transition = match jump {
                // An abort needs no pause, but its time is that of the clock after the jump.
                Some(jump) => rollout::command(&active.rollout.rebased(jump.to), command, now)?,
                None => rollout::command(&active.rollout, command, now)?,
            };
            // The reason of an abort is part of the command.
            let given = if abort { "" } else { requester.reason.as_str() };
            let transition = transition.because(given);
            active.actor.clone_from(&requester.actor);
            self.apply(&mut state, transition, now).await
        }
        .await;
        if abort {
            self.aborting.store(false, Ordering::SeqCst);
            match &outcome {
                Ok(()) => self.app.metrics.rolled_back("requested"),
                // The rollback was refused: the canary keeps its share.
                Err(_) => {
                    if let Some(active) = state.active.as_ref().filter(|a| a.is_driven()) {
                        self.route(active);
                    }
                }
            }
        }
        outcome
    }

    /// Tries again to record what is in effect. A store that still fails is no error: the answer says that it is not durable.
    ///
    /// # Errors
    /// `BOT-6026` another server wrote to the log.
    async fn write_again(&self, active: &mut Active) -> Result<()> {
        match self.write_waiting(active).await {
            Err(fault) if fault.kind() == FaultKind::Conflict => Err(fault),
            _ => Ok(()),
        }
    }

    /// Returns the transition that `command` would make.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub(crate) async fn preview(
        &self,
        id: &str,
        command: &Command,
        if_match: Option<u64>,
    ) -> Result<Transition> {
        let mut state = self.lock().await;
        let active = find(state.active.as_mut(), id, &self.app.model)?;
        self.standing.check_first()?;
        check_revision(if_match, active.rollout.revision)?;
        rollout::command(&active.rollout, command, self.app.clock.steady())
    }
}

/// The fault of a rollout of the champion, or of a version with the same model.
fn already_champion(version: &Version, primary: &Served) -> Fault {
    let message = if primary.manifest == Some(version.manifest_digest) {
        format!("`{}` is already the champion", version.reference())
    } else {
        let champion = &primary.reference;
        format!("`{}` is the same model as the champion `{champion}`", version.reference())
    };
    Fault::conflict("BOT-6037", message).hint("there is nothing to do")
}

/// Refuses a command that was meant for another revision.
fn check_revision(if_match: Option<u64>, revision: u64) -> Result<()> {
    match if_match {
        Some(expected) if expected != revision => Err(Fault::conflict(
            "BOT-6022",
            format!("the rollout is at revision {revision}, not {expected}"),
        )
        .hint("read the rollout again, then decide again")),
        _ => Ok(()),
    }
}
