//! What a person may ask of a rollout, and what it would do.

use super::{Active, Asked, Canary, State, looked, named, standing, unknown};
use botops_findings::{Fault, Result};
use botops_rollout::{
    self as rollout, Command, Effect, Phase, Rollout, RolloutRequest, RolloutSpec, Transition,
    TransitionRecord,
};
use chrono::{DateTime, Utc};
use std::sync::atomic::Ordering;

/// Whether to do it, or only to say what would be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// Do it.
    Real,
    /// Say it.
    Dry,
}

/// What asking for a rollout came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// It began.
    New,
    /// The same version's was under way, or was the last one and made it champion.
    Joined,
}

impl Canary {
    /// Asks for a rollout, or joins the one under way for the same version. When the last one made
    /// this version champion, it is the answer: who asked for it may not have heard its end.
    ///
    /// # Errors
    /// `BOT-6032`, `BOT-6037`, `BOT-6001`, those of the registry.
    pub(crate) async fn start(
        &self,
        reference: &str,
        spec: RolloutSpec,
        asked: Asked,
    ) -> Result<(Transition, Started)> {
        self.begin(reference, spec, asked, Mode::Real).await
    }

    /// Returns the transition [`Self::start`] would begin with.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn would_start(
        &self,
        reference: &str,
        spec: RolloutSpec,
        asked: Asked,
    ) -> Result<Transition> {
        self.begin(reference, spec, asked, Mode::Dry).await.map(|(transition, _)| transition)
    }

    async fn begin(
        &self,
        reference: &str,
        spec: RolloutSpec,
        asked: Asked,
        mode: Mode,
    ) -> Result<(Transition, Started)> {
        let policy = spec.check()?;
        let mut state = self.state.lock().await;
        if matches!(mode, Mode::Real) {
            self.settle(&mut state).await?;
        }
        let primary = self.primary()?;
        let champion = primary.manifest.expect("a home's model has its manifest");
        let version = self.home.find(Some(reference), &champion).await?;
        let now = self.app.clock.now();
        if let Some(active) = state.active.as_ref().filter(|active| !active.rollout.is_over()) {
            if active.rollout.challenger == version.manifest_digest {
                return Ok((standing(&active.rollout, Effect::None), Started::Joined));
            }
            return Err(Fault::conflict(
                "BOT-6032",
                format!("rollout `{}` of another version is under way", active.rollout.id),
            )
            .hint("wait for it, or end it with `botops rollout abort`"));
        }
        if let Some(before) = state.active.as_mut() {
            self.write_waiting(before).await?;
        }
        if champion == version.manifest_digest {
            if let Some(last) = state.active.as_ref().filter(|last| {
                last.rollout.phase == Phase::Promoted && last.rollout.challenger == champion
            }) {
                return Ok((standing(&last.rollout, Effect::None), Started::Joined));
            }
            return Err(Fault::conflict(
                "BOT-6037",
                format!("`{}` is the champion already", version.reference()),
            ));
        }
        let rollout = Rollout::request(
            RolloutRequest {
                id: ulid::Ulid::generate().to_string(),
                model: version.model.clone(),
                champion,
                challenger: version.manifest_digest,
                policy,
                actor: asked.actor.clone(),
                reason: asked.reason,
            },
            now,
        );
        let transition = rollout::advance(&rollout, &looked(now), now);
        if matches!(mode, Mode::Dry) {
            return Ok((transition, Started::New));
        }
        self.launch(&mut state, rollout, asked.actor, now).await?;
        let active = state.active.as_ref().expect("it was just put there");
        Ok((standing(&active.rollout, Effect::None), Started::New))
    }

    /// Starts `rollout`, already checked.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn launch_rehearsed(&self, rollout: Rollout) -> Result<()> {
        let mut state = self.state.lock().await;
        let (actor, now) = (rollout.actor.clone(), self.app.clock.now());
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
        // Fixed before the canary; a rehearsal's latency is not the traffic's.
        active.slow_bound = if self.rehearsal { None } else { self.app.metrics.slow_bound() };
        self.set_slow_bound(active.slow_bound);
        self.app.observer.clear();
        self.aborting.store(false, Ordering::SeqCst);
        active.transitions.push(TransitionRecord::new(&active.rollout, &active.rollout.reason));
        let entry = active.entry(&active.rollout, &active.rollout.reason, now);
        self.home.write_down(entry).await?;
        let transition = rollout::advance(&active.rollout, &looked(now), now);
        self.name(&active.rollout.id);
        state.active = Some(active);
        self.woken.notify_one();
        self.apply(state, transition, now).await
    }

    /// Applies `command`; a rollback takes effect before anything is waited for.
    ///
    /// # Errors
    /// `BOT-6034`, `BOT-6022`, `BOT-6002`, those of the store.
    pub(crate) async fn command(
        &self,
        id: &str,
        command: &Command,
        asked: Asked,
        if_match: Option<u64>,
    ) -> Result<()> {
        let abort = matches!(command, Command::Abort { .. });
        if abort {
            // Without waiting for whoever holds the state: someone may be waiting for the store.
            if !self.is_named(id) {
                return Err(unknown(id));
            }
            let revision = self.revision.load(Ordering::SeqCst);
            check_revision(if_match, revision)?;
            self.aborting.store(true, Ordering::SeqCst);
            self.app.slot.withdraw();
        }
        let mut state = self.state.lock().await;
        let now = self.app.clock.now();
        let outcome = async {
            let active = named(state.active.as_mut(), id)?;
            if !abort {
                check_revision(if_match, active.rollout.revision)?;
            }
            let transition = rollout::command(&active.rollout, command, now)?;
            active.actor.clone_from(&asked.actor);
            self.apply(&mut state, transition, now).await
        }
        .await;
        if abort {
            self.aborting.store(false, Ordering::SeqCst);
            match &outcome {
                Ok(()) => self.app.metrics.rolled_back("requested"),
                // It was not to be rolled back after all: what it had goes on.
                Err(_) => {
                    if let Some(active) = state.active.as_ref().filter(|a| a.is_driven()) {
                        self.route(active);
                    }
                }
            }
        }
        outcome
    }

    /// Returns the transition `command` would make.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub(crate) async fn would(
        &self,
        id: &str,
        command: &Command,
        if_match: Option<u64>,
    ) -> Result<Transition> {
        let mut state = self.state.lock().await;
        let active = named(state.active.as_mut(), id)?;
        check_revision(if_match, active.rollout.revision)?;
        rollout::command(&active.rollout, command, self.app.clock.now())
    }
}

fn check_revision(if_match: Option<u64>, revision: u64) -> Result<()> {
    match if_match {
        Some(wanted) if wanted != revision => Err(Fault::conflict(
            "BOT-6022",
            format!("the rollout is at revision {revision}, not {wanted}"),
        )
        .hint("read it again, then decide again")),
        _ => Ok(()),
    }
}
